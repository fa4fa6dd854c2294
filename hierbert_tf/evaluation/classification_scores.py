"""Scores of a classifier: accuracy, F1, Matthews correlation, log loss, confusion matrix."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn import metrics

from hierbert_tf.errors import InputError


@dataclass(frozen=True)
class ClassificationScores:
    """Scores on a labelled set of N examples in C classes.

    Args:
        labels: names of the classes, C.
        count: number of examples, N.
        accuracy: share of the examples whose most probable class is the right one.
        f1: F1 of each class; 0 for a class that is neither given nor predicted.
        macro_f1: mean of `f1` over all C classes.
        matthews: Matthews correlation coefficient (for C > 2 its generalisation R_K), -1 to 1; 0
            when always the same class is predicted.
        log_loss: mean of -ln(probability of the right class), nats; a probability of 0 counts as
            the smallest float step, about 36 nats.
        confusion: confusion[g][p] examples of class g were taken for class p, [C, C].
    """

    labels: tuple[str, ...]
    count: int
    accuracy: float
    f1: tuple[float, ...]
    macro_f1: float
    matthews: float
    log_loss: float
    confusion: tuple[tuple[int, ...], ...]

    def as_dict(self) -> dict[str, float]:
        """The scores by name, flat, for a row of a table; all but the confusion matrix."""
        row = {
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "matthews": self.matthews,
            "log_loss": self.log_loss,
            "count": self.count,
        }
        return row | {f"f1/{name}": f1 for name, f1 in zip(self.labels, self.f1, strict=True)}


def classification_scores(
    gold: ArrayLike, probabilities: ArrayLike, labels: Sequence[str]
) -> ClassificationScores:
    """Scores the probabilities of a classifier.

    The prediction is the most probable class, the first of equals.

    Args:
        gold: int [N], the right class of each example, 0..C-1.
        probabilities: float [N, C], of each class; each row sums to 1.
        labels: names of the C classes, C >= 2.

    Raises:
        InputError: no examples, shapes that do not fit, a class out of range, or rows that are no
            probabilities.

    Example:

    >>> probabilities = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]
    >>> scores = classification_scores([0, 1, 1], probabilities, ["no", "yes"])
    >>> scores.confusion, round(scores.matthews, 3)
    (((1, 0), (1, 1)), 0.5)
    """
    gold, probabilities = check_probabilities(gold, probabilities, labels)
    classes = np.arange(len(labels))
    predicted = probabilities.argmax(axis=1)
    seen = np.union1d(gold, predicted)
    f1 = metrics.f1_score(gold, predicted, labels=classes, average=None, zero_division=0.0)
    confusion = metrics.confusion_matrix(gold, predicted, labels=classes)
    return ClassificationScores(
        labels=tuple(labels),
        count=len(gold),
        accuracy=float((gold == predicted).mean()),
        f1=tuple(float(value) for value in f1),
        macro_f1=float(f1.mean()),
        # With one class on both sides it is 0/0: defined as 0, as for any constant prediction.
        matthews=float(metrics.matthews_corrcoef(gold, predicted)) if len(seen) > 1 else 0.0,
        log_loss=float(metrics.log_loss(gold, probabilities, labels=classes)),
        confusion=tuple(tuple(int(cell) for cell in row) for row in confusion),
    )


def check_probabilities(
    gold: ArrayLike, probabilities: ArrayLike, labels: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """The classes int [N] and the probabilities float64 [N, C], checked to fit each other.

    Rows may miss a sum of 1 by what half precision costs; they are scaled to sum to 1.

    Raises:
        InputError: as `classification_scores` says.
    """
    gold, probabilities = np.asarray(gold), np.asarray(probabilities, "float64")
    if not gold.size:
        raise InputError("there is no labelled example to score: the data has none.")
    if len(labels) < 2:
        raise InputError(f"a classifier needs two labels or more, not {list(labels)}.")
    if gold.ndim != 1 or probabilities.shape != (len(gold), len(labels)):
        raise InputError(
            f"the probabilities are {list(probabilities.shape)}, but {gold.size} examples and"
            f" {len(labels)} labels need {[gold.size, len(labels)]}."
        )
    if not np.issubdtype(gold.dtype, np.integer) or gold.min() < 0 or gold.max() >= len(labels):
        wrong = next(
            number
            for number, value in enumerate(gold.tolist())
            if not isinstance(value, int) or not 0 <= value < len(labels)
        )
        raise InputError(
            f"example {wrong} has the class {gold[wrong]}: classes are whole numbers from 0 to"
            f" {len(labels) - 1}."
        )
    sums = probabilities.sum(axis=1)
    bad = ~np.isfinite(sums) | (probabilities < 0).any(axis=1) | (np.abs(sums - 1) > 1e-2)
    if bad.any():
        number = int(np.argmax(bad))
        raise InputError(
            f"row {number} of the probabilities is {probabilities[number].tolist()}: give numbers"
            " from 0 to 1 that sum to 1 (the softmax of the logits)."
        )
    return gold, probabilities / sums[:, None]
