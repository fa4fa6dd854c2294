"""BERT's embeddings against numpy."""

import keras
import numpy as np
import pytest

from hierbert_tf.layers.embeddings import BertEmbeddings

IDS = np.array([[2, 7, 7, 3], [2, 9, 0, 1]], "int32")
SEGMENTS = np.array([[0, 0, 1, 1], [0, 1, 1, 0]], "int32")


def build(**kwargs):
    layer = BertEmbeddings(10, 8, max_sequence_length=6, seed=1, **kwargs)
    layer(IDS, segment_ids=SEGMENTS)
    random = np.random.default_rng(0)
    for weight in layer.trainable_weights:
        weight.assign(random.normal(size=weight.shape).astype("float32"))
    return layer


def test_sum_of_three_then_layer_norm():
    layer = build()
    tokens, positions, segments, gamma, beta = (np.asarray(w) for w in layer.trainable_weights)
    x = tokens[IDS] + positions[None, :4] + segments[SEGMENTS]
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
    np.testing.assert_allclose(layer(IDS, segment_ids=SEGMENTS), x * gamma + beta, atol=1e-5)


def test_dropout_only_in_training():
    layer = build(dropout=0.5)
    assert (np.asarray(layer(IDS, segment_ids=SEGMENTS)) != 0).all()
    output = np.asarray(layer(IDS, segment_ids=SEGMENTS, training=True))
    assert 0.2 < (output == 0).mean() < 0.8


def test_too_long_sequence():
    ids = np.zeros((1, 7), "int32")
    with pytest.raises(ValueError, match="7 tokens is longer than the 6 position embeddings"):
        build()(ids, segment_ids=ids)


def test_config_round_trip():
    layer = build(dropout=0.2, dtype="mixed_bfloat16", name="here")
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert copy.get_config() == layer.get_config()
    assert copy(IDS, segment_ids=SEGMENTS).dtype == "bfloat16"
