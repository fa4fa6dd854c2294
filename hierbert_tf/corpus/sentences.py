"""Documents to sentences, by Wikimedia's sentencex."""

import re
from importlib.metadata import version

import sentencex

from hierbert_tf.corpus.document import Document
from hierbert_tf.errors import InputError


def splitter_version() -> str:
    """Name and version of the sentence splitter: another version may split elsewhere."""
    return f"sentencex {version('sentencex')}"


def check_language(language: str) -> None:
    """Checks that `language` looks like an ISO 639 code; sentencex splits unlisted ones as English.

    Raises:
        InputError: it does not.
    """
    if not re.fullmatch(r"[a-z]{2,3}", language):
        raise InputError(f"corpus.language is {language!r}: give an ISO 639 code such as 'en'.")


def split_sentences(document: Document, language: str = "en") -> list[str]:
    """Sentences of a document in their order.

    Args:
        document: paragraphs, or a pair, whose two texts stay whole.
        language: ISO 639-1 code.

    Returns:
        The sentences, without white space at their ends; no sentence crosses a paragraph's end.

    Example:

    >>> split_sentences(Document(("Dr. A. Smith came at 5 p.m. He left.",)))
    ['Dr. A. Smith came at 5 p.m.', 'He left.']
    """
    return [sentence for part in sentences_by_text(document, language) for sentence in part]


def sentences_by_text(document: Document, language: str = "en") -> list[list[str]]:
    """Sentences of each text (paragraph) of a document; of a pair's texts one each.

    Example:

    >>> sentences_by_text(Document(("One. Two.", " ")))
    [['One.', 'Two.'], []]
    """
    if document.is_pair:
        return [[text.strip()] for text in document.texts]
    found = (
        (piece.strip() for piece in sentencex.segment(language, text)) for text in document.texts
    )
    return [[sentence for sentence in pieces if sentence] for pieces in found]
