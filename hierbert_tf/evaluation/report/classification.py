"""The report of a fine-tuned text classifier on one labelled set."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from hierbert_tf.downstream.text_examples import TextExample
from hierbert_tf.errors import InputError
from hierbert_tf.evaluation.by_length import scores_by_length
from hierbert_tf.evaluation.calibration import calibration
from hierbert_tf.evaluation.classification_scores import (
    ClassificationScores,
    check_probabilities,
    classification_scores,
)
from hierbert_tf.evaluation.report.figures import calibration_figure, length_figure
from hierbert_tf.evaluation.report.page import (
    Html,
    bar,
    columns,
    element,
    headline,
    page,
    section,
    shorten,
    table,
    write_page,
)

WORST = 30
# A text of an error is shown up to here: one of 100,000 characters would bury the others.
MOST_CHARACTERS = 1500


def write_classification_report(
    path: str | Path,
    *,
    title: str,
    labels: Sequence[str],
    examples: Sequence[TextExample],
    gold: ArrayLike,
    probabilities: ArrayLike,
    token_lengths: ArrayLike,
    facts: Mapping[str, str],
) -> None:
    """Writes one HTML page: scores, confusions, calibration, accuracy by length, worst errors.

    Args:
        path: the file to write; its folder is made where it is missing.
        title: heading of the page.
        labels: names of the C classes.
        examples: the N examples.
        gold: int [N], the right class of each.
        probabilities: float [N, C], each row sums to 1.
        token_lengths: int [N], tokens of each example as the model reads it.
        facts: what the report is of (model, config, commit, data, counts), by name.

    Raises:
        InputError: numbers of examples that differ, what `classification_scores` raises, or a place
            that cannot be written.
        RunStopped: the disk is full.
    """
    right, chances = check_probabilities(gold, probabilities, labels)
    lengths = np.asarray(token_lengths)
    if not len(examples) == len(right) == len(lengths):
        raise InputError(
            f"the report was given {len(examples)} examples, {len(right)} labels and"
            f" {len(lengths)} lengths: there must be one of each for every example."
        )
    scores = classification_scores(right, chances, labels)
    predicted = chances.argmax(axis=1)
    confidence = chances.max(axis=1)
    correct = predicted == right
    reliability = calibration(confidence, correct)
    groups = scores_by_length(lengths, correct)
    wrong = np.flatnonzero(~correct)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:WORST]
    content = [
        headline(_headline(scores, reliability.expected_error)),
        columns(
            section(
                "Confusion matrix",
                _confusion(scores),
                note="Rows are the gold labels, columns the predicted ones; shares are of the row.",
            ),
            section(
                "By label", _by_label(scores), note="F1 is the harmonic mean of the other two."
            ),
        ),
        columns(
            section(
                "Calibration",
                calibration_figure(reliability, "accuracy"),
                note=f"Mean confidence {_percent(reliability.confidence)}, accuracy "
                f"{_percent(reliability.accuracy)}, expected calibration error "
                f"{_percent(reliability.expected_error)}.",
            ),
            section(
                "Accuracy by length",
                length_figure([("accuracy", groups)], "tokens"),
                note="Groups of about equal size; the bars are twice the standard error.",
            ),
        ),
        section(
            "Worst errors",
            *(
                _error(place, examples[number], labels, int(right[number]), chances[number])
                for place, number in enumerate(worst.tolist(), 1)
            ),
            note=f"The {len(worst)} most confident of {len(wrong):,} wrong predictions."
            if len(wrong)
            else "Every prediction is right.",
        ),
    ]
    write_page(path, page(title, facts, content))


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _headline(scores: ClassificationScores, error: float) -> list[tuple[str, str, str]]:
    by_label = [sum(row) for row in scores.confusion]
    majority = max(by_label)
    deviation = math.sqrt(scores.accuracy * (1 - scores.accuracy) / scores.count)
    always = scores.labels[by_label.index(majority)]
    return [
        (
            "Accuracy",
            _percent(scores.accuracy),
            f"\N{PLUS-MINUS SIGN} {100 * deviation:.1f} (standard error); always "
            f"\N{LEFT DOUBLE QUOTATION MARK}{always}\N{RIGHT DOUBLE QUOTATION MARK}: "
            f"{_percent(majority / scores.count)}",
        ),
        ("Macro F1", _percent(scores.macro_f1), "mean over the labels"),
        ("Matthews correlation", f"{scores.matthews:.3f}", "0 is chance, 1 is perfect"),
        (
            "Log loss",
            f"{scores.log_loss:.3f}",
            f"nats; equal chances: {math.log(len(scores.labels)):.3f}",
        ),
        ("Calibration error", _percent(error), "expected, over 10 bins"),
        ("Examples", f"{scores.count:,}", f"{len(scores.labels)} labels"),
    ]


def _confusion(scores: ClassificationScores) -> Html:
    rows = []
    for name, counts in zip(scores.labels, scores.confusion, strict=True):
        total = sum(counts)
        cells = []
        for count in counts:
            share = count / total if total else 0.0
            cells.append(
                element(
                    "td",
                    f"{count:,}",
                    element("small", _percent(share)),
                    style=f"background:rgba(var(--shade),{0.55 * share:.3f})",
                )
            )
        rows.append((name, *cells, f"{total:,}"))
    return table(("gold \\ predicted", *scores.labels, "all"), rows, "Examples by label")


def _by_label(scores: ClassificationScores) -> Html:
    rows = []
    for number, name in enumerate(scores.labels):
        hits = scores.confusion[number][number]
        given = sum(scores.confusion[number])
        predicted = sum(row[number] for row in scores.confusion)
        shares = (
            hits / predicted if predicted else 0.0,
            hits / given if given else 0.0,
            scores.f1[number],
        )
        rows.append((name, *(bar(share, _percent(share)) for share in shares), f"{given:,}"))
    return table(("label", "precision", "recall", "F1", "examples"), rows, "Scores of each label")


def _error(
    place: int, example: TextExample, labels: Sequence[str], gold: int, chances: np.ndarray
) -> Html:
    predicted = int(chances.argmax())
    texts = [("text", example.text_a)]
    if example.text_b is not None:
        texts = [("first text", example.text_a), ("second text", example.text_b)]
    shown = [
        part
        for name, text in texts
        for part in (
            element("p", name, class_="name"),
            element("p", shorten(text, MOST_CHARACTERS), class_="text", dir="auto"),
        )
    ]
    shares = [
        element(
            "li",
            element("i", element("i", style=f"width:{100 * chance:.1f}%")),
            element("bdi", label),
            _percent(chance),
            class_={gold: "is-gold", predicted: "is-predicted"}.get(number, "is-other"),
        )
        for number, (label, chance) in enumerate(zip(labels, chances.tolist(), strict=True))
    ]
    return element(
        "article",
        element(
            "header", element("span", f"{place}."), element("span", element("bdi", example.id))
        ),
        *shown,
        element(
            "p",
            element("span", "gold", class_="gold-name"),
            " ",
            element("bdi", labels[gold]),
            " \N{MIDDLE DOT} ",
            element("span", "predicted", class_="predicted-name"),
            " ",
            element("bdi", labels[predicted]),
            class_="verdict",
        ),
        element("ul", *shares, class_="shares"),
    )
