"""The pooler against numpy."""

import numpy as np

from hierbert_tf.layers.pooler import ClsPooler

SEQUENCE = np.random.default_rng(0).normal(size=(2, 6, 8)).astype("float32")


def test_pooler_reads_the_first_vector():
    layer = ClsPooler(seed=1)
    layer(SEQUENCE)
    random = np.random.default_rng(1)
    kernel, bias = (random.normal(size=w.shape).astype("float32") for w in layer.weights)
    layer.set_weights([kernel, bias])
    expected = np.tanh(SEQUENCE[:, 0] @ kernel + bias)
    np.testing.assert_allclose(layer(SEQUENCE), expected, atol=1e-5)


def test_config_round_trip():
    pooler = ClsPooler(seed=5, name="p")
    assert ClsPooler.from_config(pooler.get_config()).get_config() == pooler.get_config()
