"""LayerNorm(residual + dropout(x)), compiled and plain."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.layers import compiled
from hierbert_tf.layers.residual_layer_norm import ResidualLayerNorm

B, T, H = 3, 5, 16
RANDOM = np.random.default_rng(0)
X, RESIDUAL, UPSTREAM = (RANDOM.normal(size=(B, T, H)).astype("float32") for _ in range(3))
GAMMA, BETA = (RANDOM.normal(size=H).astype("float32") for _ in range(2))


def build(rate, **kwargs):
    layer = ResidualLayerNorm(rate, seed=4, **kwargs)
    layer.build(X.shape)
    layer.gamma.assign(GAMMA)
    layer.beta.assign(BETA)
    return layer


def run(layer, training=True):
    """Output and gradients to x, residual, gamma and beta."""
    x, residual = tf.constant(X), tf.constant(RESIDUAL)
    with tf.GradientTape() as tape:
        tape.watch([x, residual])
        output = tf.cast(layer(x, residual=residual, training=training), tf.float32)
    sources = [x, residual, layer.gamma.value, layer.beta.value]
    return [np.asarray(output), *tape.gradient(output, sources, output_gradients=UPSTREAM)]


@pytest.mark.parametrize("rate", [0.0, 0.4])
@pytest.mark.parametrize("graph", [False, True])
def test_compiled_equals_plain(rate, graph, monkeypatch):
    fast = build(rate)
    results = (tf.function(lambda: run_in_graph(fast)) if graph else lambda: run(fast))()
    monkeypatch.setattr(compiled, "is_available", lambda: False)
    for one, other in zip(results, run(build(rate)), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def run_in_graph(layer):
    x, residual = tf.constant(X), tf.constant(RESIDUAL)
    with tf.GradientTape() as tape:
        tape.watch([x, residual])
        output = layer(x, residual=residual, training=True)
    sources = [x, residual, layer.gamma.value, layer.beta.value]
    return [output, *tape.gradient(output, sources, output_gradients=tf.constant(UPSTREAM))]


def test_values_without_training():
    total = X.astype("float64") + RESIDUAL
    centred = total - total.mean(-1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12) * GAMMA + BETA
    output, *_ = run(build(0.4), training=False)
    np.testing.assert_allclose(output, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_near(dtype):
    results, expected = run(build(0.4, dtype=dtype)), run(build(0.4))
    for one, other in zip(results, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=0.15, rtol=0.02)


def test_training_without_training_flag_holds_no_compiled_function():
    layer = build(0.4)
    graph = tf.function(lambda x, r: layer(x, residual=r)).get_concrete_function(X, RESIDUAL)
    assert not list(graph.graph.as_graph_def().library.function)


def test_config_round_trip():
    layer = build(0.3, name="here", dtype="mixed_bfloat16")
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert copy.get_config() == layer.get_config()
    assert copy.dropout.rate == 0.3
