"""A worker of a small run: the training loop, its workers and its checkpoints, on a tiny model.

    python tests/training/worker_program.py FOLDER ADDRESSES INDEX STEPS [PAUSE] [SILENCE]

It starts and steps faster than the whole program, and prints `done STEP` as it goes.
"""

import dataclasses
import os
import signal
import sys
import time
from pathlib import Path

import keras
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).parent))
from tiny_model import TASKS, tiny_batch, tiny_model

from hierbert_tf.config import DataConfig, MonitorConfig, RunConfig, TrainingConfig
from hierbert_tf.recipes.command_line import run_program
from hierbert_tf.recipes.distribution import distribution
from hierbert_tf.recipes.run_folder import RunFolder
from hierbert_tf.recipes.start import Start, decide_start
from hierbert_tf.training.checkpoint import Checkpoint
from hierbert_tf.training.checkpoints import Checkpoints
from hierbert_tf.training.cluster import Cluster
from hierbert_tf.training.connected_workers import Patience
from hierbert_tf.training.loop import train
from hierbert_tf.training.monitor.monitor import Monitor
from hierbert_tf.training.optimizer import AdamW
from hierbert_tf.training.strategy import StrategyChoice

IDENTITY = dict.fromkeys(
    ("vocabulary_sha256", "preparation_sha256", "config_sha256", "warm_start_from")
)


def batches(first: int, steps: int = 1000) -> tf.data.Dataset:
    """Batches by step; lengths alternate. Unequal labels in the rows, and in the pairs."""

    def batch(step: int):
        features, labels, weights = tiny_batch(step, 8, 5 + 2 * (step % 2))
        weights["next_sentence"][:3] = 0.0  # pairs are labelled on some replicas only
        return features, labels, weights

    spec = tf.nest.map_structure(lambda a: tf.TensorSpec([None] * a.ndim, a.dtype), tiny_batch(0))
    return tf.data.Dataset.from_generator(
        lambda: map(batch, range(first, steps)), output_signature=spec
    )


class Pause(keras.callbacks.Callback):
    """Says which step is done, and waits, so that a test can meet it there."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        print(f"done {batch + 1}", flush=True)
        time.sleep(self.seconds)


def settings(folder: Path, steps: int, accumulation: int = 1) -> RunConfig:
    return RunConfig(
        folder=str(folder),
        tasks=TASKS,
        data=DataConfig(batch_size=8),
        training=TrainingConfig(steps=steps, accumulation=accumulation),
        monitor=MonitorConfig(log_every=1, evaluate_every=4, cosine_every=0, checkpoint_every=2),
    )


def run(config: RunConfig, choice: StrategyChoice, pause: float = 0.0, dropout: float = 0.0) -> int:
    """One worker's whole run."""
    start = Start()
    with distribution(choice, config, start) as (strategy, workers):
        folder = RunFolder(config, owner=workers.is_chief)
        with strategy.scope():
            model, optimizer = tiny_model(dropout), AdamW(0.01, global_clipnorm=0.3)
        checkpoints = Checkpoints(folder.checkpoints, 3, IDENTITY)
        step = decide_start(start, folder, checkpoints, model, "", workers)
        result = train(
            model,
            optimizer,
            batches,
            lambda: batches(990, 993),
            config,
            checkpoints=checkpoints,
            monitor=Monitor(folder.path, config, show_progress=False, tensorboard=False)
            if workers.is_chief
            else None,
            strategy=strategy,
            workers=workers,
            start_step=step,
            callbacks=[Pause(pause)],
        )
        print(f"ended at step {result.step}, saved {result.saved_step}", flush=True)
        return result.exit_code


def main(arguments: list[str]) -> int:
    folder, addresses, index, steps, *more = arguments
    pause, silence, dropout = [float(a) for a in (*more, *("0", "60", "0")[len(more) :])]
    if at := os.environ.get("KILL_WHILE_SAVING"):
        _kill_while_saving(int(at))
    cluster = Cluster(tuple(addresses.split(",")), int(index))
    start = float(os.environ.get("START_TIMEOUT", "400"))
    patience = dataclasses.replace(Patience(), start=start, silence=silence, ending=20.0)
    choice = StrategyChoice("multi_worker", cluster=cluster, patience=patience)
    config = settings(Path(folder), int(steps))
    return run_program(lambda: run(config, choice, pause, dropout))


def _kill_while_saving(step: int) -> None:
    """Kills this process when the checkpoint of `step` is half written."""
    flush = Checkpoint.write.__globals__["_flush"]

    def kill(path: Path) -> None:
        if f"step_{step:08d}" in str(path):
            os.kill(os.getpid(), signal.SIGKILL)
        flush(path)

    Checkpoint.write.__globals__["_flush"] = kill


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
