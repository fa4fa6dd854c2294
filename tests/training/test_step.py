import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_model import TASKS, tiny_batch, tiny_model

from hierbert_tf.config import EncoderConfig, TaskConfig
from hierbert_tf.errors import InputError
from hierbert_tf.models.pretrainer import build_pretrainer
from hierbert_tf.training.losses import weighted_sums
from hierbert_tf.training.optimizer import AdamW
from hierbert_tf.training.step import TrainingStep, batch_rows


def tensors(step: int, size: int = 8, length: int = 5):
    return tf.nest.map_structure(tf.constant, tiny_batch(step, size, length))


def weights(model) -> list[np.ndarray]:
    return [variable.numpy() for variable in model.trainable_variables]


@pytest.mark.usefixtures("eagerly")
def test_losses_and_update_against_a_plain_computation():
    model, copy = tiny_model(), tiny_model()
    batch = tensors(0)
    step = TrainingStep(model, TASKS, AdamW(0.01, global_clipnorm=0.5))
    metrics = step(batch)
    with tf.GradientTape() as tape:
        logits = copy(batch[0], training=True)
        losses, accuracies = {}, {}
        for task in TASKS:
            sums = weighted_sums(batch[1][task.name], logits[task.name], batch[2][task.name])
            losses[task.name], accuracies[task.name] = sums[0] / sums[1], sums[2] / sums[1]
        total = 0.5 * losses["next_sentence"] + losses["masked_lm"]
    optimizer = AdamW(0.01, global_clipnorm=0.5)
    variables = copy.trainable_variables
    norm = optimizer.apply(tape.gradient(total, [v.value for v in variables]), variables)
    expected = {"total/loss": total, "gradient_norm": norm, "learning_rate": 0.01, "ok": 1.0}
    expected["tokens"] = batch[0]["padding_mask"].numpy().sum()
    for name in losses:
        expected |= {f"{name}/loss": losses[name], f"{name}/accuracy": accuracies[name]}
        expected[f"{name}/weight"] = batch[2][name].numpy().sum()
    assert set(metrics) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(float(metrics[name]), float(value), rtol=1e-5, err_msg=name)
    for ours, theirs in zip(weights(model), weights(copy), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_not_finite_names_the_task_and_freezes_everything(precision):
    keras.config.set_dtype_policy(precision)
    try:
        model = tiny_model()
    finally:
        keras.config.set_dtype_policy("float32")
    step = TrainingStep(model, TASKS, AdamW(0.01))
    assert float(step(tensors(0))["ok"]) == 1.0
    before = [v.numpy() for v in (*model.trainable_variables, *step.optimizer.variables)]
    features, labels, task_weights = tensors(1)
    bad = {**task_weights, "next_sentence": task_weights["next_sentence"] * np.nan}
    metrics = step((features, labels, bad))
    assert "the loss of next_sentence (nan) is not finite" in step.failure(metrics)
    # A good batch later does not hide the failure.
    assert float(step(tensors(2))["ok"]) == 0.0
    after = [v.numpy() for v in (*model.trainable_variables, *step.optimizer.variables)]
    for value, expected in zip(after, before, strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.usefixtures("eagerly")
def test_float16_overflow_halves_the_scale_and_goes_on():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = tiny_model()
    finally:
        keras.config.set_dtype_policy("float32")
    step = TrainingStep(model, TASKS, AdamW(0.01))
    step.loss_scale.scale.assign(2.0**40)
    before = weights(model)
    metrics = step(tensors(0))
    assert float(metrics["ok"]) == 1.0 and not np.isfinite(float(metrics["gradient_norm"]))
    for value, expected in zip(weights(model), before, strict=True):
        np.testing.assert_array_equal(value, expected)
    assert float(step.loss_scale.scale) == 2.0**39
    step.loss_scale.scale.assign(2.0**10)
    metrics = step(tensors(0))
    plain = TrainingStep(tiny_model(), TASKS, AdamW(0.01))(tensors(0))
    np.testing.assert_allclose(
        float(metrics["gradient_norm"]), float(plain["gradient_norm"]), rtol=0.02
    )
    assert step.state_variables[-2:] == step.loss_scale.variables


@pytest.mark.usefixtures("eagerly")
def test_a_gradient_that_is_not_finite_is_told_apart():
    step = TrainingStep(tiny_model(), TASKS, AdamW(0.01))
    metrics = {"ok": 0.0, "gradient_norm": np.inf}
    metrics |= {"next_sentence/loss": 1.0, "masked_lm/loss": 2.0}
    assert "the gradient is not finite (norm inf)" in step.failure(metrics)


@pytest.mark.usefixtures("eagerly")
def test_a_task_of_weight_zero_is_measured_but_not_learnt():
    tasks = (dataclasses.replace(TASKS[0], weight=0.0), TASKS[1])
    model = tiny_model()
    head = model.get_layer("next_sentence").get_weights()
    metrics = TrainingStep(model, tasks, AdamW(0.01))(tensors(0))
    assert float(metrics["next_sentence/loss"]) > 0
    np.testing.assert_allclose(float(metrics["total/loss"]), float(metrics["masked_lm/loss"]))
    for value, expected in zip(model.get_layer("next_sentence").get_weights(), head, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_errors():
    model = tiny_model()
    step = TrainingStep(model, TASKS, AdamW(0.01), accumulation=3)
    with pytest.raises(InputError, match="8 sequences does not divide into 1 replicas x 3"):
        step(tensors(0))
    with pytest.raises(InputError, match="every weight is 0"):
        TrainingStep(model, [TaskConfig("masked_lm", 1, weight=0.0)], AdamW(0.01))


def test_batch_rows_without_remainder_and_with():
    batch = ({"a": tf.range(7)}, {"b": tf.reshape(tf.range(14), [7, 2])}, {})
    parts = [batch_rows(batch, part, 3) for part in range(3)]
    assert [part[0]["a"].numpy().tolist() for part in parts] == [[0, 1], [2, 3], [4, 5, 6]]
    np.testing.assert_array_equal(tf.concat([p[1]["b"] for p in parts], 0), batch[1]["b"])


EQUIVALENCE_SCRIPT = """
import json
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tiny_model import TASKS, tiny_batch, tiny_dataset, tiny_model
from hierbert_tf.errors import InputError
from hierbert_tf.models.pretrainer import build_pretrainer
from hierbert_tf.training.evaluation_step import EvaluationStep
from hierbert_tf.training.losses import GlobalMeanCrossEntropy
from hierbert_tf.training.optimizer import AdamW
from hierbert_tf.training.step import TrainingStep

two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
one = tf.distribute.get_strategy()

def make(strategy):
    with strategy.scope():
        return tiny_model(), AdamW(0.01, global_clipnorm=0.3)

def values(model):
    return [v.numpy() for v in model.trainable_variables]

def steps(strategy, accumulation, uncertainty=False, xla=False):
    model, optimizer = make(strategy)
    step = TrainingStep(model, TASKS, optimizer, strategy, accumulation, xla, uncertainty)
    metrics = []
    for number, batch in enumerate(tiny_dataset(0, 5)):
        metrics.append({k: float(v) for k, v in step(batch).items()})
    return values(model), metrics, model, step

def fit(strategy):
    model, optimizer = make(strategy)
    with strategy.scope():
        model.compile(
            optimizer=optimizer,
            loss={task.name: GlobalMeanCrossEntropy() for task in TASKS},
            loss_weights={task.name: task.weight for task in TASKS},
        )
    # Rows go to the replicas by tf.distribute here.
    history = model.fit(tiny_dataset(0, 5), verbose=0)
    return values(model)

def distance(first, second):
    return max(float(np.abs(a - b).max()) for a, b in zip(first, second))

base, metrics, model, _ = steps(one, 1)
learned, _, _, _ = steps(one, 1, True)
found = {}
for name, arguments in {
    "accumulation": (one, 2), "replicas": (two, 1), "xla": (one, 2, False, True),
}.items():
    other, other_metrics, other_model, other_step = steps(*arguments)
    found[name] = distance(base, other)
    found[name + " metrics"] = max(
        abs(a[key] - b[key]) for a, b in zip(metrics, other_metrics) for key in a)
    if name == "replicas":
        whole = EvaluationStep(model, TASKS, one).evaluate(tiny_dataset(7, 9))
        # 7 rows: they do not divide by two.
        halves = EvaluationStep(other_model, TASKS, two).evaluate(tiny_dataset(7, 9))
        found["evaluation"] = max(abs(whole[key] - halves[key]) for key in whole)
        before = values(other_model)
        features, labels, weights = tiny_batch(0)
        weights["masked_lm"] = weights["masked_lm"] * np.nan
        bad = tf.nest.map_structure(tf.constant, (features, labels, weights))
        found["failure"] = other_step.failure(other_step(bad))
        found["after failure"] = distance(before, values(other_model))
found["uncertainty"] = distance(learned, steps(two, 2, True)[0])
found["fit"] = distance(base, fit(one))
found["fit replicas"] = distance(base, fit(two))
try:
    steps(two, 1, False, True)
except InputError as error:
    found["xla replicas"] = str(error)
print(json.dumps(found))
"""


def test_replicas_accumulation_xla_and_fit_are_equal():
    """In a process of its own: the number of logical devices is fixed at the start."""
    done = subprocess.run(
        [sys.executable, "-c", EQUIVALENCE_SCRIPT],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("failure") == "the loss of masked_lm (nan) is not finite"
    assert "training.xla is on with 2 replicas" in found.pop("xla replicas")
    assert found.pop("after failure") == 0.0
    assert max(found.values()) < 1e-5, found


def test_xla_and_a_plain_graph_agree_on_the_real_model():
    tasks = (TaskConfig("next_sentence", 1), TaskConfig("masked_lm", 1))
    encoder = EncoderConfig(
        layers=1, hidden=8, heads=2, positions=8, dropout=0.0, attention_dropout=0.0
    )
    random = np.random.default_rng(0)
    ids = random.integers(1, 20, [4, 6]).astype("int32")
    mask = np.ones([4, 6], "int32")
    mask[:2, 4:] = 0
    features = {
        "token_ids": ids * mask,
        "segment_ids": np.repeat([[0, 0, 0, 1, 1, 1]], 4, 0).astype("int32"),
        "padding_mask": mask,
        "masked_lm_positions": random.integers(0, 4, [4, 2]).astype("int32"),
    }
    labels = {
        "next_sentence": np.array([0, 1, 1, 0], "int32"),
        "masked_lm": random.integers(0, 20, [4, 2]).astype("int32"),
    }
    item_weights = {
        "next_sentence": np.ones([4], "float32"),
        "masked_lm": np.array([[1, 1], [1, 0], [0, 1], [1, 1]], "float32"),
    }
    batch = tf.nest.map_structure(tf.constant, (features, labels, item_weights))
    found = []
    for jit_compile in (False, True):
        model = build_pretrainer(encoder, tasks, vocabulary_size=20, seed=3)
        step = TrainingStep(model, tasks, AdamW(0.01, global_clipnorm=1.0), jit_compile=jit_compile)
        metrics = {name: float(value) for name, value in step(batch).items()}
        found.append((metrics, weights(model)))
    (plain, plain_weights), (compiled, compiled_weights) = found
    assert plain["ok"] == 1.0
    for name, value in plain.items():
        np.testing.assert_allclose(compiled[name], value, atol=1e-4, err_msg=name)
    for ours, theirs in zip(compiled_weights, plain_weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
