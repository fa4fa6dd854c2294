import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.errors import InputError
from hierbert_tf.probing.pooling import pool, poolings_for

RANDOM = np.random.default_rng(1)
# All negative: a zero from the padding would be the maximum.
SEQUENCE = -1 - RANDOM.random([3, 5, 4]).astype("float32")
LENGTHS = [2, 5, 4]
MASK = np.array([[1] * n + [0] * (5 - n) for n in LENGTHS], "int32")


@pytest.mark.parametrize("garbage", [1e6, -1e6, 0.0])
@pytest.mark.parametrize(
    "pooling, expected",
    [
        ("cls", lambda tokens: tokens[0]),
        ("mean", lambda tokens: tokens.mean(axis=0)),
        ("max", lambda tokens: tokens.max(axis=0)),
    ],
)
def test_sentences_ignore_padding(pooling, expected, garbage):
    sequence = np.where(MASK[:, :, None] == 1, SEQUENCE, np.float32(garbage))
    got = pool(tf.constant(sequence), tf.constant(MASK), pooling).numpy()
    want = [expected(tokens[:n]) for tokens, n in zip(SEQUENCE, LENGTHS, strict=True)]
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_words_read_the_tokens_they_point_to():
    words = tf.constant([[2, 3], [0, 1], [0, 0]])
    got = pool(tf.constant(SEQUENCE), tf.constant(MASK), "first_token", words).numpy()
    np.testing.assert_array_equal(got, SEQUENCE[[2, 0, 0], [3, 1, 0]])


def test_half_precision_is_summed_in_single():
    # 512 + 1 is 512 in bfloat16, so that a sum in it stays there.
    sequence = tf.constant(np.r_[512.0, np.ones(300)].reshape(1, 301, 1), tf.bfloat16)
    got = pool(sequence, tf.ones([1, 301], tf.int32), "mean")
    assert got.dtype == tf.float32
    np.testing.assert_allclose(got.numpy(), [[812 / 301]], rtol=1e-6)


@pytest.mark.parametrize(
    "poolings, message",
    [
        (("mean", "median"), "model.poolings names 'median'; choose from cls, mean, max"),
        (("first_token",), "model.poolings names 'first_token'"),
        ((), "model.poolings is []; name each of cls, mean, max at most once, and one at least"),
        (("cls", "cls"), "model.poolings is ['cls', 'cls']"),
    ],
)
def test_unusable_poolings_are_refused(poolings, message):
    with pytest.raises(InputError) as caught:
        poolings_for(False, poolings)
    assert message in str(caught.value)
