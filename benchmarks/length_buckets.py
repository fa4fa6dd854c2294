"""Real tokens a second on short pairs: batches cut to their longest row, against padding to T.

    python benchmarks/length_buckets.py PREPARED_FOLDER [--steps 60] [key=value ...]

PREPARED_FOLDER holds NLI pairs. Both arms train an equal model from equal weights on the same
batches in the same order; the second arm's are padded to T. Steps of the arms alternate, so that
the machine's drift falls on both. Prints each arm's real (not padding) tokens a second, their
ratio, and the largest difference between the two loss curves.
"""

import argparse
import time

import numpy as np
import tensorflow as tf

import hierbert_tf
from hierbert_tf.training.step import TrainingStep


def padded(batch: tuple, length: int, slots: int) -> tuple:
    """The same batch with every array padded to the full width."""

    def widen(value: tf.Tensor) -> tf.Tensor:
        if value.shape.rank < 2:
            return value
        width = length if value.shape[1] == batch[0]["token_ids"].shape[1] else slots
        return tf.pad(value, [[0, 0], [0, width - value.shape[1]]])

    return tf.nest.map_structure(widen, batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    # Without dropout: its random numbers depend on the width, and so would the curves.
    config = hierbert_tf.load_config(
        overrides=["encoder.dropout=0", "encoder.attention_dropout=0", *options.overrides]
    )
    data, vocabulary = hierbert_tf.open_data(options.folder, config)
    length = config.data.sequence_length
    slots = -(-15 * length // 100)
    steps = []
    for _ in range(2):
        model = hierbert_tf.build_pretrainer(
            config.encoder, config.tasks, len(vocabulary), config.seed
        )
        optimizer = hierbert_tf.AdamW(1e-3, global_clipnorm=1.0)
        steps.append(TrainingStep(model, config.tasks, optimizer))
    seconds, losses = np.zeros(2), [[], []]
    tokens = rows = width = 0
    warmup = 5
    for number, batch in enumerate(data.training(options.steps + warmup)):
        for arm, given in enumerate((batch, padded(batch, length, slots))):
            started = time.perf_counter()
            metrics = steps[arm](given)
            losses[arm].append(float(metrics["total/loss"]))
            if number >= warmup:
                seconds[arm] += time.perf_counter() - started
        if number >= warmup:
            tokens += int(tf.reduce_sum(batch[0]["padding_mask"]))
            width += batch[0]["token_ids"].shape[1]
            rows += batch[0]["token_ids"].shape[0]
    print(f"{options.steps} steps, {tokens / rows:.1f} real tokens a sequence, "
          f"cut to {width / options.steps:.1f} on average, padded to {length}")  # fmt: skip
    print(f"cut    {tokens / seconds[0]:10,.0f} real tokens/s")
    print(f"padded {tokens / seconds[1]:10,.0f} real tokens/s")
    print(f"ratio  {seconds[1] / seconds[0]:.2f}")
    difference = np.abs(np.subtract(*losses)).max()
    print(f"loss   {losses[0][0]:.4f} to {losses[0][-1]:.4f}; largest difference {difference:.1e}")


if __name__ == "__main__":
    main()
