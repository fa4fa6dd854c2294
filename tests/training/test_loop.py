import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_model import TASKS, tiny_batch, tiny_dataset, tiny_model

from hierbert_tf.config import MonitorConfig, RunConfig, TrainingConfig
from hierbert_tf.errors import InputError, RunStopped
from hierbert_tf.training.checkpoints import Checkpoints
from hierbert_tf.training.evaluation_step import EvaluationStep
from hierbert_tf.training.interruption import Interruption
from hierbert_tf.training.loop import train
from hierbert_tf.training.monitor.monitor import Monitor
from hierbert_tf.training.optimizer import AdamW

# The `eagerly` fixture means the step, not the data.
pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config")

CONFIG = RunConfig(
    tasks=TASKS,
    training=TrainingConfig(steps=6, uncertainty_weights=True),
    monitor=MonitorConfig(
        log_every=2, evaluate_every=3, cosine_every=2, checkpoint_every=2, keep_checkpoints=2
    ),
)


def held_out() -> tf.data.Dataset:
    return tiny_dataset(990, 993)


def run(folder: Path, config: RunConfig = CONFIG, batches=tiny_dataset, start=0, **kwargs):
    model = tiny_model(dropout=0.4)
    optimizer = AdamW(0.02, global_clipnorm=1.0)
    checkpoints = Checkpoints(folder / "checkpoints", config.monitor.keep_checkpoints)
    result = train(
        model,
        optimizer,
        batches,
        held_out,
        config,
        checkpoints=checkpoints,
        start_step=start,
        **kwargs,
    )
    return result, model, optimizer


def state(model, optimizer) -> list[np.ndarray]:
    return [v.numpy() for v in (*model.variables, *optimizer.variables)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    monitor = Monitor(
        folder,
        CONFIG,
        chance={"masked_lm": {"loss": 2.4, "accuracy": 0.1}},
        words=[f"w{n}" for n in range(11)],
        token_embeddings=lambda model: model.get_layer("embeddings").get_weights()[0],
        show_progress=False,
    )
    monitor.write_text("batch", "| decoded |")
    return folder, *run(folder, monitor=monitor)


def test_the_end_is_trained_evaluated_and_saved(whole):
    folder, result, _, optimizer = whole
    assert (result.step, result.exit_code, int(optimizer.iterations)) == (6, 0, 6)
    assert list(result.held_out) == [0, 3, 6]
    assert result.held_out[6]["masked_lm/loss"] != result.held_out[0]["masked_lm/loss"]
    names = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert names == ["step_00000004", "step_00000006"]


def test_resume_is_bit_identical_with_dropout(whole, tmp_path):
    first = dataclasses.replace(CONFIG, training=dataclasses.replace(CONFIG.training, steps=4))
    run(tmp_path, first)
    _, model, optimizer = run(tmp_path, start=4)
    for ours, expected in zip(state(model, optimizer), state(*whole[2:]), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_dropout_was_on(whole):
    """The resume test above has teeth: the state of the seeds moved."""
    seeds = [v for v in whole[2].variables if "seed" in v.path]
    assert seeds and all(int(v.numpy()[1]) > 0 for v in seeds)


def test_monitor_files(whole):
    folder = whole[0]
    lines = (folder / "metrics.csv").read_text().splitlines()
    assert lines[0] == "step,split,name,value"
    assert any(line.startswith("6,held_out,masked_lm/loss,") for line in lines)
    assert any(
        line.startswith("2,cosine,next_sentence~masked_lm/encoder_block_1,") for line in lines
    )
    names = {path.name for path in (folder / "plots").iterdir()}
    assert names == {"next_sentence.png", "masked_lm.png", "optimizer.png", "gradient_cosine.png"}
    assert (folder / "architecture.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "tensorboard/train/projector_config.pbtxt").exists()


@pytest.mark.usefixtures("eagerly")
def test_a_resumed_monitor_repeats_no_row(tmp_path):
    def monitored(steps: int, start: int):
        settings = dataclasses.replace(CONFIG.training, steps=steps)
        config = dataclasses.replace(CONFIG, training=settings)
        monitor = Monitor(tmp_path, config, show_progress=False, tensorboard=False)
        return run(tmp_path, config, start=start, monitor=monitor)

    monitored(4, 0)
    result, _, _ = monitored(6, 2)
    assert list(result.held_out) == [0, 3, 6]
    rows = [line.split(",")[:3] for line in (tmp_path / "metrics.csv").read_text().splitlines()]
    assert len(rows) == len({tuple(row) for row in rows})
    # The run was done: starting it once more trains nothing and knows its results.
    again, _, _ = monitored(6, 6)
    assert again.held_out == result.held_out


@pytest.mark.usefixtures("eagerly")
def test_not_finite_stops_and_names_the_task(tmp_path):
    def poisoned(start: int) -> tf.data.Dataset:
        def poison(features, labels, weights):
            bad = tf.where(tf.reduce_all(features["token_ids"] == third), np.inf, 1.0)
            return features, labels, {**weights, "masked_lm": weights["masked_lm"] * bad}

        third = tiny_batch(2)[0]["token_ids"]
        batches = [tiny_batch(step) for step in range(start, 20)]
        spec = tf.nest.map_structure(tf.type_spec_from_value, tiny_batch(0))
        return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=spec).map(
            poison
        )

    model = tiny_model()
    with pytest.raises(RunStopped, match=r"step 3: the loss of masked_lm \((nan|inf)\)") as caught:
        train(
            model,
            AdamW(0.02),
            poisoned,
            held_out,
            dataclasses.replace(CONFIG, monitor=dataclasses.replace(CONFIG.monitor, log_every=5)),
            checkpoints=Checkpoints(tmp_path),
        )
    path = tmp_path / "step_00000002"
    assert str(caught.value).endswith(
        "start in a new run folder (folder=...) with a lower training.learning_rate and "
        f"--warm-start-from {path}."
    )
    # The checkpoint of step 2 is the last; steps 3 and 4 changed nothing.
    saved = Checkpoints(tmp_path).latest()
    assert saved is not None and saved.step == 2
    values = saved.model_values()
    for variable in model.trainable_variables:
        np.testing.assert_array_equal(values[variable.path], variable.numpy())


@pytest.mark.usefixtures("eagerly")
def test_data_that_ends_early(tmp_path):
    with pytest.raises(RunStopped, match="The data ended after step 3 of 6"):
        run(tmp_path, batches=lambda start: tiny_dataset(start, 3))


@pytest.mark.usefixtures("eagerly")
def test_resume_without_checkpoint(tmp_path):
    with pytest.raises(InputError, match="no whole checkpoint"):
        run(tmp_path, start=2)


@pytest.mark.usefixtures("eagerly")
def test_callbacks_see_steps_and_can_stop(tmp_path):
    seen = []

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append((batch, logs["loss"], logs["masked_lm/accuracy"]))
            self.model.stop_training = batch == 2

    result, _, _ = run(tmp_path, callbacks=[Stop()])
    assert result.step == 3 and [entry[0] for entry in seen] == [0, 1, 2]
    assert Checkpoints(tmp_path / "checkpoints").latest().step == 3


SIGNAL_SCRIPT = """
import os, signal, sys
from pathlib import Path
import tensorflow as tf
import test_loop as t

tf.config.run_functions_eagerly(True)

def batches(start):
    def generate():
        for step in range(start, 1000):
            if step == 3:
                os.kill(os.getpid(), getattr(signal, sys.argv[2]))
            yield t.tiny_batch(step)
    spec = tf.nest.map_structure(tf.type_spec_from_value, t.tiny_batch(0))
    return tf.data.Dataset.from_generator(generate, output_signature=spec)

config = t.dataclasses.replace(t.CONFIG, training=t.TrainingConfig(steps=1000))
result, _, _ = t.run(Path(sys.argv[1]), config, batches)
sys.exit(result.exit_code)
"""


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_saves_and_exits(tmp_path, name, code):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", SIGNAL_SCRIPT, str(tmp_path), name],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == code, done.stderr[-2000:]
    saved = Checkpoints(tmp_path / "checkpoints").latest()
    assert saved is not None and saved.step in (3, 4)


def test_handlers_are_put_back():
    # Not the defaults: a shell starts its background jobs with SIGINT ignored.
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    with Interruption():
        assert all(signal.getsignal(n) is not b for n, b in zip(numbers, before, strict=True))
    assert [signal.getsignal(number) for number in numbers] == before


class SignalAt(keras.callbacks.Callback):
    """SIGTERM in the middle of a step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def on_train_batch_begin(self, batch, logs=None):
        if batch + 1 == self.step:
            signal.raise_signal(signal.SIGTERM)


@pytest.mark.usefixtures("eagerly")
def test_a_signal_at_a_busy_step_saves_first_and_the_resume_makes_up_for_it(tmp_path, monkeypatch):
    often = MonitorConfig(log_every=3, evaluate_every=3, cosine_every=3, checkpoint_every=3)
    config = dataclasses.replace(CONFIG, monitor=often)

    def monitored(name: str, start: int = 0, callbacks=()):
        monitor = Monitor(tmp_path / name, config, show_progress=False, tensorboard=False)
        return run(tmp_path / name, config, start=start, monitor=monitor, callbacks=callbacks)

    def rows(name: str) -> dict[tuple[str, ...], str]:
        lines = (tmp_path / name / "metrics.csv").read_text().splitlines()[1:]
        cells = [line.split(",") for line in lines]
        clocked = ("tokens_per_second", "waiting_share")
        return {tuple(row[:3]): row[3] for row in cells if row[2] not in clocked}

    _, model, optimizer = monitored("whole")
    order = []
    save, log = Checkpoints.save, Monitor.on_log
    monkeypatch.setattr(Checkpoints, "save", lambda *a: order.append("save") or save(*a))
    monkeypatch.setattr(Monitor, "on_log", lambda *a: order.append("log") or log(*a))
    stopped, _, _ = monitored("cut", callbacks=[SignalAt(3)])
    assert (stopped.step, stopped.saved_step, stopped.exit_code) == (3, 3, 143)
    assert list(stopped.held_out) == [0] and order == ["save", "log"]
    assert {row[:2] for row in rows("cut")} == {("0", "held_out"), ("3", "train")}

    resumed, again, again_optimizer = monitored("cut", start=3)
    assert list(resumed.held_out) == [0, 3, 6] and resumed.saved_step == 6
    for ours, expected in zip(state(again, again_optimizer), state(model, optimizer), strict=True):
        np.testing.assert_array_equal(ours, expected)
    lost = {row for row in rows("whole") if row[:2] == ("3", "cosine")}
    assert rows("cut") == {row: v for row, v in rows("whole").items() if row not in lost}


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(("at", "saved"), [(0, None), (3, 3)])
def test_a_signal_in_the_middle_of_an_evaluation(tmp_path, monkeypatch, at, saved):
    seen = []
    call = EvaluationStep.__call__

    def evaluate(self, batch, flags):
        seen.append(batch)
        if len(seen) == (1 if at == 0 else 4):  # an evaluation has three batches
            signal.raise_signal(signal.SIGTERM)
        return call(self, batch, flags)

    monkeypatch.setattr(EvaluationStep, "__call__", evaluate)
    result, _, _ = run(tmp_path)
    assert (result.step, result.saved_step, result.exit_code) == (at, saved, 143)
    assert list(result.held_out) == ([] if at == 0 else [0])
    assert len(seen) == (1 if at == 0 else 4)
    assert Checkpoints(tmp_path / "checkpoints").any_folder() == (saved is not None)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("split", ["train", "held_out"])
def test_a_damaged_shard_is_a_sentence(tmp_path, monkeypatch, split):
    shard = tmp_path / "shard.tfrecord"
    with tf.io.TFRecordWriter(str(shard)) as writer:
        writer.write(b"whole")
        writer.write(b"damaged")
    content = bytearray(shard.read_bytes())
    content[-6] ^= 1
    shard.write_bytes(content)

    def damaged(start: int = 0) -> tf.data.Dataset:
        batch = tf.nest.map_structure(tf.constant, tiny_batch(0))
        return tf.data.TFRecordDataset(str(shard)).map(lambda record: batch)

    monkeypatch.setitem(globals(), "held_out", damaged if split == "held_out" else held_out)
    with pytest.raises(
        InputError, match=r"prepared text is damaged .*corrupted record at 33.*delete"
    ):
        run(tmp_path, batches=damaged if split == "train" else tiny_dataset)


@pytest.mark.usefixtures("eagerly")
def test_not_finite_before_the_first_checkpoint(tmp_path):
    def poisoned(start: int) -> tf.data.Dataset:
        return tiny_dataset(start).map(
            lambda features, labels, weights: (
                features,
                labels,
                {**weights, "masked_lm": weights["masked_lm"] * np.inf},
            )
        )

    with pytest.raises(RunStopped, match="step 1: .*new run folder .*lower training") as caught:
        run(tmp_path, batches=poisoned)
    assert "warm-start" not in str(caught.value)
