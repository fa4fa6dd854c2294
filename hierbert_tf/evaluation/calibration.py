"""How far a model's confidence can be believed: reliability bins, expected calibration error."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hierbert_tf.errors import InputError


@dataclass(frozen=True)
class ReliabilityBin:
    """The predictions whose confidence lies in (low, high].

    Args:
        low: lower edge, not inside the bin; the first bin holds a confidence of 0 too.
        high: upper edge.
        count: number of predictions; more than 0.
        confidence: their mean confidence.
        accuracy: share of them that is right.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Reliability of a set of predictions.

    Args:
        bins: the bins that hold any prediction, from low to high confidence.
        expected_error: mean over the predictions of |accuracy - confidence| of their bin, 0 to 1.
        confidence: mean confidence of all.
        accuracy: share of all that is right.
    """

    bins: tuple[ReliabilityBin, ...]
    expected_error: float
    confidence: float
    accuracy: float


def calibration(
    confidences: ArrayLike,
    correct: ArrayLike,
    bins: int = 10,
) -> Calibration:
    """Reliability bins of equal width, and the expected calibration error over them.

    Args:
        confidences: float [N], the probability that the model gave its prediction.
        correct: [N], 1 (True) where the prediction is right, else 0.
        bins: number of bins between 0 and 1.

    Raises:
        InputError: no predictions, lengths that differ, a confidence outside 0..1, a value of
            `correct` other than 0 and 1, no bins.

    Example:

    >>> found = calibration([0.9, 0.8, 0.3], [1, 0, 0], bins=2)
    >>> [(one.count, one.accuracy) for one in found.bins], round(found.expected_error, 3)
    ([(1, 0.0), (2, 0.5)], 0.333)

    Reference: Guo et al. 2017, "On Calibration of Modern Neural Networks".
    """
    chance, right = np.asarray(confidences, "float64"), np.asarray(correct, "float64")
    if bins < 1:
        raise InputError(f"calibration needs one bin or more, not {bins}.")
    if not chance.size or chance.shape != right.shape or chance.ndim != 1:
        raise InputError(
            f"calibration needs one confidence for each prediction: {chance.size} confidences and"
            f" {right.size} predictions were given."
        )
    if not ((chance >= 0) & (chance <= 1)).all():
        number = int(np.argmin((chance >= 0) & (chance <= 1)))
        raise InputError(f"confidence {number} is {chance[number]}: it must lie between 0 and 1.")
    if not np.isin(right, (0.0, 1.0)).all():
        number = int(np.argmin(np.isin(right, (0.0, 1.0))))
        raise InputError(f"prediction {number} is right to {right[number]}: give 1 or 0.")
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, chance, side="left") - 1, 0, bins - 1)
    found = []
    for number in range(bins):
        inside = place == number
        if inside.any():
            found.append(
                ReliabilityBin(
                    low=float(edges[number]),
                    high=float(edges[number + 1]),
                    count=int(inside.sum()),
                    confidence=float(chance[inside].mean()),
                    accuracy=float(right[inside].mean()),
                )
            )
    gaps = sum(one.count * abs(one.accuracy - one.confidence) for one in found)
    return Calibration(tuple(found), gaps / len(chance), float(chance.mean()), float(right.mean()))
