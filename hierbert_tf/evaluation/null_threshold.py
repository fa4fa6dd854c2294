"""The threshold above which a question counts as one without an answer (SQuAD 2.0)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hierbert_tf.errors import InputError
from hierbert_tf.evaluation.squad_scores import score_answer


@dataclass(frozen=True)
class BestThreshold:
    """The null thresholds that would have scored best on a set whose answers are known.

    Args:
        threshold_exact: for exact match; a question is unanswered when its odds are above it.
        best_exact: the exact match reached, per cent.
        threshold_f1: for F1.
        best_f1: the F1 reached, per cent.
    """

    threshold_exact: float
    best_exact: float
    threshold_f1: float
    best_f1: float


def best_threshold(
    golds: Mapping[str, Sequence[str]],
    predictions: Mapping[str, str],
    null_odds: Mapping[str, float],
) -> BestThreshold:
    """Thresholds over the null odds that score best, found as SQuAD 2.0's script finds them.

    Scores equal the official ones. So do the thresholds, but for one case: where answering nothing
    scores best the script says 0.0 whatever the odds are; here a threshold that is not below all
    odds is put just below the lowest, so that it gives the score that it stands for.

    Args:
        golds: the gold answers of each question id; none for a question without an answer.
        predictions: the best *non-empty* answer of each question id.
        null_odds: score of no answer minus that of the best answer, of each question id.

    Raises:
        InputError: no questions, a question without prediction or odds, odds that are NaN.

    Example:

    >>> best_threshold({"a": ["x"], "b": []}, {"a": "x", "b": "y"}, {"a": -1.0, "b": 2.0})
    BestThreshold(threshold_exact=-1.0, best_exact=100.0, threshold_f1=-1.0, best_f1=100.0)
    """
    if not golds:
        raise InputError("there is no question to find a threshold on: the data has none.")
    for name, values in (("prediction", predictions), ("null odds", null_odds)):
        if absent := [key for key in golds if key not in values]:
            raise InputError(f"question {absent[0]!r} has no {name}: give one for each question.")
    if wrong := [key for key in golds if math.isnan(null_odds[key])]:
        raise InputError(f"the null odds of question {wrong[0]!r} are not a number.")
    scores = {key: score_answer(predictions[key], answers) for key, answers in golds.items()}
    # Equal odds keep the order of `null_odds`, as in the script.
    order = sorted((key for key in null_odds if key in golds), key=lambda key: null_odds[key])

    def search(which: int) -> tuple[float, float]:
        score: float = sum(not answers for answers in golds.values())
        nothing = best = score
        threshold = 0.0
        for key in order:
            score += scores[key][which] if golds[key] else -bool(predictions[key])
            if score > best:
                best, threshold = score, null_odds[key]
        if best == nothing and null_odds[order[0]] <= threshold:
            threshold = math.nextafter(null_odds[order[0]], -math.inf)
        return threshold, 100.0 * best / len(scores)

    return BestThreshold(*search(0), *search(1))


def apply_threshold(
    predictions: Mapping[str, str], null_odds: Mapping[str, float], threshold: float
) -> dict[str, str]:
    """The predictions, empty where the null odds are above the threshold.

    Raises:
        InputError: a prediction without odds.

    Example:

    >>> apply_threshold({"a": "x", "b": "y"}, {"a": -1.0, "b": 2.0}, 0.0)
    {'a': 'x', 'b': ''}
    """
    if absent := [key for key in predictions if key not in null_odds]:
        raise InputError(f"question {absent[0]!r} has no null odds: give them for each prediction.")
    return {key: "" if null_odds[key] > threshold else text for key, text in predictions.items()}
