"""Scores by the length of the input, in groups of about equal size."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hierbert_tf.errors import InputError


@dataclass(frozen=True)
class LengthGroup:
    """The examples from `shortest` to `longest`.

    Args:
        shortest: length of the shortest example in the group.
        longest: length of the longest.
        count: number of examples.
        mean: mean of their scores.
        error: standard error of that mean; 0 for a single example.
    """

    shortest: int
    longest: int
    count: int
    mean: float
    error: float


def scores_by_length(
    lengths: ArrayLike,
    scores: ArrayLike,
    groups: int = 5,
) -> tuple[LengthGroup, ...]:
    """The mean score in quantile groups of the length, short to long.

    Examples of equal length are always in the same group, so that there may be fewer groups than
    asked for, of unequal size.

    Args:
        lengths: int [N], in any unit (tokens, words).
        scores: float [N]; 1 or 0 for right or wrong makes the mean an accuracy.
        groups: number of groups aimed at.

    Raises:
        InputError: no examples, lengths and scores that differ in number, no groups.

    Example:

    >>> found = scores_by_length([3, 9, 4, 8], [1, 0, 1, 1], groups=2)
    >>> [(one.shortest, one.longest, one.mean) for one in found]
    [(3, 4, 1.0), (8, 9, 0.5)]
    """
    sizes, values = np.asarray(lengths), np.asarray(scores, "float64")
    if groups < 1:
        raise InputError(f"scores by length need one group or more, not {groups}.")
    if not sizes.size or sizes.shape != values.shape or sizes.ndim != 1:
        raise InputError(
            f"scores by length need one length for each example: {sizes.size} lengths and"
            f" {values.size} scores were given."
        )
    ordered = np.sort(sizes)
    # The last length of each group, counted by rank: the same for any spread of the lengths.
    ends = np.unique(
        ordered[[math.ceil(len(ordered) * part / groups) - 1 for part in range(1, groups + 1)]]
    )
    place = np.searchsorted(ends, sizes, side="left")
    found = []
    for number in range(len(ends)):
        inside = values[place == number]
        spread = float(inside.std(ddof=1)) if len(inside) > 1 else 0.0
        found.append(
            LengthGroup(
                shortest=int(sizes[place == number].min()),
                longest=int(ends[number]),
                count=len(inside),
                mean=float(inside.mean()),
                error=spread / math.sqrt(len(inside)),
            )
        )
    return tuple(found)
