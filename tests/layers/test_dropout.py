"""Dropout: its law, its determinism, its replicas."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.layers.dropout import Dropout


def dropped(layer, shape=(1000, 1000)):
    return np.asarray(layer(np.ones(shape, "float32"), training=True)) == 0


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.02])
def test_rate_and_scale(rate):
    layer = Dropout(rate, seed=7)
    output = np.asarray(layer(np.ones((1000, 1000), "float32"), training=True))
    share = (output == 0).mean()
    # Five standard errors of a million draws.
    assert abs(share - rate) < 5 * np.sqrt(rate * (1 - rate) / 1e6)
    np.testing.assert_allclose(output[output != 0], 1 / (1 - rate), rtol=2e-5)


def test_elements_are_independent():
    zeros = dropped(Dropout(0.3, seed=1)).astype("float64")
    for left, right in (
        (zeros[:, :-1], zeros[:, 1:]),  # the two lanes of one integer, and neighbours
        (zeros[:, :-2], zeros[:, 2:]),
        (zeros[:-1], zeros[1:]),
    ):
        assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 0.005
    # Counts of a row are binomial.
    np.testing.assert_allclose(zeros.sum(1).var(), 1000 * 0.3 * 0.7, rtol=0.2)


def test_nothing_happens_without_training_or_rate():
    values = np.arange(6, dtype="float32").reshape(2, 3)
    np.testing.assert_array_equal(Dropout(0.5, seed=1)(values, training=False), values)
    np.testing.assert_array_equal(Dropout(0.0)(values, training=True), values)
    assert not Dropout(0.0).variables


def test_same_seed_same_draws_and_successive_calls_differ():
    first, second = Dropout(0.5, seed=3), Dropout(0.5, seed=3)
    a, b = dropped(first), dropped(first)
    assert (a != b).any()
    np.testing.assert_array_equal(dropped(second), a)
    np.testing.assert_array_equal(dropped(second), b)
    assert (dropped(Dropout(0.5, seed=4)) != a).any()


def test_restored_state_continues_the_draws():
    layer = Dropout(0.5, seed=3)
    dropped(layer)
    state = np.asarray(layer.variables[0])
    later = dropped(layer)
    other = Dropout(0.5, seed=99)
    other.variables[0].assign(state)
    np.testing.assert_array_equal(dropped(other), later)


def test_graph_draws_as_eager_does():
    eager, graph = Dropout(0.5, seed=3), Dropout(0.5, seed=3)
    step = tf.function(lambda x: graph(x, training=True))
    ones = tf.ones((7, 5, 3))  # an odd number of elements
    for _ in range(2):
        np.testing.assert_array_equal(step(ones), eager(ones, training=True))


def test_gradient_passes_where_elements_pass():
    layer = Dropout(0.5, seed=3)
    inputs = tf.ones((100, 100))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        output = layer(inputs, training=True)
    np.testing.assert_array_equal(tape.gradient(output, inputs), output)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_keeps_the_dtype(dtype):
    output = Dropout(0.1, seed=1, dtype=dtype)(tf.ones((64, 64), dtype), training=True)
    assert output.dtype == dtype
    assert (np.asarray(output) == 0).any()


REPLICAS = """
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

from hierbert_tf.layers.dropout import Dropout

with strategy.scope():
    layer = Dropout(0.5, seed=5)

@tf.function
def step():
    return strategy.run(lambda: layer(tf.ones((50, 50)), training=True))

first, second = (np.asarray(value) for value in strategy.experimental_local_results(step()))
assert (first != second).any(), "replicas draw the same elements"
assert abs((first == 0).mean() - 0.5) < 0.1 and abs((second == 0).mean() - 0.5) < 0.1
again, _ = (np.asarray(value) for value in strategy.experimental_local_results(step()))
assert (again != first).any(), "the state did not advance"
"""


def test_replicas_draw_different_elements():
    # Two CPU devices can only be set before TensorFlow starts, hence a process of its own.
    done = subprocess.run([sys.executable, "-c", REPLICAS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_config_round_trip():
    layer = Dropout(0.25, seed=11, name="here")
    copy = Dropout.from_config(layer.get_config())
    assert (copy.rate, copy.seed, copy.name) == (0.25, 11, "here")
    assert keras.saving.get_registered_name(Dropout) == "hierbert_tf>Dropout"


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2])
def test_wrong_rate(rate):
    with pytest.raises(ValueError, match=r"dropout rate must be in \[0, 1\)"):
        Dropout(rate)
