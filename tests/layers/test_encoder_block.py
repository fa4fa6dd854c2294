"""The encoder block: padding, precision, dropout; its values are checked in test_backbone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.layers.encoder_block import EncoderBlock

B, T, H = 2, 7, 8
RANDOM = np.random.default_rng(0)
HIDDEN = RANDOM.normal(size=(B, T, H)).astype("float32")
MASK = np.array([[1] * 7, [1] * 4 + [0] * 3], "int32")


def build(**kwargs):
    """A block with larger weights than BERT's, so that attention matters."""
    block = EncoderBlock(2, 16, seed=1, **kwargs)
    block(HIDDEN, padding_mask=MASK)
    random = np.random.default_rng(2)
    for weight in block.trainable_weights:
        if weight.name == "kernel":
            weight.assign(random.normal(size=weight.shape).astype("float32") * 0.5)
    return block


@pytest.mark.parametrize("extra", [1, 5, 33])
def test_padding_added_never_changes_tokens(extra):
    block = build()
    expected = np.asarray(block(HIDDEN, padding_mask=MASK))
    junk = RANDOM.normal(size=(B, extra, H)).astype("float32") * 50
    padded = np.concatenate([HIDDEN, junk], 1)
    mask = np.concatenate([MASK, np.zeros((B, extra), "int32")], 1)
    output = np.asarray(block(padded, padding_mask=mask))[:, :T]
    np.testing.assert_allclose(output[MASK == 1], expected[MASK == 1], atol=1e-6)


def test_what_stands_in_padding_never_changes_tokens_bit_for_bit():
    block = build()
    other = np.where(MASK[:, :, None] == 1, HIDDEN, 1e4).astype("float32")
    one, two = (np.asarray(block(x, padding_mask=MASK)) for x in (HIDDEN, other))
    np.testing.assert_array_equal(one[MASK == 1], two[MASK == 1])


def test_no_mask_is_a_mask_of_ones():
    block = build()
    np.testing.assert_array_equal(
        block(HIDDEN), block(HIDDEN, padding_mask=np.ones((B, T), "int32"))
    )


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_row_of_padding_alone_is_finite(dtype):
    block = build(dtype=dtype)
    mask = np.array([[1] * T, [0] * T], "int32")
    assert np.isfinite(np.asarray(block(HIDDEN, padding_mask=mask)).astype("float32")).all()


@pytest.mark.parametrize(("dtype", "tolerance"), [("mixed_bfloat16", 0.1), ("mixed_float16", 0.02)])
def test_half_precision_is_near(dtype, tolerance):
    output = np.asarray(build(dtype=dtype)(HIDDEN, padding_mask=MASK)).astype("float32")
    expected = np.asarray(build()(HIDDEN, padding_mask=MASK))
    np.testing.assert_allclose(output[MASK == 1], expected[MASK == 1], atol=tolerance)


def gradients(block, inputs):
    hidden = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(hidden)
        output = block(hidden, padding_mask=MASK)
        loss = tf.reduce_sum(tf.cast(output, "float32") * HIDDEN[:, ::-1])
    return tape.gradient(loss, [hidden, *[w.value for w in block.trainable_weights]])


def test_gradients_are_the_slopes():
    block = build()
    analytic, *_ = gradients(block, HIDDEN)
    step, index = 1e-2, (0, 3, 5)
    losses = []
    for sign in (1, -1):
        moved = HIDDEN.copy()
        moved[index] += sign * step
        output = np.asarray(block(moved, padding_mask=MASK), "float64")
        losses.append((output * HIDDEN[:, ::-1]).sum())
    np.testing.assert_allclose(analytic[index], (losses[0] - losses[1]) / (2 * step), rtol=5e-3)


def test_graph_equals_eager():
    block = build()
    graph = tf.function(
        lambda x, m: block(x, padding_mask=m),
        input_signature=[
            tf.TensorSpec((None, None, H)),
            tf.TensorSpec((None, None), tf.int32),
        ],
    )
    np.testing.assert_allclose(graph(HIDDEN, MASK), block(HIDDEN, padding_mask=MASK), atol=1e-6)


def test_dropout_is_drawn_at_three_places():
    block = build(dropout=0.5, attention_dropout=0.5)
    assert len(block.non_trainable_variables) == 3
    still = np.asarray(block(HIDDEN, padding_mask=MASK))
    first = np.asarray(block(HIDDEN, padding_mask=MASK, training=True))
    second = np.asarray(block(HIDDEN, padding_mask=MASK, training=True))
    assert (first != still).any() and (first != second).any()
    assert [int(np.asarray(state)[1]) for state in block.non_trainable_variables] == [2, 2, 2]


@pytest.mark.parametrize("rates", [(0.0, 0.5), (0.5, 0.0)])
def test_each_rate_acts_alone(rates):
    dropout, attention_dropout = rates
    block = build(dropout=dropout, attention_dropout=attention_dropout)
    still = np.asarray(block(HIDDEN, padding_mask=MASK))
    trained = np.asarray(block(HIDDEN, padding_mask=MASK, training=True))
    assert (trained != still).any()


def test_heads_must_divide_the_hidden_dimension():
    with pytest.raises(ValueError, match="3 attention heads do not divide the hidden dimension 8"):
        EncoderBlock(3, 16)(HIDDEN)


def test_config_round_trip():
    block = build(dropout=0.2, attention_dropout=0.3, name="here")
    copy = keras.layers.deserialize(keras.layers.serialize(block))
    assert copy.get_config() == block.get_config()
