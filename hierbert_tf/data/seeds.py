"""Seeds as a function of what they are for: no generator keeps a state anywhere."""

import zlib

import tensorflow as tf


def stage_seed(seed: int, stage: str) -> tf.Tensor:
    """The seed of a named stage of a run.

    Args:
        seed: the run's seed.
        stage: what the random numbers are for, such as `"masked_lm"`.

    Returns:
        int32 tensor [2], for the `tf.random.stateless_*` functions.

    Example:

    >>> bool((stage_seed(1, "pairs") == stage_seed(1, "masked_lm")).numpy().all())
    False
    """
    # crc32, since Python's own hash of a string differs between processes.
    folded = (seed ^ (seed >> 31)) & 0x7FFFFFFF
    return tf.constant([folded, zlib.crc32(stage.encode()) & 0x7FFFFFFF], tf.int32)


def fold(seed: tf.Tensor, *numbers: tf.Tensor | int) -> tf.Tensor:
    """A new seed for each tuple of numbers, such as (epoch, window, batch).

    Args:
        seed: int32 tensor [2].
        *numbers: int scalars.

    Returns:
        int32 tensor [2].
    """
    for number in numbers:
        seed = tf.random.experimental.stateless_fold_in(seed, number)
    return seed
