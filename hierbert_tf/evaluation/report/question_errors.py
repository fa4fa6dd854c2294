"""The worst errors of a question-answering model, each with its answers marked in the context."""

from collections.abc import Sequence
from dataclasses import dataclass

from hierbert_tf.downstream.question_examples import QuestionExample
from hierbert_tf.evaluation.report.highlight import highlight
from hierbert_tf.evaluation.report.page import Html, answer_text, element, section, shorten
from hierbert_tf.models.answer_extraction import Candidate, ExtractedAnswers

MOST_CHARACTERS = 500  # of a question or an answer, as shown


@dataclass(frozen=True)
class AnsweredQuestion:
    """A question with what the model made of it.

    Args:
        example: the question.
        answers: the model's candidates.
        chosen: the one that is its answer; None: no answer.
        exact: exact match, 1 or 0.
        f1: F1, 0 to 1.
        confidence: probability that the model gives its answer, 0 to 1.
    """

    example: QuestionExample
    answers: ExtractedAnswers
    chosen: Candidate | None
    exact: float
    f1: float
    confidence: float

    @property
    def golds(self) -> list[str]:
        """Texts of the gold answers."""
        return [gold.text for gold in self.example.answers]


def worst_errors(questions: Sequence[AnsweredQuestion], most: int = 30) -> Html:
    """The part of the page with the wrong answers: the least F1 first, then the most confident."""
    wrong = [one for one in questions if not one.exact]
    # The sort keeps the set's order of equals.
    worst = sorted(wrong, key=lambda one: (one.f1, -one.confidence))[:most]
    legend = element(
        "p",
        element("mark", "gold answer", class_="gold"),
        " \N{MIDDLE DOT} ",
        element("mark", "predicted answer", class_="predicted"),
        " \N{MIDDLE DOT} ",
        element("mark", "both", class_="both"),
    )
    return section(
        "Worst errors",
        *([legend] if worst else []),
        *(_error(place, one) for place, one in enumerate(worst, 1)),
        note=f"{len(worst)} of {len(wrong):,} answers without an exact match: the least F1 first, "
        "of equals the most confident."
        if worst
        else "Every answer is an exact match.",
    )


def _error(place: int, one: AnsweredQuestion) -> Html:
    example, chosen = one.example, one.chosen
    golds = list(dict.fromkeys(shorten(text, MOST_CHARACTERS) for text in one.golds)) or [""]
    listed: list[object] = []
    for text in golds:
        listed += [" | " if listed else " ", answer_text(text)]
    spans = [
        (gold.start, gold.start + len(gold.text)) for gold in example.answers if gold.start >= 0
    ]
    about = [f"{place}. {example.title}".strip(), example.id]
    return element(
        "article",
        element("header", *(element("span", element("bdi", text)) for text in about)),
        element(
            "p", shorten(example.question, MOST_CHARACTERS), class_="text question", dir="auto"
        ),
        element("p", element("span", "gold", class_="gold-name"), *listed, class_="verdict"),
        element(
            "p",
            element("span", "predicted", class_="predicted-name"),
            " ",
            answer_text(shorten(chosen.text, MOST_CHARACTERS) if chosen else ""),
            f" \N{MIDDLE DOT} confidence {one.confidence:.2f} \N{MIDDLE DOT} F1 {one.f1:.2f}",
            class_="verdict",
        ),
        highlight(example.context, spans, (chosen.start, chosen.end) if chosen else None),
    )
