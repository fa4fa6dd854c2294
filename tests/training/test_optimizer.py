import keras
import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.training.optimizer import AdamW

RANDOM = np.random.default_rng(5)


class NumpyAdamW:
    """The equations of the paper, in double precision; `factors` of each value's rate."""

    def __init__(self, values, decayed, rate, decay, clip, factors=(1, 1, 1, 1)):
        self.values = [value.astype("float64") for value in values]
        self.decayed, self.rate, self.decay, self.clip = decayed, rate, decay, clip
        self.first = [np.zeros_like(value) for value in self.values]
        self.second = [np.zeros_like(value) for value in self.values]
        self.factors = factors
        self.step = 0

    def apply(self, gradients):
        self.step += 1
        norm = np.sqrt(sum((gradient**2).sum() for gradient in gradients))
        factor = min(1.0, self.clip / norm) if self.clip else 1.0
        for index, gradient in enumerate(gradients):
            gradient = gradient * factor
            first = self.first[index] = 0.9 * self.first[index] + 0.1 * gradient
            second = self.second[index] = 0.999 * self.second[index] + 0.001 * gradient**2
            value = self.values[index]
            rate = self.rate * self.factors[index]
            if self.decayed[index]:
                value = value - rate * self.decay * value
            corrected = first / (1 - 0.9**self.step)
            root = np.sqrt(second / (1 - 0.999**self.step))
            # Epsilon as in Keras and TensorFlow: added before the correction of the second moment.
            epsilon = 1e-6 / np.sqrt(1 - 0.999**self.step)
            self.values[index] = value - rate * corrected / (root + epsilon)
        return norm


def variables():
    shapes = {"embeddings": (5, 3), "kernel": (3, 3), "bias": (3,), "gamma": (3,)}
    return [
        keras.Variable(RANDOM.normal(size=shape).astype("float32"), name=name)
        for name, shape in shapes.items()
    ]


def gradients():
    """Dense gradients, and the same with the embedding's as slices of repeated ids."""
    ids = np.array([4, 1, 1, 0, 1, 4])
    slices = RANDOM.normal(size=(6, 3)).astype("float32")
    dense = np.zeros((5, 3), "float32")
    np.add.at(dense, ids, slices)
    others = [RANDOM.normal(size=shape).astype("float32") for shape in ((3, 3), (3,), (3,))]
    sparse = tf.IndexedSlices(tf.constant(slices), tf.constant(ids), tf.constant([5, 3]))
    return [dense, *others], [sparse, *map(tf.constant, others)]


@pytest.mark.parametrize("clip", [None, 0.7])
def test_repeated_ids_decay_and_clipping_against_numpy(clip):
    ours = variables()
    optimizer = AdamW(0.05, weight_decay=0.1, global_clipnorm=clip)
    reference = NumpyAdamW([v.numpy() for v in ours], [True, True, False, False], 0.05, 0.1, clip)
    for _ in range(4):
        dense, sparse = gradients()
        norm = optimizer.apply(sparse, ours)
        np.testing.assert_allclose(float(norm), reference.apply(dense), rtol=1e-6)
    for variable, value in zip(ours, reference.values, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, atol=2e-6)
    assert int(optimizer.iterations) == 4


def test_a_rate_for_each_variable_against_numpy():
    ours = variables()
    multipliers = {"embeddings": 0.25, "kernel": 2.0, "gamma": 0.0, "elsewhere": 3.0}
    optimizer = AdamW(
        0.05, weight_decay=0.1, global_clipnorm=0.7, learning_rate_multipliers=multipliers
    )
    start = [v.numpy() for v in ours]
    reference = NumpyAdamW(start, [True, True, False, False], 0.05, 0.1, 0.7, (0.25, 2.0, 1.0, 0.0))
    for _ in range(4):
        dense, sparse = gradients()
        optimizer.apply(sparse, ours)
        reference.apply(dense)
    for variable, value in zip(ours, reference.values, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, atol=2e-6)
    np.testing.assert_array_equal(ours[3].numpy(), start[3])


def test_multipliers_that_cannot_be():
    with pytest.raises(ValueError, match="multiplier of 'kernel' is -1.0, below 0"):
        AdamW(0.1, learning_rate_multipliers={"kernel": -1})
    with pytest.raises(ValueError, match="none of the .* 'dense/kernel' is not like 'bias'"):
        AdamW(0.1, learning_rate_multipliers={"dense/kernel": 0.5}).build(variables())


def test_keras_itself_still_has_the_bug():
    """When this fails, Keras sums repeated ids itself."""
    first = variables()[0]
    second = keras.Variable(first.numpy(), name="embeddings")
    _, sparse = gradients()
    keras.optimizers.AdamW(0.05, weight_decay=0.0, epsilon=1e-6).apply([sparse[0]], [first])
    AdamW(0.05, weight_decay=0.0).apply([sparse[0]], [second])
    assert np.abs(first.numpy() - second.numpy()).max() > 1e-3


def state(optimizer, ours):
    return [v.numpy() for v in (*ours, *optimizer.variables)]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_changes_nothing(bad):
    ours = variables()
    optimizer = AdamW(0.05, global_clipnorm=1.0)
    optimizer.apply(gradients()[1], ours)
    before = state(optimizer, ours)
    broken = gradients()[1]
    broken[2] = tf.constant([0.0, bad, 1.0])
    assert not np.isfinite(float(optimizer.apply(broken, ours)))
    for value, expected in zip(state(optimizer, ours), before, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_an_update_that_is_not_permitted_changes_nothing():
    ours = variables()
    optimizer = AdamW(0.05)
    optimizer.apply(gradients()[1], ours)
    before = state(optimizer, ours)
    norm = optimizer.apply(gradients()[1], ours, permitted=tf.constant(False))
    assert np.isfinite(float(norm))
    for value, expected in zip(state(optimizer, ours), before, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_factor_unscales_before_clipping():
    first, second = variables(), None
    second = [keras.Variable(v.numpy(), name=v.name) for v in first]
    _, sparse = gradients()
    plain, scaled = AdamW(0.05, global_clipnorm=1.0), AdamW(0.05, global_clipnorm=1.0)
    norm = plain.apply(sparse, first)
    large = [tf.convert_to_tensor(gradient) * 1024.0 for gradient in sparse]
    np.testing.assert_allclose(float(scaled.apply(large, second, factor=1 / 1024.0)), float(norm))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_missing_gradient_leaves_its_variable_alone():
    ours = variables()
    _, sparse = gradients()
    kept = ours[1].numpy()
    AdamW(0.05, weight_decay=0.5).apply([sparse[0], None, *sparse[2:]], ours)
    np.testing.assert_array_equal(ours[1].numpy(), kept)


def test_serialisation_with_a_schedule():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    optimizer = AdamW(
        schedule, weight_decay=0.3, global_clipnorm=2.0, learning_rate_multipliers={"kernel": 0.5}
    )
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert isinstance(again, AdamW)
    assert again.get_config() == optimizer.get_config()
    assert again.learning_rate_multipliers == {"kernel": 0.5}
    assert AdamW(0.1).get_config()["learning_rate_multipliers"] is None
    assert AdamW(0.1, global_clipnorm=0).global_clipnorm is None


@pytest.mark.parametrize("setting", [{"use_ema": True}, {"clipnorm": 1.0}, {"amsgrad": True}])
def test_settings_that_it_has_not(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        AdamW(0.1, **setting)
