"""Tries cells of the support matrix: three steps and an evaluation of the real model in each.

    python tests/training/matrix_program.py                     # one_device and mirrored
    python tests/training/matrix_program.py ADDRESSES INDEX     # multi_worker

Prints one JSON object: losses by `strategy precision xla`.
"""

import json
import os
import sys
from pathlib import Path

import tensorflow as tf

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np

from hierbert_tf.config import (
    DataConfig,
    EncoderConfig,
    ReceivesConfig,
    RunConfig,
    TaskConfig,
    TrainingConfig,
)
from hierbert_tf.models.pretrainer import build_pretrainer
from hierbert_tf.recipes.distribution import distribution
from hierbert_tf.recipes.start import Start
from hierbert_tf.training.cluster import Cluster
from hierbert_tf.training.connected_workers import Patience
from hierbert_tf.training.evaluation_step import EvaluationStep
from hierbert_tf.training.optimizer import AdamW
from hierbert_tf.training.step import TrainingStep
from hierbert_tf.training.strategy import StrategyChoice

ENCODER = EncoderConfig(2, 16, 2, positions=16, dropout=0.0, attention_dropout=0.0)
TASKS = (
    TaskConfig("next_sentence", 1),
    TaskConfig("masked_lm", 2, receives=ReceivesConfig("next_sentence")),
)
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def batch(step: int, size: int = 8):
    random = np.random.default_rng(step)
    ids = random.integers(1, 30, [size, 12]).astype("int32")
    mask = np.ones_like(ids)
    mask[: size // 2, 9:] = 0
    features = {
        "token_ids": ids * mask,
        "segment_ids": np.repeat([[0] * 6 + [1] * 6], size, 0).astype("int32"),
        "padding_mask": mask,
        "masked_lm_positions": random.integers(0, 9, [size, 3]).astype("int32"),
    }
    labels = {
        "next_sentence": random.integers(0, 2, [size]).astype("int32"),
        "masked_lm": random.integers(0, 30, [size, 3]).astype("int32"),
    }
    weights = {
        "next_sentence": (np.arange(size) > 2).astype("float32"),
        "masked_lm": (random.random([size, 3]) < np.linspace(0.2, 0.9, size)[:, None]).astype(
            "float32"
        ),
    }
    return tf.nest.map_structure(tf.constant, (features, labels, weights))


def losses(strategy: tf.distribute.Strategy, precision: str, xla: bool) -> list[float]:
    """Three training losses and, after them, the loss on two batches more."""
    with strategy.scope():
        model = build_pretrainer(ENCODER, TASKS, 30, seed=1, dtype=precision)
        optimizer = AdamW(0.01, global_clipnorm=1.0)
    step = TrainingStep(model, TASKS, optimizer, strategy, jit_compile=xla)
    found = []
    for number in range(3):
        metrics = step(batch(number))
        assert float(metrics["ok"]) == 1.0
        found.append(float(metrics["total/loss"]))
    held_out = EvaluationStep(model, TASKS, strategy).evaluate([batch(7), batch(8, 5)])
    return [*found, held_out["total/loss"]]


def main(arguments: list[str]) -> None:
    config = RunConfig(data=DataConfig(batch_size=8), training=TrainingConfig())
    if arguments:
        cluster = Cluster(tuple(arguments[0].split(",")), int(arguments[1]))
        choices = [StrategyChoice("multi_worker", cluster=cluster, patience=Patience(start=400))]
    else:
        # The first one divides the CPU.
        choices = [StrategyChoice("mirrored", devices=2), StrategyChoice()]
    found = {}
    for choice in choices:
        with distribution(choice, config, Start()) as (strategy, _):
            for precision in PRECISIONS:
                for xla in (False, True) if choice.name == "one_device" else (False,):
                    key = f"{choice.name} {precision} {'xla' if xla else 'plain'}"
                    found[key] = losses(strategy, precision, xla)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
