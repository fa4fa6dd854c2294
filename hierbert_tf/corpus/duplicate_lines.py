"""Which lines of the corpus occurred before: exact, in parallel, and in bounded memory."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from hierbert_tf.corpus.chunk import BUCKETS, PAIR, PAIR_TEXT, chunk_lines

LINES_AT_ONCE = 1_000_000
"""Lines that one task holds in memory, about; 100 MB."""

REPEATED = "repeated.npy"
PLACE = np.dtype([("chunk", "<u4"), ("place", "<u4")])
"""A line: number of its chunk in the corpus, and its place among the lines of the chunk."""


def bucket_ranges(lines: int) -> list[tuple[int, int]]:
    """Cuts the 256 first bytes of a hash into ranges that hold about `LINES_AT_ONCE` lines each.

    Example:

    >>> bucket_ranges(10), len(bucket_ranges(30_000_000)), len(bucket_ranges(10**12))
    ([(0, 256)], 30, 256)
    """
    count = min(BUCKETS, max(1, -(-lines // LINES_AT_ONCE)))
    ends = [i * BUCKETS // count for i in range(count + 1)]
    return list(itertools.pairwise(ends))


def find_duplicates(arguments: dict[str, Any], root: Path, folder: Path) -> dict[str, Any]:
    """Counts the lines that occurred before, and lists those that would be removed.

    Paragraphs and the texts of pairs are counted. Removed are paragraphs that were paragraphs
    before, and pairs both of whose texts stood together in a pair before.

    Args:
        arguments: `chunks`, folder and number of each chunk in corpus order; `first` and `last`,
            the range of first bytes of the hashes; `remove`: the list is wanted.
        root: the work folder.
        folder: where the list goes.

    Returns:
        `duplicates`, `documents` (0) and `bytes` (of the hashes).
    """
    found, chunks = [], []
    for i, (name, number) in enumerate(arguments["chunks"]):
        found.append(chunk_lines(root / name, number, arguments["first"], arguments["last"]))
        chunks.append(np.full(len(found[-1]), i, np.uint32))
    lines, chunk = np.concatenate(found), np.concatenate(chunks)
    order = np.lexsort((lines["place"], chunk, lines["low"], lines["high"]))
    lines, chunk = lines[order], chunk[order]
    counted = lines["kind"] != PAIR
    duplicates = np.count_nonzero(_seen_before(lines[counted]))
    if arguments["remove"]:
        removable = lines["kind"] != PAIR_TEXT
        lines, chunk = lines[removable], chunk[removable]
        again = _seen_before(lines)
        places = np.empty(np.count_nonzero(again), PLACE)
        places["chunk"], places["place"] = chunk[again], lines["place"][again]
        np.save(folder / REPEATED, np.sort(places, order=("chunk", "place")))
    return {"duplicates": int(duplicates), "documents": 0, "bytes": lines.nbytes}


def _seen_before(lines: np.ndarray) -> np.ndarray:
    """Bool [lines]: the hash is that of the line before, where lines are sorted by it."""
    again = np.zeros(len(lines), bool)
    again[1:] = (lines["low"][1:] == lines["low"][:-1]) & (lines["high"][1:] == lines["high"][:-1])
    return again


def repeated_places(root: Path, folders: list[str], chunk: int) -> set[int]:
    """Places of a chunk's lines that are to be removed.

    Args:
        root: the work folder.
        folders: results of `find_duplicates`.
        chunk: number of the chunk in the corpus.
    """
    places: set[int] = set()
    for folder in folders:
        found = np.load(root / folder / REPEATED, allow_pickle=False)
        start, end = np.searchsorted(found["chunk"], [chunk, chunk + 1])
        places.update(found["place"][start:end].tolist())
    return places
