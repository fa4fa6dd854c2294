"""Examples of extractive question answering."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GoldAnswer:
    """An answer that people gave.

    Args:
        text: the answer.
        start: where it starts in the context, in characters (Unicode code points).
    """

    text: str
    start: int


@dataclass(frozen=True)
class QuestionExample:
    """A question about a text in which its answer stands.

    Args:
        id: the question's id, unique in its set.
        title: title of the article that the context is from; may be empty.
        question: the question.
        context: the text, unchanged.
        answers: the gold answers; none for a question that the context does not answer.
        is_impossible: whether the context does not answer the question (SQuAD 2.0).

    Example:

    >>> example = QuestionExample("1", "", "Who sleeps?", "A man.", (GoldAnswer("man", 2),), False)
    >>> gold = example.answers[0]
    >>> example.context[gold.start : gold.start + len(gold.text)]
    'man'
    """

    id: str
    title: str
    question: str
    context: str
    answers: tuple[GoldAnswer, ...]
    is_impossible: bool
