"""Examples of text classification and textual entailment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TextExample:
    """One text, or a pair of texts, and its label.

    Args:
        id: names the example in reports: the file's own id, or `line N`.
        text_a: the text, or the first of the two (the premise).
        text_b: the second text (the hypothesis); None in sets of single texts.
        label: the label's name; None where the set gives none (test sets).

    Example:

    >>> TextExample("line 2", "A man sleeps.", "He is awake.", "contradiction").label
    'contradiction'
    """

    id: str
    text_a: str
    text_b: str | None
    label: str | None
