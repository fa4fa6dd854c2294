import keras
import numpy as np
import pytest

from hierbert_tf.layers.layer_mix import LayerMix

RANDOM = np.random.default_rng(2)
LAYERS = [RANDOM.normal(size=(2, 3, 4)).astype("float32") for _ in range(3)]


def test_starts_as_the_plain_mean():
    mix = LayerMix()
    np.testing.assert_allclose(np.asarray(mix(LAYERS)), np.mean(LAYERS, axis=0), atol=1e-6)
    assert [weight.name for weight in mix.weights] == ["layer_weights", "scale"]


def test_weighted_mean_against_numpy():
    mix = LayerMix()
    mix(LAYERS)
    mix.layer_weights.assign([1.0, -2.0, 0.5])
    mix.scale.assign(3.0)
    shares = np.exp([1.0, -2.0, 0.5]) / np.exp([1.0, -2.0, 0.5]).sum()
    expected = 3 * sum(share * layer for share, layer in zip(shares, LAYERS, strict=True))
    np.testing.assert_allclose(np.asarray(mix(LAYERS)), expected, atol=1e-6)
    np.testing.assert_allclose(np.asarray(mix.shares()), shares, atol=1e-6)


def test_half_precision_and_a_functional_model():
    inputs = [keras.Input((None, 4)) for _ in LAYERS]
    mix = LayerMix(dtype="mixed_bfloat16")
    model = keras.Model(inputs, mix(inputs))
    assert model.output.shape == (None, None, 4)
    output = model(LAYERS)
    assert keras.backend.standardize_dtype(output.dtype) == "bfloat16"
    assert mix.layer_weights.dtype == "float32"
    expected = np.mean(LAYERS, axis=0)
    np.testing.assert_allclose(np.asarray(output).astype("float32"), expected, atol=0.05)


@pytest.mark.parametrize("layers", [1, 5])
def test_any_number_of_layers(layers):
    ones = [np.ones((1, 1, 2), "float32")] * layers
    np.testing.assert_allclose(np.asarray(LayerMix()(ones)), ones[0], atol=1e-6)
