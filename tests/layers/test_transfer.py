"""Transfer: no change at the start, then the documented equations."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.layers.transfer import FORMS, Transfer

B, N, H, C = 3, 5, 8, 2
RANDOM = np.random.default_rng(0)
SEQUENCE = RANDOM.normal(size=(B, N, H)).astype("float32")
VECTOR = RANDOM.normal(size=(B, H)).astype("float32")
LOGITS = RANDOM.normal(size=(B, C)).astype("float32")


def build(by, **kwargs):
    """A transfer and the vector it takes."""
    if by == "label_embedding":
        kwargs["num_classes"] = C
    layer = Transfer(by, seed=1, **kwargs)
    vector = LOGITS if by == "label_embedding" else VECTOR
    layer(SEQUENCE, vector=vector)
    return layer, vector


def shake(layer):
    """Gives every weight of a layer a random value; returns them by name."""
    random = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape).astype("float32"))
    return {weight.name: np.asarray(weight) for weight in layer.weights}


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("by", FORMS)
def test_new_transfer_changes_nothing_bit_for_bit(by):
    layer, vector = build(by)
    np.testing.assert_array_equal(layer(SEQUENCE, vector=vector), SEQUENCE)
    graph = tf.function(lambda x, v: layer(x, vector=v))
    np.testing.assert_array_equal(graph(SEQUENCE, vector), SEQUENCE)
    # Wider than one SIMD register's rest, and numbers of very different size.
    wide = (RANDOM.normal(size=(2, 70, 132)) * 10.0 ** RANDOM.integers(-20, 9, 132)).astype(
        "float32"
    )
    layer = Transfer(by, num_classes=C if by == "label_embedding" else None)
    vector = LOGITS[:2] if by == "label_embedding" else wide[:, 0]
    np.testing.assert_array_equal(layer(wide, vector=vector), wide)


@pytest.mark.parametrize("by", FORMS)
def test_equations(by):
    layer, vector = build(by)
    w = shake(layer)
    labels = by == "label_embedding"
    vector_read = softmax(LOGITS) @ w["label_embeddings"] if labels else VECTOR
    if by in ("concat", "label_embedding"):
        both = np.concatenate([SEQUENCE, np.repeat(vector_read[:, None], N, 1)], -1)
        kernel = np.concatenate([w["token_kernel"], w["vector_kernel"]])
        expected = both @ kernel + w["bias"]
    elif by == "add":
        expected = SEQUENCE + (VECTOR @ w["vector_kernel"])[:, None]
    else:
        gate = SEQUENCE @ w["token_gate_kernel"] + (VECTOR @ w["vector_gate_kernel"])[:, None]
        gate = 1 / (1 + np.exp(-(gate + w["bias"])))
        expected = SEQUENCE + gate * (VECTOR @ w["vector_kernel"])[:, None]
    np.testing.assert_allclose(layer(SEQUENCE, vector=vector), expected, atol=2e-5)


@pytest.mark.parametrize("by", FORMS)
@pytest.mark.parametrize("stop_gradient", [False, True])
def test_gradient_reaches_the_vector_or_not(by, stop_gradient):
    layer, vector = build(by, stop_gradient=stop_gradient)
    shake(layer)
    sequence, vector = tf.constant(SEQUENCE), tf.constant(vector)
    with tf.GradientTape() as tape:
        tape.watch([sequence, vector])
        loss = tf.reduce_sum(layer(sequence, vector=vector) ** 2)
    of_sequence, of_vector, *of_weights = tape.gradient(loss, [sequence, vector, *layer.weights])
    assert np.abs(of_sequence).min() > 0
    assert all(np.abs(gradient).max() > 0 for gradient in of_weights)
    if stop_gradient:
        assert of_vector is None
    else:
        assert np.abs(of_vector).max() > 0


@pytest.mark.parametrize("by", FORMS)
def test_first_step_can_leave_the_start(by):
    layer, vector = build(by)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(SEQUENCE, vector=vector) ** 2)
    assert np.abs(tape.gradient(loss, layer.vector_kernel.value)).max() > 0


def test_the_dtype_policy_is_kept():
    layer, vector = build("label_embedding", dtype="mixed_bfloat16")
    assert layer(SEQUENCE, vector=vector).dtype == "bfloat16"
    assert layer.vector_kernel.dtype == "float32"


@pytest.mark.parametrize("by", FORMS)
def test_config_round_trip(by):
    layer, vector = build(by, stop_gradient=True, name="here")
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    copy(SEQUENCE, vector=vector)
    assert copy.get_config() == layer.get_config()
    for one, other in zip(copy.weights, layer.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="transfer by 'multiply' is unknown; choose one of concat"):
        Transfer("multiply")
    with pytest.raises(ValueError, match="num_classes goes with transfer by label_embedding"):
        Transfer("concat", num_classes=2)
    with pytest.raises(ValueError, match="num_classes goes with transfer by label_embedding"):
        Transfer("label_embedding")
    with pytest.raises(ValueError, match="takes a vector of dimension 2, not 8"):
        Transfer("label_embedding", num_classes=2)(SEQUENCE, vector=VECTOR)
