"""A document: the unit that the corpus readers hand out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Document:
    """The text of one document, not yet split into sentences.

    Args:
        texts: paragraphs in order; for a pair exactly two texts, each of them one sentence.
        is_pair: the two texts belong together (premise and hypothesis, question and sentence).
        continues: this is the next piece of the document before it, which was too long to be held
            in memory whole: both get the same document id.
        group: documents of the same non-empty group (a context and its questions) go to the same
            split; empty: the first text decides.

    Raises:
        ValueError: a pair that has not exactly two texts.

    Example:

    >>> Document(("A man sleeps.", "Nobody is awake."), is_pair=True).split_key
    'A man sleeps.'
    """

    texts: tuple[str, ...]
    is_pair: bool = False
    continues: bool = False
    group: str = ""

    def __post_init__(self) -> None:
        if self.is_pair and len(self.texts) != 2:
            raise ValueError(f"a pair has two texts, not {len(self.texts)}")

    @property
    def split_key(self) -> str:
        """The text whose hash says to which split this document goes."""
        if self.group:
            return self.group
        return self.texts[0] if self.is_pair else "\n".join(self.texts)
