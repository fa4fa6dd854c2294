"""What needs no encoder: the levels that a fine-tuned model has to beat."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from hierbert_tf.downstream.question_examples import QuestionExample
from hierbert_tf.downstream.text_examples import TextExample
from hierbert_tf.errors import InputError
from hierbert_tf.evaluation.classification_scores import (
    ClassificationScores,
    classification_scores,
)
from hierbert_tf.evaluation.squad_scores import SquadScores, normalize_answer, squad_scores

_C = 0.1
_WORD = re.compile(r"\w+")
_PIECE = re.compile(r"\S+")


@dataclass(frozen=True)
class BaselineScore:
    """What one baseline reaches on one set.

    Args:
        name: the baseline, as a table shows it.
        scores: its scores.
    """

    name: str
    scores: ClassificationScores | SquadScores


def text_baselines(
    train: Sequence[TextExample], evaluations: Mapping[str, Sequence[TextExample]]
) -> dict[str, list[BaselineScore]]:
    """Majority class and bags of words, fitted once and scored on each set.

    - `majority class`: the most frequent label of the training set (the first by name of equals),
      with the training shares as its probabilities.
    - `bag of words`: logistic regression (L2, C = 0.1) over counts of lower-cased words, the two
      texts in separate bags. C from 0.03 to 1 moves SNLI's accuracy by less than 2 points.
    - `bag of words, overlap`: for pairs, three more bags: words in both texts, in the first only,
      in the second only.

    Args:
        train: labelled examples of two classes or more.
        evaluations: labelled examples by name of the set.

    Returns:
        The baselines of each set; the classes are the training labels, sorted.

    Raises:
        InputError: an example without label, a label that training never had, a training set of
            fewer than two labels, or a set without examples.

    Example:

    >>> train = [TextExample("1", "good film", None, "+"), TextExample("2", "bad film", None, "-")]
    >>> scores = text_baselines(train, {"dev": train})["dev"]
    >>> [(one.name, one.scores.accuracy) for one in scores]
    [('majority class', 0.5), ('bag of words', 1.0)]
    """
    labels = tuple(sorted({example.label for example in train if example.label is not None}))
    if len(labels) < 2:
        raise InputError(f"a baseline needs training examples of two labels, not {list(labels)}.")
    gold = _classes(train, labels, "the training set")
    classes = {name: _classes(examples, labels, name) for name, examples in evaluations.items()}
    shares = np.bincount(gold, minlength=len(labels)) / len(gold)
    scored = {
        name: [_scored("majority class", classes[name], np.tile(shares, (len(some), 1)), labels)]
        for name, some in evaluations.items()
    }
    variants = [("bag of words", False)]
    if all(example.text_b is not None for example in train):
        variants.append(("bag of words, overlap", True))
    for variant, overlap in variants:
        # The features are named already: no further splitting by the vectoriser.
        counts = CountVectorizer(analyzer=_Bags(overlap))
        model = LogisticRegression(C=_C, max_iter=2000)
        model.fit(counts.fit_transform(train), gold)
        for name, some in evaluations.items():
            found = model.predict_proba(counts.transform(some))
            scored[name].append(_scored(variant, classes[name], found, labels))
    return scored


def question_baselines(
    train: Sequence[QuestionExample],
    evaluation: Sequence[QuestionExample],
    version: str,
) -> list[BaselineScore]:
    """The most frequent span and, in SQuAD 2.0, no answer at all.

    - `most frequent span`: see `MostFrequentSpan`.
    - `no answer` (2.0 only): the empty answer to every question.

    Args:
        train: questions with answers.
        evaluation: the questions to score on.
        version: "1.1" or "2.0", the rules of scoring.

    Raises:
        InputError: no training answer, no question to score, or what `squad_scores` raises.
    """
    golds = {one.id: [answer.text for answer in one.answers] for one in evaluation}
    span = MostFrequentSpan(train)
    answers = {one.id: span.answer(one.context) for one in evaluation}
    scored = [BaselineScore("most frequent span", squad_scores(golds, answers, version))]
    if version == "2.0":
        nothing = dict.fromkeys(golds, "")
        scored.append(BaselineScore("no answer", squad_scores(golds, nothing, version)))
    return scored


class MostFrequentSpan:
    """Answers every question with the span of words that is most often the answer in training.

    Words are what stands between white space, less the articles and bare punctuation, of which
    scoring leaves nothing (in SQuAD 2.0 the answer "The" would say that there is none). A training
    answer is described by the number of the word in which it starts and by how many words it
    touches; the pair that most training questions have (each counted by its first gold answer; of
    equals the earliest, then the shortest) is the answer to everything. Where a context is too
    short for it, the span moves back until it fits.

    Args:
        train: questions; those without an answer do not count.

    Raises:
        InputError: no question has an answer.

    Example:

    >>> from hierbert_tf.downstream.question_examples import GoldAnswer
    >>> who = QuestionExample("1", "", "Who?", "It was Ada.", (GoldAnswer("Ada", 7),), False)
    >>> span = MostFrequentSpan([who])
    >>> span.start, span.length, span.answer("Here lives Bob now."), span.answer("Nobody")
    (2, 1, 'Bob', 'Nobody')
    """

    def __init__(self, train: Iterable[QuestionExample]):
        spans: Counter[tuple[int, int]] = Counter()
        for example in train:
            # A start below 0 says that the place is not known.
            if gold := next((one for one in example.answers if one.start >= 0), None):
                end = gold.start + len(gold.text)
                touched = [
                    number
                    for number, (first, last) in enumerate(_words(example.context))
                    if first < end and last > gold.start
                ]
                if touched:
                    spans[touched[0], len(touched)] += 1
        if not spans:
            raise InputError("no training question has an answer: the most frequent span is none.")
        self.start, self.length = min(spans, key=lambda span: (-spans[span], *span))

    def answer(self, context: str) -> str:
        """The text of the span in a context, without white space at its ends."""
        words = _words(context)
        if not words:
            return ""
        first = max(0, min(self.start, len(words) - self.length))
        last = min(first + self.length, len(words)) - 1
        return context[words[first][0] : words[last][1]]


def _words(context: str) -> list[tuple[int, int]]:
    """First character and end of each word of which scoring leaves anything."""
    return [found.span() for found in _PIECE.finditer(context) if normalize_answer(found[0])]


class _Bags:
    """The words of an example, each with the name of its bag."""

    def __init__(self, overlap: bool):
        self.overlap = overlap

    def __call__(self, example: TextExample) -> list[str]:
        first = _WORD.findall(example.text_a.lower())
        second = _WORD.findall((example.text_b or "").lower())
        bags = [f"first {word}" for word in first] + [f"second {word}" for word in second]
        if self.overlap:
            one, two = set(first), set(second)
            bags += [f"both {word}" for word in one & two]
            bags += [f"first only {word}" for word in one - two]
            bags += [f"second only {word}" for word in two - one]
        return bags


def _classes(examples: Sequence[TextExample], labels: Sequence[str], place: str) -> np.ndarray:
    number = {label: index for index, label in enumerate(labels)}
    for example in examples:
        if example.label not in number:
            given = "no label" if example.label is None else f"the label {example.label!r}"
            raise InputError(
                f"example {example.id!r} of {place} has {given}: baselines know the training"
                f" labels {', '.join(labels)}."
            )
    return np.array([number[example.label] for example in examples if example.label], "int64")


def _scored(
    name: str, gold: np.ndarray, probabilities: np.ndarray, labels: Sequence[str]
) -> BaselineScore:
    return BaselineScore(name, classification_scores(gold, probabilities, labels))
