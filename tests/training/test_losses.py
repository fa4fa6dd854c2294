import keras
import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.training.losses import GlobalMeanCrossEntropy, weighted_sums

RANDOM = np.random.default_rng(3)
LOGITS = RANDOM.normal(size=(4, 3, 7)).astype("float32") * 3
LABELS = RANDOM.integers(0, 7, (4, 3)).astype("int32")
WEIGHTS = np.array([[1, 0, 0.5], [0, 0, 0], [1, 1, 1], [0, 2, 0]], "float32")


def expected_sums(labels, logits, weights):
    logits = logits.astype("float64")
    largest = logits.max(-1, keepdims=True)
    log_sum = np.log(np.exp(logits - largest).sum(-1)) + largest[..., 0]
    losses = log_sum - np.take_along_axis(logits, labels[..., None], -1)[..., 0]
    correct = logits.argmax(-1) == labels
    return (losses * weights).sum(), weights.sum(), (correct * weights).sum()


@pytest.mark.parametrize("shape", ["rows", "matrix"])
def test_sums_against_numpy(shape):
    arrays = LABELS, LOGITS, WEIGHTS
    if shape == "rows":
        arrays = tuple(array[:, 0] for array in arrays)
    found = [float(value) for value in weighted_sums(*arrays)]
    np.testing.assert_allclose(found, expected_sums(*arrays), rtol=1e-6)


def test_an_unlabelled_item_may_carry_any_label():
    wild = np.where(WEIGHTS == 0, -100, LABELS)
    found = [float(value) for value in weighted_sums(wild, LOGITS, WEIGHTS)]
    np.testing.assert_allclose(found, expected_sums(LABELS, LOGITS, WEIGHTS), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_logits_are_summed_in_float32(dtype):
    logits = tf.cast(LOGITS * 100, dtype)
    loss, weight, correct = weighted_sums(LABELS, logits, WEIGHTS)
    assert loss.dtype == weight.dtype == correct.dtype == tf.float32
    exact = expected_sums(LABELS, tf.cast(logits, "float32").numpy(), WEIGHTS)
    np.testing.assert_allclose(float(loss), exact[0], rtol=1e-6)


def test_loss_is_the_mean_over_the_labels_only():
    total, weight, _ = expected_sums(LABELS, LOGITS, WEIGHTS)
    loss = GlobalMeanCrossEntropy()
    np.testing.assert_allclose(float(loss(LABELS, LOGITS, WEIGHTS)), total / weight, rtol=1e-6)
    keras_loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )
    same = float(keras_loss(LABELS, LOGITS, WEIGHTS))
    np.testing.assert_allclose(float(loss(LABELS, LOGITS, WEIGHTS)), same, rtol=1e-6)
    everywhere = float(loss(LABELS, LOGITS))
    np.testing.assert_allclose(everywhere, float(loss(LABELS, LOGITS, np.ones_like(WEIGHTS))))


def test_padding_rows_change_nothing():
    loss = GlobalMeanCrossEntropy()
    padded = [np.concatenate([array, np.zeros_like(array)]) for array in (LABELS, LOGITS, WEIGHTS)]
    np.testing.assert_allclose(
        float(loss(*padded)), float(loss(LABELS, LOGITS, WEIGHTS)), atol=1e-6
    )


def test_no_label_at_all_gives_zero_and_no_gradient():
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        value = GlobalMeanCrossEntropy()(LABELS, logits, 0 * WEIGHTS)
    assert float(value) == 0.0
    np.testing.assert_array_equal(tape.gradient(value, logits), np.zeros_like(LOGITS))


def test_serialisation_and_error():
    loss = GlobalMeanCrossEntropy(name="mine")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert isinstance(again, GlobalMeanCrossEntropy) and again.name == "mine"
    with pytest.raises(ValueError, match="weighted mean"):
        GlobalMeanCrossEntropy(reduction="sum")
