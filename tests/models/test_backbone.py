"""The backbone: BERT's values, the hierarchy's wiring, seeds, saving."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy_bert import encode

from hierbert_tf.models.backbone import HierarchicalBertBackbone

V, L, A, H, T = 50, 3, 2, 8, 9
SHAPE = {
    "vocabulary_size": V,
    "num_layers": L,
    "num_heads": A,
    "hidden_dim": H,
    "intermediate_dim": 16,
    "max_sequence_length": 16,
    "seed": 5,
}
POOLERS = {"next_sentence": 1, "bigram_shift": 2}
TRANSFERS = [
    {"source": "next_sentence", "by": "label_embedding", "num_classes": 3},
    {"source": "bigram_shift", "by": "concat", "stop_gradient": True},
]
RANDOM = np.random.default_rng(0)
INPUTS = {
    "token_ids": RANDOM.integers(0, V, (2, T)).astype("int32"),
    "segment_ids": RANDOM.integers(0, 2, (2, T)).astype("int32"),
    "padding_mask": np.array([[1] * T, [1] * 5 + [0] * 4], "int32"),
}
TOKENS = INPUTS["padding_mask"] == 1


def shake(model):
    """Weights far from BERT's small initial ones, so that every path matters."""
    random = np.random.default_rng(3)
    for weight in model.trainable_weights:
        centre = 1.0 if weight.name == "gamma" else 0.0
        weight.assign(centre + 0.3 * random.normal(size=weight.shape).astype("float32"))
    return {weight.path: np.asarray(weight) for weight in model.weights}


@pytest.fixture(scope="module")
def plain():
    model = HierarchicalBertBackbone(**SHAPE)
    shake(model)
    return model


@pytest.fixture(scope="module")
def hierarchical():
    model = HierarchicalBertBackbone(**SHAPE, poolers=POOLERS, transfers=TRANSFERS)
    shake(model)
    return model


def test_every_layer_equals_a_bert_written_in_numpy(plain):
    outputs = plain(INPUTS)
    weights = {weight.path: np.asarray(weight) for weight in plain.weights}
    expected = encode(weights, INPUTS, L, A)
    assert [*outputs] == ["layer_0", "layer_1", "layer_2", "layer_3", "sequence_output"]
    for number, layer in enumerate(expected):
        np.testing.assert_allclose(
            np.asarray(outputs[f"layer_{number}"])[TOKENS], layer[TOKENS], atol=1e-5
        )
    np.testing.assert_array_equal(outputs["sequence_output"], outputs["layer_3"])


def test_inputs_are_not_swapped(plain):
    before = np.asarray(plain(INPUTS)["layer_0"])
    for name in ("token_ids", "segment_ids"):
        changed = {**INPUTS, name: 1 - np.minimum(INPUTS[name], 1)}
        assert np.abs(np.asarray(plain(changed)["layer_0"]) - before).max() > 0.01
    changed = {**INPUTS, "padding_mask": np.ones((2, T), "int32")}
    after = plain(changed)
    np.testing.assert_array_equal(after["layer_0"], before)
    # Only the second row had padding.
    np.testing.assert_array_equal(after["layer_1"][0], plain(INPUTS)["layer_1"][0])
    assert np.abs(np.asarray(after["layer_1"][1] - plain(INPUTS)["layer_1"][1])).max() > 0.01


def test_padding_added_changes_nothing(hierarchical):
    padded = {name: np.pad(array, ((0, 0), (0, 6))) for name, array in INPUTS.items()}
    before, after = hierarchical(INPUTS), hierarchical(padded)
    for name, values in before.items():
        values, others = np.asarray(values), np.asarray(after[name])
        if values.ndim == 3:
            values, others = values[TOKENS], others[:, :T][TOKENS]
        np.testing.assert_allclose(others, values, atol=2e-6, err_msg=name)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_poolers_and_transfers_are_wired_as_documented(hierarchical):
    outputs = {name: np.asarray(value) for name, value in hierarchical(INPUTS).items()}
    w = {weight.path: np.asarray(weight) for weight in hierarchical.weights}

    def pooled(name, layer):
        kernel, bias = w[f"{name}_pooler/dense/kernel"], w[f"{name}_pooler/dense/bias"]
        return np.tanh(outputs[layer][:, 0] @ kernel + bias)

    next_sentence = pooled("next_sentence", "layer_1")
    bigram_shift = pooled("bigram_shift", "layer_2")
    np.testing.assert_allclose(outputs["next_sentence_pooled"], next_sentence, atol=1e-5)
    np.testing.assert_allclose(outputs["bigram_shift_pooled"], bigram_shift, atol=1e-5)
    np.testing.assert_array_equal(outputs["pooled_output"], outputs["bigram_shift_pooled"])
    logits = next_sentence @ w["next_sentence_classifier/kernel"]
    logits = logits + w["next_sentence_classifier/bias"]
    np.testing.assert_allclose(outputs["next_sentence_logits"], logits, atol=1e-5)

    vectors = {
        "next_sentence": softmax(logits) @ w["next_sentence_transfer/label_embeddings"],
        "bigram_shift": bigram_shift,
    }
    for number, (name, vector) in enumerate(vectors.items(), start=1):
        stream = outputs[f"layer_{number}"] @ w[f"{name}_transfer/token_kernel"]
        stream = stream + (vector @ w[f"{name}_transfer/vector_kernel"])[:, None]
        stream = (stream + w[f"{name}_transfer/bias"]).astype("float32")
        block = hierarchical.encoder_blocks[number]
        expected = block(stream, padding_mask=INPUTS["padding_mask"])
        np.testing.assert_allclose(outputs[f"layer_{number + 1}"], expected, atol=1e-4)


def test_pooler_at_the_embeddings_gives_to_the_first_block():
    model = HierarchicalBertBackbone(
        **SHAPE, poolers={"a": 0, "b": 0}, transfers=[{"source": "a", "by": "add"}]
    )
    before = model(INPUTS)
    shake(model.get_layer("a_transfer"))
    after = model(INPUTS)
    np.testing.assert_array_equal(after["layer_0"], before["layer_0"])
    assert np.abs(np.asarray(after["layer_1"] - before["layer_1"])).max() > 0.01
    np.testing.assert_array_equal(after["pooled_output"], after["a_pooled"])


def test_poolers_and_transfers_leave_all_other_initial_weights():
    one = HierarchicalBertBackbone(**SHAPE)
    two = HierarchicalBertBackbone(**SHAPE, poolers=POOLERS, transfers=TRANSFERS)
    shared = {weight.path: np.asarray(weight) for weight in two.weights}
    for weight in one.weights:
        np.testing.assert_array_equal(weight, shared[weight.path], err_msg=weight.path)
    np.testing.assert_array_equal(two(INPUTS)["layer_3"], one(INPUTS)["layer_3"])
    # Dropout seeds too: the same masks are drawn.
    np.testing.assert_array_equal(
        two(INPUTS, training=True)["layer_3"], one(INPUTS, training=True)["layer_3"]
    )


def test_no_two_kernels_start_alike_and_the_seed_decides():
    model = HierarchicalBertBackbone(**SHAPE, poolers=POOLERS)
    kernels = [np.asarray(w).ravel()[:8].tobytes() for w in model.weights if w.name == "kernel"]
    assert len(set(kernels)) == len(kernels) == 6 * L + 2
    other = HierarchicalBertBackbone(**{**SHAPE, "seed": 6})
    path = "encoder_block_2/intermediate/kernel"
    first, second = (
        next(np.asarray(w) for w in m.weights if w.path == path) for m in (model, other)
    )
    assert (first != second).any()
    states = [tuple(np.asarray(v).tolist()) for v in other.non_trainable_variables]
    assert len(set(states)) == len(states) == 1 + 3 * L


def test_stop_gradient_keeps_the_receiver_from_the_pooler(hierarchical):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(hierarchical(INPUTS)["layer_3"] ** 2)
    gradients = tape.gradient(loss, [w.value for w in hierarchical.trainable_weights])
    reached = {
        w.path: g is not None and float(np.abs(tf.convert_to_tensor(g)).max()) > 0
        for w, g in zip(hierarchical.trainable_weights, gradients, strict=True)
    }
    assert reached["next_sentence_pooler/dense/kernel"]
    assert reached["next_sentence_classifier/kernel"]
    assert not reached["bigram_shift_pooler/dense/kernel"]
    assert reached["bigram_shift_transfer/vector_kernel"]
    assert reached["embeddings/token_embedding/embeddings"]


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_dtype_policy_reaches_all_layers(dtype):
    model = HierarchicalBertBackbone(**SHAPE, poolers=POOLERS, transfers=TRANSFERS, dtype=dtype)
    full = HierarchicalBertBackbone(**SHAPE, poolers=POOLERS, transfers=TRANSFERS)
    outputs, expected = model(INPUTS), full(INPUTS)
    dtypes = {keras.backend.standardize_dtype(value.dtype) for value in outputs.values()}
    assert dtypes == {dtype.removeprefix("mixed_")}
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    half = np.asarray(outputs["layer_3"]).astype("float32")
    np.testing.assert_allclose(half[TOKENS], np.asarray(expected["layer_3"])[TOKENS], atol=0.1)


def test_config_round_trip(hierarchical):
    config = hierarchical.get_config()
    copy = HierarchicalBertBackbone.from_config(config)
    assert copy.get_config() == config
    copy.set_weights(hierarchical.get_weights())
    np.testing.assert_array_equal(copy(INPUTS)["layer_3"], hierarchical(INPUTS)["layer_3"])


FRESH = """
import sys
import keras
import numpy as np
import hierbert_tf.models.backbone

folder = sys.argv[1]
inputs = dict(np.load(folder + "/inputs.npz"))
expected = np.load(folder + "/outputs.npz")
outputs = keras.saving.load_model(folder + "/model.keras")(inputs)
assert set(outputs) == set(expected)
for name in expected:
    np.testing.assert_array_equal(outputs[name], expected[name])
"""


def test_saved_model_loads_in_a_fresh_process(hierarchical, tmp_path):
    hierarchical.save(tmp_path / "model.keras")
    np.savez(tmp_path / "inputs.npz", **INPUTS)
    np.savez(
        tmp_path / "outputs.npz", **{k: np.asarray(v) for k, v in hierarchical(INPUTS).items()}
    )
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_preset_round_trip(hierarchical, tmp_path):
    hierarchical.save_to_preset(str(tmp_path))
    copy = HierarchicalBertBackbone.from_preset(str(tmp_path))
    assert copy.get_config() == hierarchical.get_config()
    np.testing.assert_array_equal(copy(INPUTS)["layer_3"], hierarchical(INPUTS)["layer_3"])
    np.testing.assert_array_equal(
        copy(INPUTS)["next_sentence_logits"], hierarchical(INPUTS)["next_sentence_logits"]
    )


def test_lora_trains_query_and_value_alone():
    model = HierarchicalBertBackbone(**SHAPE)
    before = np.asarray(model(INPUTS)["layer_3"])
    model.enable_lora(2)
    # Of each of the two: the low-rank factors and the bias.
    assert len(model.trainable_weights) == 2 * 3 * L
    assert {weight.path.split("/")[1] for weight in model.trainable_weights} == {"query", "value"}
    np.testing.assert_array_equal(model(INPUTS)["layer_3"], before)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(INPUTS)["layer_3"] ** 2)
    gradients = tape.gradient(loss, [w.value for w in model.trainable_weights])
    assert all(gradient is not None for gradient in gradients)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"poolers": {"a": 4}}, "pooler 'a' is at layer 4, outside 0 to 3"),
        ({"poolers": {"a": -1}}, "pooler 'a' is at layer -1, outside 0 to 3"),
        ({"transfers": [{"source": "a"}]}, "a transfer's source 'a' is none of the poolers"),
        (
            {"poolers": {"a": 3}, "transfers": [{"source": "a"}]},
            "a transfer from 'a' at the last layer 3 enters no block",
        ),
        (
            {"poolers": {"a": 1}, "transfers": [{"source": "a"}, {"source": "a", "by": "add"}]},
            "two transfers have the source 'a'",
        ),
        ({"transfers": [{"from": "a"}]}, "a transfer is a dict of source, by"),
        ({"num_heads": 3}, "3 attention heads do not divide the hidden dimension 8"),
    ],
)
def test_wrong_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        HierarchicalBertBackbone(**{**SHAPE, **change})


def test_attributes_and_layer_names(hierarchical):
    assert hierarchical.token_embedding is hierarchical.embeddings.token_embedding
    assert [block.name for block in hierarchical.encoder_blocks] == [
        "encoder_block_1",
        "encoder_block_2",
        "encoder_block_3",
    ]
    names = {layer.name for layer in hierarchical.layers}
    assert {"embeddings", "next_sentence_pooler", "bigram_shift_transfer"} <= names
