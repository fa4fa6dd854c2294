"""Which records each shard holds: arithmetic over the counts of tokens, in corpus order."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np


@dataclass
class PlannedShard:
    """What one shard holds.

    Args:
        pieces: `(file, first record, record after the last)` in order.
        last_document: number of the document that the record before it belongs to; -1: none.
    """

    pieces: list[tuple[str, int, int]] = field(default_factory=list)
    last_document: int = -1


def plan_shards(files: Iterable[tuple[str, np.ndarray]], shard_tokens: int) -> list[PlannedShard]:
    """Puts the records of a split into shards: one is closed once it holds `shard_tokens`.

    Args:
        files: name and records (`RECORD` [records]) of each file in corpus order.
        shard_tokens: WordPieces a shard holds, about.

    Returns:
        The shards in order, none empty.

    Example:

    >>> records = np.array([(0, 3), (1, 3), (1, 3)], [("document", int), ("tokens", int)])
    >>> [shard.pieces for shard in plan_shards([("a", records), ("b", records[:1])], 5)]
    [[('a', 0, 2)], [('a', 2, 3), ('b', 0, 1)]]
    """
    shards: list[PlannedShard] = []
    current, held, last = PlannedShard(), 0, -1
    for name, records in files:
        ends = np.cumsum(records["tokens"])
        first = 0
        while first < len(records):
            before = int(ends[first - 1]) if first else 0
            # The record that fills the shard is its last one.
            full = int(np.searchsorted(ends, before + shard_tokens - held))
            after = min(full + 1, len(records))
            current.pieces.append((name, first, after))
            held += int(ends[after - 1]) - before
            last = int(records["document"][after - 1])
            first = after
            if held >= shard_tokens:
                shards.append(current)
                current, held = PlannedShard(last_document=last), 0
    if current.pieces:
        shards.append(current)
    return shards
