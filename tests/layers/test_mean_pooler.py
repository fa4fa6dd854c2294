import keras
import numpy as np

from hierbert_tf.layers.mean_pooler import MeanPooler

RANDOM = np.random.default_rng(4)


def test_mean_over_tokens_alone():
    sequence = RANDOM.normal(size=(3, 5, 2)).astype("float32")
    lengths = [5, 2, 0]
    mask = np.array([[1] * length + [0] * (5 - length) for length in lengths], "int32")
    output = np.asarray(MeanPooler()(sequence, padding_mask=mask))
    for row, length in enumerate(lengths):
        expected = sequence[row, :length].mean(axis=0) if length else np.zeros(2)
        np.testing.assert_allclose(output[row], expected, atol=1e-6)


def test_a_long_sum_in_half_precision():
    """1,000 ones and more: bfloat16 alone would stop counting at 256."""
    sequence = np.ones((1, 1000, 1), "float32")
    pooler = MeanPooler(dtype="mixed_bfloat16")
    output = pooler(sequence, padding_mask=np.ones((1, 1000), "int32"))
    assert keras.backend.standardize_dtype(output.dtype) == "bfloat16"
    assert np.asarray(output).astype("float32").tolist() == [[1.0]]
