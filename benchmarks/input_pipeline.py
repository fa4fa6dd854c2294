"""Sequences a second from shards to ready batches, and the share of a step spent waiting for them.

    python benchmarks/input_pipeline.py PREPARED_FOLDER [--config FILE] [--batches 2000]

PREPARED_FOLDER is a run's `data/`. Prints sequences/s for the whole pipeline, and for the pipeline
without the tasks' corruption, so that one sees what that costs.
"""

import argparse
import time
from dataclasses import replace

import tensorflow as tf

import hierbert_tf
from hierbert_tf.data.pipeline import PretrainingData


def sequences_per_second(dataset: tf.data.Dataset, batches: int, warmup: int = 50) -> float:
    iterator = iter(dataset)
    for _ in range(warmup):
        next(iterator)
    rows, started = 0, time.perf_counter()
    for _ in range(batches):
        features, _, _ = next(iterator)
        rows += features["token_ids"].shape[0]
    return rows / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--config")
    parser.add_argument("--batches", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    config = hierbert_tf.load_config(options.config, options.overrides)
    data, _ = hierbert_tf.open_data(options.folder, config)
    steps = options.batches + 60
    arms: dict[str, PretrainingData] = {"all tasks": data}
    for name in [task.name for task in config.tasks]:
        kept = tuple(replace(t, receives=None) for t in config.tasks if t.name == name)
        arms[name], _ = hierbert_tf.open_data(options.folder, replace(config, tasks=kept))
    results: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(options.rounds):  # side by side: the machine's speed drifts
        for name, arm in arms.items():
            results[name].append(sequences_per_second(arm.training(steps), options.batches))
    print(f"T {config.data.sequence_length}, batch {config.data.batch_size}")
    for name, values in results.items():
        middle = sorted(values)[len(values) // 2]
        print(f"{name:16} {middle:10,.0f} sequences/s  ({min(values):,.0f} to {max(values):,.0f})")


if __name__ == "__main__":
    main()
