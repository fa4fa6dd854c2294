"""dropout(softmax(scores)), compiled and plain."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.layers import compiled
from hierbert_tf.layers.attention_probabilities import AttentionProbabilities

B, A, T, S = 2, 3, 4, 6
RANDOM = np.random.default_rng(0)
SCORES = (RANDOM.normal(size=(B, A, T, S)) * 3).astype("float32")
UPSTREAM = RANDOM.normal(size=(B, A, T, S)).astype("float32")
MASK = np.array([[1] * 6, [1, 1, 1, 0, 0, 0]], "int32")


def run(layer, mask=MASK, training=True):
    """Output and the scores' gradient."""
    scores = tf.constant(SCORES)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        output = tf.cast(layer(scores, padding_mask=mask, training=training), tf.float32)
    return output, tape.gradient(output, scores, output_gradients=tf.constant(UPSTREAM))


@pytest.mark.parametrize("training", [False, True])
def test_softmax_over_tokens_alone(training):
    output, gradient = run(AttentionProbabilities(0.0), training=training)
    exponents = np.exp(SCORES.astype("float64")) * MASK[:, None, None, :]
    expected = exponents / exponents.sum(-1, keepdims=True)
    np.testing.assert_allclose(output, expected, atol=1e-6)
    assert (np.asarray(output)[1, :, :, 3:] == 0).all()
    mean = (UPSTREAM * expected).sum(-1, keepdims=True)
    np.testing.assert_allclose(gradient, expected * (UPSTREAM - mean), atol=1e-6)


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("graph", [False, True])
def test_compiled_equals_plain(mask, graph, monkeypatch):
    layer = AttentionProbabilities(0.4, seed=3)
    fast = tf.function(lambda: run(layer, mask))() if graph else run(layer, mask)
    assert (np.asarray(fast[0])[0] == 0).any()
    monkeypatch.setattr(compiled, "is_available", lambda: False)
    for one, other in zip(fast, run(AttentionProbabilities(0.4, seed=3), mask), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("training", [False, True])
def test_half_precision(dtype, training):
    layer = AttentionProbabilities(0.0, dtype=dtype)
    output = layer(tf.cast(SCORES, dtype), padding_mask=MASK, training=training)
    assert output.dtype == dtype
    expected, _ = run(AttentionProbabilities(0.0))
    np.testing.assert_allclose(tf.cast(output, tf.float32), expected, atol=0.02)
    assert (np.asarray(output)[1, :, :, 3:] == 0).all()


def test_config_round_trip():
    layer = AttentionProbabilities(0.3, seed=8, name="here")
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert copy.get_config() == layer.get_config()
    assert (copy.dropout.rate, copy.dropout.seed) == (0.3, 8)
