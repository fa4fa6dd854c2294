"""The GELU, plain and compiled."""

import math

import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.layers.gelu import gelu

X = np.concatenate([np.linspace(-12, 12, 481), [-60.0, 60.0, 0.0]]).astype("float32")
CUMULATIVE = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in X.astype("float64")])


@pytest.mark.parametrize("training", [False, True])
def test_value_and_gradient(training):
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = gelu(x, training=training)
    # float32 sums of one half and erf / 2 are exact to two units in the last place of x.
    assert np.all(np.abs(y - X * CUMULATIVE) <= 2.4e-7 * np.abs(X) + 1e-7)
    density = np.exp(-0.5 * X.astype("float64") ** 2) / math.sqrt(2 * math.pi)
    upstream = np.linspace(1, 2, len(X)).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = gelu(x, training=training)
    gradient = tape.gradient(y, x, output_gradients=tf.constant(upstream))
    np.testing.assert_allclose(gradient, upstream * (CUMULATIVE + X * density), atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_rounded_once(dtype):
    x = tf.cast(X, dtype)
    y = gelu(x, training=True)
    assert y.dtype == dtype
    wide = np.asarray(tf.cast(x, tf.float64))
    exact = wide * np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in wide])
    # Half a unit in the last place, and a little for float32 inside.
    relative = {"float16": 2**-11, "bfloat16": 2**-8}[dtype] * 1.01
    values = np.asarray(tf.cast(y, tf.float64))
    assert np.all(np.abs(values - exact) <= np.abs(exact) * relative + 2.4e-7 * np.abs(wide))


def test_plain_ops_under_more_than_training():
    # What an export traces must hold no compiled function.
    graph = tf.function(lambda x: gelu(x, training=False)).get_concrete_function(tf.constant(X))
    assert not list(graph.graph.as_graph_def().library.function)
