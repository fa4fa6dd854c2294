"""The report of a fine-tuned question-answering model on one set."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from hierbert_tf.downstream.question_examples import QuestionExample
from hierbert_tf.errors import InputError
from hierbert_tf.evaluation.by_length import scores_by_length
from hierbert_tf.evaluation.calibration import calibration
from hierbert_tf.evaluation.null_threshold import best_threshold
from hierbert_tf.evaluation.report.figures import (
    calibration_figure,
    length_figure,
    null_odds_figure,
)
from hierbert_tf.evaluation.report.page import (
    Html,
    bar,
    columns,
    headline,
    page,
    section,
    table,
    write_page,
)
from hierbert_tf.evaluation.report.question_errors import AnsweredQuestion, worst_errors
from hierbert_tf.evaluation.squad_scores import SquadScores, exact_match, score_answer
from hierbert_tf.models.answer_extraction import ExtractedAnswers

_QUESTION_WORD = re.compile(
    r"\b(how (?:many|much)|how|what|who|whom|whose|which|when|where|why)\b", re.IGNORECASE
)
_SAME = {"whom": "who", "whose": "who", "how much": "how many", "how many": "how many"}
_ANSWER_LENGTHS = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, None))


def write_question_report(
    path: str | Path,
    *,
    title: str,
    examples: Sequence[QuestionExample],
    answers: Sequence[ExtractedAnswers],
    scores: SquadScores,
    facts: Mapping[str, str],
    null_threshold: float | None = None,
) -> None:
    """Writes one HTML page: scores, their parts, calibration, null odds, worst errors.

    Args:
        path: the file to write; its folder is made where it is missing.
        title: heading of the page.
        examples: the questions.
        answers: what the model answers to each of them.
        scores: of the whole set, of version "1.1" or "2.0".
        facts: what the report is of (model, config, commit, data, counts), by name.
        null_threshold: a question is not answered where its null odds are above it; None: all are.

    Raises:
        InputError: no questions, numbers of questions, answers and scores that differ, or a place
            that cannot be written.
        RunStopped: the disk is full.
    """
    if not len(examples) == len(answers) == scores.total:
        raise InputError(
            f"the report was given {len(examples)} questions, {len(answers)} answers and the scores"
            f" of {scores.total}: there must be one of each for every question."
        )
    all_of_them = [
        _judge(example, found, scores.version, null_threshold)
        for example, found in zip(examples, answers, strict=True)
    ]
    figures = [_by_context(all_of_them), _calibration(all_of_them)]
    if scores.version == "2.0":
        figures.append(_null_odds(all_of_them, null_threshold))
    content = [
        headline(_headline(scores)),
        columns(
            section(
                "By question word",
                _by(all_of_them, "question word", question_word),
                note="The first question word; of the questions without one: other.",
            ),
            section(
                "By length of the answer",
                _by(all_of_them, "words", _answer_length, _answer_lengths()),
                note="Words of the first gold answer.",
            ),
        ),
        columns(*figures),
        worst_errors(all_of_them),
    ]
    write_page(path, page(title, facts, content))


def _judge(
    example: QuestionExample, answers: ExtractedAnswers, version: str, threshold: float | None
) -> AnsweredQuestion:
    chosen = answers.chosen(threshold)
    exact, f1 = score_answer(
        chosen.text if chosen else "", [gold.text for gold in example.answers], version=version
    )
    # With a threshold: also how far the odds are from it, as a probability.
    answered = 1.0 if threshold is None else _logistic(threshold - answers.null_odds)
    confidence = chosen.probability * answered if chosen else 1 - answered
    return AnsweredQuestion(example, answers, chosen, exact, f1, confidence)


def _logistic(value: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(value, -500, 500))))


def _number(per_cent: float) -> str:
    return f"{per_cent:.2f}"


def _headline(scores: SquadScores) -> list[tuple[str, str, str]]:
    tiles = [
        ("Exact match", _number(scores.exact), "per cent"),
        ("F1", _number(scores.f1), "per cent"),
        ("Questions", f"{scores.total:,}", f"SQuAD {scores.version} rules"),
    ]
    for name, part in (
        ("With an answer", scores.has_answer),
        ("Without an answer", scores.no_answer),
    ):
        if part is not None:
            tiles.append(
                (name, _number(part.f1), f"F1 of {part.total:,}; exact {_number(part.exact)}")
            )
    if scores.missing:
        tiles.append(("Missing", f"{scores.missing:,}", "questions without a prediction: wrong"))
    return tiles


def _by_context(questions: Sequence[AnsweredQuestion]) -> Html:
    words = [len(one.example.context.split()) for one in questions]
    series = [
        (name, scores_by_length(words, [getattr(one, field) for one in questions]))
        for name, field in (("F1", "f1"), ("exact match", "exact"))
    ]
    return section(
        "By length of the context",
        length_figure(series, "words"),
        note="Groups of about equal size; the bars are twice the standard error.",
    )


def _by(
    questions: Sequence[AnsweredQuestion],
    what: str,
    kind: Callable[[QuestionExample], str],
    order: Sequence[str] = (),
) -> Html:
    """A table of the mean scores of each kind; in the given order, else the most frequent first."""
    kinds: dict[str, list[AnsweredQuestion]] = {}
    for one in questions:
        kinds.setdefault(kind(one.example), []).append(one)
    if order:
        names = [name for name in order if name in kinds]
    else:
        names = sorted(kinds, key=lambda name: (-len(kinds[name]), name))
    rows = []
    for name in names:
        exact = float(np.mean([one.exact for one in kinds[name]]))
        f1 = float(np.mean([one.f1 for one in kinds[name]]))
        rows.append(
            (
                name,
                bar(exact, f"{100 * exact:.1f}"),
                bar(f1, f"{100 * f1:.1f}"),
                f"{len(kinds[name]):,}",
            )
        )
    return table((what, "exact", "F1", "questions"), rows, "Mean scores, per cent")


def question_word(example: QuestionExample) -> str:
    """The first question word of a question, `other` where it has none.

    Example:

    >>> question_word(QuestionExample("1", "", "In whose year, and how?", "x", (), True))
    'who'
    """
    found = _QUESTION_WORD.search(example.question)
    word = found[0].lower() if found else "other"
    return _SAME.get(word, word)


def _answer_length(example: QuestionExample) -> str:
    if not example.answers:
        return "no answer"
    words = max(1, len(example.answers[0].text.split()))
    return next(
        _range_name(low, high)
        for low, high in _ANSWER_LENGTHS
        if low <= words and (high is None or words <= high)
    )


def _range_name(low: int, high: int | None) -> str:
    if high is None:
        return f"{low} or more"
    return str(low) if low == high else f"{low}\N{EN DASH}{high}"


def _answer_lengths() -> list[str]:
    return [*(_range_name(low, high) for low, high in _ANSWER_LENGTHS), "no answer"]


def _calibration(questions: Sequence[AnsweredQuestion]) -> Html:
    answerable = [
        (one.answers.best.probability, exact_match(one.answers.best.text, one.golds))
        for one in questions
        if one.example.answers and one.answers.best is not None
    ]
    if not answerable:
        return section("Calibration", note="No question has an answer and a predicted span.")
    # Rounding may leave a lone candidate's probability a step above 1.
    found = calibration(*np.minimum(np.array(answerable, "float64").T, 1.0))
    return section(
        "Calibration",
        calibration_figure(found, "exact match"),
        note="Probability of the best span among its candidates, over questions that have an "
        f"answer: mean {found.confidence:.3f}, exact match {found.accuracy:.3f}, expected "
        f"calibration error {found.expected_error:.3f}.",
    )


def _null_odds(questions: Sequence[AnsweredQuestion], threshold: float | None) -> Html:
    odds = {one.example.id: one.answers.null_odds for one in questions}
    best = best_threshold(
        {one.example.id: one.golds for one in questions},
        {one.example.id: one.answers.text() for one in questions},
        odds,
    )
    used = "none: every question is answered" if threshold is None else f"{threshold:.4f}"
    return section(
        "No answer",
        null_odds_figure(
            [odds[one.example.id] for one in questions if one.example.answers],
            [odds[one.example.id] for one in questions if not one.example.answers],
            threshold,
        ),
        note=f"Threshold in use: {used}. The best on this very set would be "
        f"{best.threshold_exact:.4f} for exact match ({_number(best.best_exact)}) and "
        f"{best.threshold_f1:.4f} for F1 ({_number(best.best_f1)}); chosen with its answers known, "
        "these two are no test scores.",
    )
