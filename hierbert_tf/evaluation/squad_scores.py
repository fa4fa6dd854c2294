"""Exact match and F1 of question answering, by the definitions of SQuAD 1.1 and 2.0."""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hierbert_tf.errors import InputError

VERSIONS = ("1.1", "2.0")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """The text as answers are compared: lower case, no punctuation, no articles, single spaces.

    Only ASCII punctuation goes, as the definition has it: a typographic quote or dash stays.

    Example:

    >>> normalize_answer("The  Eiffel-Tower, a tower!")
    'eiffeltower tower'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_WITHOUT_PUNCTUATION)).split())


def exact_match(prediction: str, golds: Sequence[str], *, version: str = "2.0") -> int:
    """1 when the prediction equals a gold answer after `normalize_answer`, else 0.

    Args:
        prediction: the answer's text; empty says that there is no answer.
        golds: the gold answers. In 2.0 none says that there is no answer, and one of which
            nothing is left after normalising does not count.
        version: "1.1" or "2.0".

    Raises:
        InputError: no gold answer in 1.1, or an unknown version.

    Example:

    >>> exact_match("Eiffel tower", ["the Eiffel Tower", "a tower"])
    1
    """
    return score_answer(prediction, golds, version=version)[0]


def f1_score(prediction: str, golds: Sequence[str], *, version: str = "2.0") -> float:
    """The best F1, over the gold answers, of the bags of words after `normalize_answer`.

    A prediction or a gold answer of no words: in 1.1 the F1 is 0, also when both have none; in 2.0
    it is 1 when both have none and 0 otherwise.

    Args:
        prediction: the answer's text; empty says that there is no answer.
        golds: the gold answers, as in `exact_match`.
        version: "1.1" or "2.0".

    Raises:
        InputError: no gold answer in 1.1, or an unknown version.

    Example:

    >>> f1_score("the tall Eiffel tower", ["Eiffel Tower"])
    0.8
    """
    return score_answer(prediction, golds, version=version)[1]


def score_answer(
    prediction: str, golds: Sequence[str], *, version: str = "2.0"
) -> tuple[int, float]:
    """Exact match and F1 of one prediction: what `exact_match` and `f1_score` give.

    Raises:
        InputError: no gold answer in 1.1, or an unknown version.

    Example:

    >>> score_answer("", [])
    (1, 1.0)
    """
    if version not in VERSIONS:
        raise InputError(f"SQuAD has no version {version!r}: give one of {', '.join(VERSIONS)}.")
    wanted = [normalize_answer(gold) for gold in golds]
    if version == "2.0":
        wanted = [gold for gold in wanted if gold] or [""]
    elif not wanted:
        raise InputError("a question of SQuAD 1.1 has no gold answer: score it as version '2.0'.")
    given = normalize_answer(prediction)
    return int(given in wanted), max(_f1(given.split(), gold.split(), version) for gold in wanted)


def _f1(given: list[str], wanted: list[str], version: str) -> float:
    if version == "2.0" and not (given and wanted):
        return float(given == wanted)
    same = sum((Counter(given) & Counter(wanted)).values())
    if same == 0:
        return 0.0
    precision = 1.0 * same / len(given)
    recall = 1.0 * same / len(wanted)
    return (2 * precision * recall) / (precision + recall)


@dataclass(frozen=True)
class SquadPart:
    """Scores over a part of the questions.

    Args:
        exact: exact match, per cent.
        f1: F1, per cent.
        total: number of questions.
    """

    exact: float
    f1: float
    total: int


@dataclass(frozen=True)
class SquadScores:
    """Scores of a whole set of questions.

    Args:
        version: "1.1" or "2.0".
        exact: exact match, per cent.
        f1: F1, per cent.
        total: number of questions.
        missing: questions without a prediction; each counts as wrong.
        has_answer: the questions that have an answer; None in 1.1 and when there is none.
        no_answer: the questions that have none; None in 1.1 and when there is none.
    """

    version: str
    exact: float
    f1: float
    total: int
    missing: int = 0
    has_answer: SquadPart | None = None
    no_answer: SquadPart | None = None

    def as_dict(self) -> dict[str, float]:
        """The scores by name, flat, for a row of a table.

        Example:

        >>> SquadScores("1.1", 50.0, 62.5, 4).as_dict()
        {'exact': 50.0, 'f1': 62.5, 'total': 4, 'missing': 0}
        """
        row = {"exact": self.exact, "f1": self.f1, "total": self.total, "missing": self.missing}
        for name, part in (("has_answer", self.has_answer), ("no_answer", self.no_answer)):
            if part is not None:
                row |= {
                    f"{name}_exact": part.exact,
                    f"{name}_f1": part.f1,
                    f"{name}_total": part.total,
                }
        return row


def squad_scores(
    golds: Mapping[str, Sequence[str]], predictions: Mapping[str, str], version: str
) -> SquadScores:
    """Exact match and F1 of a set of predictions, equal to the official ones to the last digit.

    Sums run in the order of `golds`, which is to be the data's order: a sum of floats depends on
    it. A question without a prediction counts as wrong in both versions (2.0's own script leaves
    it out of the total and cannot split such scores) and is counted in `missing`.

    Args:
        golds: the gold answers of each question id; in 2.0 none for a question without an answer.
        predictions: the predicted text of each question id; ids that `golds` has not are ignored.
        version: "1.1" or "2.0".

    Raises:
        InputError: no questions, a question without gold answers in 1.1, an unknown version.

    Example:

    >>> squad_scores({"q1": ["Paris"], "q2": []}, {"q1": "in Paris", "q2": ""}, "2.0").exact
    50.0

    Reference: Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of
    Text"; Rajpurkar et al. 2018, "Know What You Don't Know: Unanswerable Questions for SQuAD".
    """
    if not golds:
        raise InputError("there is no question to score: the data has none.")
    exact, f1 = {}, {}
    for key, answers in golds.items():
        if not answers and version == "1.1":
            raise InputError(
                f"question {key!r} has no gold answer, as only SQuAD 2.0 allows: give version '2.0'"
                " or leave the question out."
            )
        # Scored even when missing, so that an unknown version is an error whatever is predicted.
        exact[key], f1[key] = score_answer(predictions.get(key, ""), answers, version=version)
        if key not in predictions:
            exact[key], f1[key] = 0, 0.0

    def part(keys: Sequence[str]) -> SquadPart | None:
        if not keys:
            return None
        return SquadPart(
            100.0 * sum(exact[key] for key in keys) / len(keys),
            # 2.0's script adds with the builtin, which compensates rounding from Python 3.12 on.
            100.0
            * (sum if version == "2.0" else _plain_sum)([f1[key] for key in keys])
            / len(keys),
            len(keys),
        )

    every = part(list(golds))
    assert every is not None
    has, no = None, None
    if version == "2.0":
        has = part([key for key, answers in golds.items() if answers])
        no = part([key for key, answers in golds.items() if not answers])
    missing = sum(key not in predictions for key in golds)
    return SquadScores(version, every.exact, every.f1, every.total, missing, has, no)


def _plain_sum(values: Sequence[float]) -> float:
    """One addition after the other, as 1.1's script adds."""
    total = 0.0
    for value in values:
        total += value
    return total
