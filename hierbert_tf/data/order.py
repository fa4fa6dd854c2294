"""Order is arithmetic: which shards a step reads is a function of (seed, step).

An epoch permutes the shards and reads them in windows of a few. A window's examples are counted
in the manifest, so its number of steps is known before anything is read. Resuming at a step is
therefore one integer, and the order does not depend on the number of workers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Window:
    """Shards that are read and shuffled together.

    Args:
        epoch: pass over the corpus, from 0.
        index: the window's number in its epoch.
        shards: indices of its shards.
        steps: full batches it gives.
        skip: batches of it that lie before the first step asked for.
    """

    epoch: int
    index: int
    shards: tuple[int, ...]
    steps: int
    skip: int = 0


def windows(
    examples: Sequence[int], batch_size: int, window_shards: int, seed: int, start_step: int = 0
) -> Iterator[Window]:
    """Windows in the order of training, without end, from the one that holds `start_step`.

    Args:
        examples: examples of each shard.
        batch_size: examples a step.
        window_shards: shards a window.
        seed: the run's seed.
        start_step: first step wanted.

    Yields:
        The windows that give at least one step.

    Raises:
        ValueError: no window can fill a batch.

    Example:

    >>> first, second = [w for w, _ in zip(windows([4, 4], 2, 1, seed=3, start_step=1), range(2))]
    >>> first.skip, first.steps, second.skip
    (1, 2, 0)
    """
    if sum(examples) < batch_size:
        raise ValueError(f"{sum(examples)} examples do not fill a batch of {batch_size}")
    # With fewer shards than a window's the whole epoch is one window; else a window that is too
    # small for a batch is possible, and is passed over.
    if max(sum(group) for group in _groups(sorted(examples), window_shards)) < batch_size:
        window_shards = len(examples)
    step, epoch = 0, 0
    while True:
        shuffle = np.random.Generator(np.random.Philox(key=[seed & 0xFFFFFFFFFFFFFFFF, epoch]))
        order = shuffle.permutation(len(examples)).tolist()
        for index, shards in enumerate(_groups(order, window_shards)):
            steps = sum(examples[shard] for shard in shards) // batch_size
            if steps and step + steps > start_step:
                yield Window(epoch, index, tuple(shards), steps, max(0, start_step - step))
            step += steps
        epoch += 1


def _groups(values: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
