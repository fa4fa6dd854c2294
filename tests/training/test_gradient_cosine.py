import numpy as np
import pytest
import tensorflow as tf
from tiny_model import TASKS, tiny_batch, tiny_model

from hierbert_tf.training.gradient_cosine import GradientCosine, shared_layers
from hierbert_tf.training.losses import weighted_sums


@pytest.mark.usefixtures("eagerly")
def test_against_flattened_gradients():
    model = tiny_model(dropout=0.5)
    seeds = [v.numpy() for v in model.non_trainable_variables]
    batch = tf.nest.map_structure(tf.constant, tiny_batch(0))
    found = GradientCosine(model, TASKS)(batch)
    assert list(found) == [("next_sentence", "masked_lm")]
    cosines = found["next_sentence", "masked_lm"]
    assert list(cosines) == ["embeddings", "encoder_block_1", "encoder_block_2"]
    for name in ("embeddings", "encoder_block_1"):
        variables = [v.value for v in model.get_layer(name).trainable_variables]
        vectors = []
        for task in ("next_sentence", "masked_lm"):
            with tf.GradientTape() as tape:
                logits = model(batch[0], training=False)[task]
                loss = weighted_sums(batch[1][task], logits, batch[2][task])[0]
            gradients = tape.gradient(loss, variables)
            parts = [tf.reshape(tf.convert_to_tensor(g), [-1]).numpy() for g in gradients]
            vectors.append(np.concatenate(parts).astype("float64"))
        first, second = vectors
        expected = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
        np.testing.assert_allclose(cosines[name], expected, atol=1e-5)
    # The lower task does not reach the upper block.
    assert np.isnan(cosines["encoder_block_2"])
    for variable, seed in zip(model.non_trainable_variables, seeds, strict=True):
        np.testing.assert_array_equal(variable.numpy(), seed)


@pytest.mark.usefixtures("eagerly")
def test_without_labels_there_is_no_cosine():
    features, labels, weights = tiny_batch(0)
    weights["masked_lm"] *= 0
    batch = tf.nest.map_structure(tf.constant, (features, labels, weights))
    cosines = GradientCosine(tiny_model(), TASKS)(batch)["next_sentence", "masked_lm"]
    assert all(np.isnan(value) for value in cosines.values())


def test_layers_are_found_inside_nested_models_and_in_order():
    import keras

    inner_input = keras.Input([2])
    x = inner_input
    for name in ("encoder_block_10", "encoder_block_2", "embeddings"):
        x = keras.layers.Dense(2, name=name)(x)
    inner = keras.Model(inner_input, x, name="backbone")
    outer_input = keras.Input([2])
    outer = keras.Model(outer_input, keras.layers.Dense(1, name="head")(inner(outer_input)))
    assert list(shared_layers(outer)) == ["embeddings", "encoder_block_2", "encoder_block_10"]
