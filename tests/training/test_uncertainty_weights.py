import keras
import numpy as np
import tensorflow as tf

from hierbert_tf.training.optimizer import AdamW
from hierbert_tf.training.uncertainty_weights import UncertaintyWeights


def test_value_and_gradient_against_the_formula():
    layer = UncertaintyWeights(["a", "b"])
    layer.log_variances["a"].assign(0.7)
    layer.log_variances["b"].assign(-0.4)
    losses = {"a": tf.constant(2.0), "b": tf.constant(0.5)}
    with tf.GradientTape() as tape:
        total = layer(losses, {"a": tf.constant(1.0), "b": tf.constant(1.0)})
    expected = np.exp(-0.7) * 2 + 0.35 + np.exp(0.4) * 0.5 - 0.2
    np.testing.assert_allclose(float(total), expected, rtol=1e-6)
    slope = tape.gradient(total, [v.value for v in layer.trainable_variables])
    np.testing.assert_allclose(
        [float(s) for s in slope], [0.5 - 2 * np.exp(-0.7), 0.5 - 0.5 * np.exp(0.4)], rtol=1e-6
    )


def test_an_absent_task_does_not_drift():
    layer = UncertaintyWeights(["a"])
    with tf.GradientTape() as tape:
        total = layer({"a": tf.constant(0.0)}, {"a": tf.constant(0.0)})
    assert float(tape.gradient(total, layer.log_variances["a"].value)) == 0.0


def test_float32_undecayed_and_serialisable():
    layer = UncertaintyWeights(["a"], dtype="float16")
    assert layer.log_variances["a"].dtype == "float32"
    assert not AdamW(0.1)._use_weight_decay(layer.log_variances["a"])
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.tasks == ("a",)
