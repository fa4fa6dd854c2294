"""Which documents are kept from training."""

from hashlib import blake2b

import numpy as np

from hierbert_tf.errors import InputError

_HASHES = 1 << 64


class HoldOut:
    """Splits documents by a hash of their text and the run's seed, in constant memory.

    Equal texts, pairs of the same first text and documents of the same group have the same hash, so
    they stand on the same side. A document is held out when its hash lies below a threshold: the
    given share of all hashes, raised where that would hold out none (or only one of four and more),
    lowered where nothing would be left to train on.

    Args:
        fraction: share to hold out, 0 to below 1; 0 holds nothing out.
        seed: the run's seed.

    Raises:
        InputError: the fraction is out of range.

    Example:

    >>> split = HoldOut(0.05, seed=1)
    >>> hashes = [split.hash(text) for text in ("one", "two", "three")]
    >>> for value in hashes:
    ...     split.observe(value)
    >>> sum(value < split.threshold() for value in hashes)
    1
    """

    def __init__(self, fraction: float, seed: int):
        if not 0 <= fraction < 1:
            raise InputError(f"corpus.held_out_fraction is {fraction}: give 0 to less than 1.")
        self._limit = int(fraction * _HASHES)
        self._key = str(seed).encode()
        self._documents = 0
        self._below = 0
        self._largest = 0
        self._smallest: dict[int, int] = {}

    def hash(self, text: str) -> int:
        """64-bit hash of a text, the same in every process."""
        words = " ".join(text.split()).encode()
        return int.from_bytes(blake2b(words, digest_size=8, key=self._key).digest(), "little")

    def observe(self, value: int) -> None:
        """Counts a document of that hash; call once for each document."""
        self._documents += 1
        self._below += value < self._limit
        self._largest = max(self._largest, value)
        self._smallest[value] = self._smallest.get(value, 0) + 1
        if len(self._smallest) > 2:
            # A hash that leaves is above two others and stays so: its count is never needed again.
            del self._smallest[max(self._smallest)]

    def observe_all(self, values: np.ndarray) -> None:
        """Counts documents of these hashes, uint64 [documents]: as `observe` for each of them."""
        if not len(values):
            return
        self._documents += len(values)
        self._below += int(np.count_nonzero(values < np.uint64(self._limit)))
        self._largest = max(self._largest, int(values.max()))
        # Only the two smallest can ever matter, here as in `observe`.
        for value, count in zip(*np.unique(values, return_counts=True), strict=True):
            if len(self._smallest) == 2 and int(value) > max(self._smallest):
                break
            self._smallest[int(value)] = self._smallest.get(int(value), 0) + int(count)
            if len(self._smallest) > 2:
                del self._smallest[max(self._smallest)]

    def threshold(self) -> int:
        """Documents of a hash below this are held out; 0: none."""
        if not self._limit or len(self._smallest) < 2:
            return 0
        threshold, held_out = self._limit, self._below
        wanted = 2 if self._documents >= 4 else 1
        if held_out < wanted:
            held_out = 0
            for value in sorted(self._smallest):
                if held_out < wanted:
                    held_out += self._smallest[value]
                    threshold = value + 1
        return min(threshold, self._largest)
