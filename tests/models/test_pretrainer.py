import subprocess
import sys

import keras
import numpy as np
import pytest

from hierbert_tf.config import EncoderConfig, ReceivesConfig, TaskConfig
from hierbert_tf.models.pretrainer import build_pretrainer

V, T, P = 30, 12, 3
ENCODER = EncoderConfig(layers=2, hidden=8, heads=2, positions=16)
NSP = TaskConfig("next_sentence", 1)
SHIFT = TaskConfig("bigram_shift", 1, 0.5)
MLM = TaskConfig("masked_lm", 2)


def receiving(task: TaskConfig, **transfer) -> TaskConfig:
    return TaskConfig(
        task.name, task.layer, task.weight, ReceivesConfig("next_sentence", **transfer)
    )


def build(*tasks: TaskConfig, seed: int = 1):
    return build_pretrainer(ENCODER, tasks, V, seed)


def batch(length: int = T, seed: int = 0) -> tuple[dict, dict, dict]:
    random = np.random.default_rng(seed)
    mask = (np.arange(length)[None] < np.array([[10], [7], [12], [9]])).astype("int32")
    ids = random.integers(5, V, (4, 12)).astype("int32")
    ids = np.pad(ids, ((0, 0), (0, length - 12))) * mask
    segments = ((np.arange(length)[None] > 5) * mask).astype("int32")
    positions = [[1, 2, 4], [3, 0, 0], [1, 5, 8], [2, 6, 0]]
    features = {
        "token_ids": ids,
        "segment_ids": segments,
        "padding_mask": mask,
        "masked_lm_positions": np.array(positions, "int32"),
    }
    labels = {
        "next_sentence": np.array([0, 1, 1, 0], "int32"),
        "bigram_shift": np.array([1, 0, 1, 0], "int32"),
        "masked_lm": random.integers(5, V, (4, P)).astype("int32"),
    }
    weights = {
        "next_sentence": np.array([1, 1, 0, 1], "float32"),
        "bigram_shift": np.ones(4, "float32"),
        "masked_lm": (np.array(positions) > 0).astype("float32"),
    }
    return features, labels, weights


def logits(model, features=None) -> dict[str, np.ndarray]:
    outputs = model(features or batch()[0], training=False)
    return {name: keras.ops.convert_to_numpy(value) for name, value in outputs.items()}


def names_of(model) -> dict[str, np.ndarray]:
    return {v.path: keras.ops.convert_to_numpy(v.value) for v in model.trainable_variables}


@pytest.fixture(scope="module")
def model():
    return build(NSP, SHIFT, receiving(MLM))


@pytest.mark.parametrize("into", ["block", "head"])
@pytest.mark.parametrize("by", ["concat", "add", "gate", "label_embedding"])
def test_at_step_0_a_transfer_changes_nothing_bit_for_bit(by, into):
    without = logits(build(NSP, MLM))
    received = build(NSP, receiving(MLM, by=by, into=into))
    with_transfer = logits(received)
    np.testing.assert_array_equal(without["masked_lm"], with_transfer["masked_lm"])
    if not (by == "label_embedding" and into == "block"):  # its classifier has another name
        np.testing.assert_array_equal(without["next_sentence"], with_transfer["next_sentence"])
    # The transfer is there all the same: its weights reach the logits.
    (kernel,) = [v for v in received.trainable_variables if v.path.endswith("vector_kernel")]
    # Not a constant, which the next LayerNorm would take out again.
    kernel.assign(np.random.default_rng(0).normal(size=kernel.shape))
    assert np.abs(logits(received)["masked_lm"] - without["masked_lm"]).max() > 1e-4


def test_another_task_changes_no_initial_weight():
    few, many = names_of(build(NSP, MLM)), names_of(build(NSP, SHIFT, MLM))
    assert set(few) < set(many)
    for name, value in few.items():
        np.testing.assert_array_equal(value, many[name], err_msg=name)
    other = names_of(build(NSP, MLM, seed=2))
    assert any(not np.array_equal(few[name], other[name]) for name in few)


def test_moving_a_task_is_one_integer():
    low, high = build(NSP, MLM), build(TaskConfig("next_sentence", 2), MLM)
    assert not np.array_equal(logits(low)["next_sentence"], logits(high)["next_sentence"])
    embeddings = build(TaskConfig("next_sentence", 0), MLM)
    assert logits(embeddings)["next_sentence"].shape == (4, 2)


def test_padding_changes_no_logit_and_no_loss(model):
    short, long = batch(T), batch(T + 4)
    for name, value in logits(model, short[0]).items():
        np.testing.assert_allclose(value, logits(model, long[0])[name], atol=1e-6)
    model.compile()
    one = model.evaluate(*short[:2], sample_weight=short[2], batch_size=4, verbose=0)
    other = model.evaluate(*long[:2], sample_weight=long[2], batch_size=4, verbose=0)
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_every_input_counts(model):
    features = batch()[0]
    whole = logits(model)
    for name in features:
        changed = {**features, name: np.roll(features[name], 1, axis=1)}
        if name == "padding_mask":
            changed = {**features, name: np.ones_like(features[name])}
        assert np.abs(logits(model, changed)["masked_lm"] - whole["masked_lm"]).max() > 1e-6, name


def test_losses_are_those_of_numpy(model):
    features, labels, weights = batch()
    model.compile()
    got = model.evaluate(features, labels, sample_weight=weights, batch_size=4, verbose=0,
                         return_dict=True)  # fmt: skip
    outputs = logits(model)
    total = 0.0
    for task, factor in (("next_sentence", 1.0), ("bigram_shift", 0.5), ("masked_lm", 1.0)):
        scores = outputs[task].astype("float64")
        log_probabilities = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        picked = np.take_along_axis(log_probabilities, labels[task][..., None], -1)[..., 0]
        loss = -(picked * weights[task]).sum() / weights[task].sum()
        correct = (scores.argmax(-1) == labels[task]) * weights[task]
        np.testing.assert_allclose(got[f"{task}_loss"], loss, rtol=1e-5)
        np.testing.assert_allclose(
            got[f"{task}_accuracy"], correct.sum() / weights[task].sum(), rtol=1e-6
        )
        total += factor * loss
    np.testing.assert_allclose(got["loss"], total, rtol=1e-5)


def test_token_labels_have_a_distribution_each():
    shift = TaskConfig("bigram_shift", 2, options={"labels": "token"})
    model = build(shift, MLM)
    scores = logits(model)["bigram_shift"]
    (kernel,) = [
        v for v in model.trainable_variables if v.path.endswith("bigram_shift_logits/kernel")
    ]
    hidden = model.backbone(
        {k: batch()[0][k] for k in ("token_ids", "segment_ids", "padding_mask")}
    )
    np.testing.assert_allclose(scores, hidden["layer_2"].numpy() @ kernel.numpy(), atol=1e-5)


def test_a_saved_model_loads_in_a_fresh_process(model, tmp_path):
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "features.npz", **batch()[0])
    program = (
        "import sys, numpy, keras, hierbert_tf\n"
        "folder = sys.argv[1]\n"
        "model = keras.saving.load_model(folder + '/model.keras')\n"
        "features = dict(numpy.load(folder + '/features.npz'))\n"
        "logits = model(features, training=False)\n"
        "numpy.savez(folder + '/logits.npz', **{k: v.numpy() for k, v in logits.items()})\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True)
    loaded = np.load(tmp_path / "logits.npz")
    for name, value in logits(model).items():
        np.testing.assert_array_equal(value, loaded[name])


def test_fit_lowers_every_loss():
    model = build(NSP, SHIFT, receiving(MLM))
    features, labels, weights = batch()
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    arguments = {"sample_weight": weights, "batch_size": 4, "verbose": 0}
    before = model.evaluate(features, labels, return_dict=True, **arguments)
    model.fit(features, labels, epochs=60, **arguments)
    after = model.evaluate(features, labels, return_dict=True, **arguments)
    for task in ("next_sentence", "bigram_shift", "masked_lm"):
        assert after[f"{task}_loss"] < 0.5 * before[f"{task}_loss"], task
