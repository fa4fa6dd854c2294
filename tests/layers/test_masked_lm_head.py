"""The masked-LM head against numpy, and its tie to the embedding."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.layers.masked_lm_head import MaskedLMHead

B, T, P, H, V = 2, 6, 3, 8, 11
RANDOM = np.random.default_rng(0)
SEQUENCE = RANDOM.normal(size=(B, T, H)).astype("float32")
POSITIONS = np.array([[5, 0, 2], [1, 1, 4]], "int32")


def shake(layer):
    random = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape).astype("float32"))
    return {weight.path.split("/", 1)[1]: np.asarray(weight) for weight in layer.weights}


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def masked_lm_head(**kwargs):
    embedding = keras.layers.ReversibleEmbedding(V, H, name="token_embedding")
    head = MaskedLMHead(embedding, seed=1, name="head", **kwargs)
    head(SEQUENCE[:, :P])
    return embedding, head


def test_masked_lm_head_is_berts():
    embedding, head = masked_lm_head()
    embedding.build()
    w = shake(head)
    table = np.asarray(embedding.embeddings)
    vectors = SEQUENCE[:, :P]
    x = gelu(vectors @ w["dense/kernel"] + w["dense/bias"])
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
    x = x * w["layer_norm/gamma"] + w["layer_norm/beta"]
    np.testing.assert_allclose(head(vectors), x @ table.T + w["bias"], atol=1e-4)


def test_projection_is_tied_to_the_embedding():
    embedding, head = masked_lm_head()
    before = np.asarray(head(SEQUENCE[:, :P]))
    table = np.asarray(embedding.embeddings)
    embedding.embeddings.assign(np.roll(table, 1, axis=0))
    np.testing.assert_allclose(head(SEQUENCE[:, :P]), np.roll(before, 1, axis=-1), atol=1e-6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(head(SEQUENCE[:, :P]) ** 2)
    assert np.abs(tape.gradient(loss, embedding.embeddings.value)).max() > 0


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_masked_lm_head_in_half_precision(dtype):
    _, full = masked_lm_head()
    _, half = masked_lm_head(dtype=dtype)
    half.set_weights(full.get_weights())
    half.token_embedding.set_weights(full.token_embedding.get_weights())
    np.testing.assert_allclose(
        np.asarray(half(SEQUENCE[:, :P])).astype("float32"), full(SEQUENCE[:, :P]), atol=0.02
    )


def test_config_round_trip():
    _, head = masked_lm_head()
    copy = MaskedLMHead.from_config(head.get_config())
    assert copy.token_embedding.input_dim == V
    assert copy.get_config() == head.get_config()


def test_tie_survives_a_saved_model(tmp_path):
    ids = keras.Input((None,), dtype="int32")
    embedding = keras.layers.ReversibleEmbedding(V, H)
    model = keras.Model(ids, MaskedLMHead(embedding, seed=1)(embedding(ids)))
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    head = copy.layers[-1]
    assert head.token_embedding is copy.layers[1]
    np.testing.assert_array_equal(copy(POSITIONS), model(POSITIONS))
