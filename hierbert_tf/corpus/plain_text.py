"""Plain text files to documents."""

import re
from collections.abc import Iterator
from pathlib import Path

from hierbert_tf.corpus.document import Document
from hierbert_tf.corpus.files import LONGEST_LINE, bare_name, read_lines
from hierbert_tf.corpus.span import WHOLE, Span
from hierbert_tf.corpus.statistics import ReadStatistics
from hierbert_tf.errors import InputError

DOCUMENT_BREAKS = ("blank_line", "paragraph", "line")

LONGEST_DOCUMENT = 4_000_000
"""Characters of a document that are held in memory; a longer one comes in several pieces."""

_HEADING = re.compile(r"\s*(=(?: ?=)*)\s*([^=\s](?:.*[^=\s])?)\s*(=(?: ?=)*)\s*")
# WikiText writes 1,000 as `1 @,@ 000`.
_WIKITEXT_SEPARATOR = re.compile(r" @([-,.])@ ")


def heading_level(line: str) -> int:
    """Level of a heading line such as `== Early life ==`; 0: no heading.

    Example:

    >>> [heading_level(line) for line in ("= Night and day =", " = = Career = = ", "a = b")]
    [1, 2, 0]
    """
    if not line.lstrip().startswith("="):
        return 0
    match = _HEADING.fullmatch(line)
    if not match or match[1].count("=") != match[3].count("="):
        return 0
    return match[1].count("=")


def split_paragraphs(text: str) -> tuple[str, ...]:
    r"""Paragraphs of a text: blank lines separate them, other line ends count as spaces.

    Example:

    >>> split_paragraphs("One line\nwrapped.\n\n Two. ")
    ('One line wrapped.', 'Two.')
    """
    paragraphs = (" ".join(block.split()) for block in re.split(r"\n\s*\n", text))
    return tuple(paragraph for paragraph in paragraphs if paragraph)


class _Pieces:
    """Collects lines to paragraphs and paragraphs to documents, of bounded size."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line_characters = 0
        self._paragraphs: list[str] = []
        self._characters = 0
        self._continues = False

    def add_line(self, line: str) -> Iterator[Document]:
        self._lines.append(line)
        self._line_characters += len(line)
        if self._line_characters >= LONGEST_LINE:
            self.end_paragraph()
        if self._characters >= LONGEST_DOCUMENT:
            yield self._take()
            self._continues = True

    def end_paragraph(self) -> None:
        paragraph = " ".join(" ".join(self._lines).split())
        if paragraph:
            self._paragraphs.append(paragraph)
            self._characters += len(paragraph)
        self._lines, self._line_characters = [], 0

    def end_document(self) -> Iterator[Document]:
        self.end_paragraph()
        if self._paragraphs:
            yield self._take()
        self._continues = False

    def _take(self) -> Document:
        document = Document(tuple(self._paragraphs), continues=self._continues)
        self._paragraphs, self._characters = [], 0
        return document


def read_plain_text(
    path: Path,
    statistics: ReadStatistics,
    document_break: str = "blank_line",
    span: Span = WHOLE,
) -> Iterator[Document]:
    r"""Yields the documents of a plain-text file.

    Line ends within a paragraph count as spaces. Heading lines (`= Title =`, `== Chapter ==`, as in
    WikiText and ELTeC) are no sentences: they are left out and end a paragraph. In a file with
    `= Title =` lines each title begins a document, and blank lines only end paragraphs.

    Args:
        path: the file.
        statistics: counters.
        document_break: `blank_line`: a blank line ends a document; `paragraph`: a blank line ends a
            paragraph, the file is one document; `line`: each line is a document.
        span: the part to read; it must begin where a document does.

    Raises:
        InputError: unknown `document_break`, unreadable file.

    Example:

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "a.txt"
    >>> _ = file.write_text("One.\nTwo.\n\nThree.\n")
    >>> [document.texts for document in read_plain_text(file, ReadStatistics())]
    [('One. Two.',), ('Three.',)]
    """
    if document_break not in DOCUMENT_BREAKS:
        raise InputError(
            f"document_break is {document_break!r}: use one of {', '.join(DOCUMENT_BREAKS)}."
        )
    is_wikitext = bare_name(path).endswith(".tokens")
    pieces = _Pieces()
    titled = False
    for line in read_lines(path, statistics, span=span):
        if is_wikitext:
            line = _WIKITEXT_SEPARATOR.sub(r"\1", line)
        if document_break == "line":
            yield from pieces.add_line(line)
            yield from pieces.end_document()
            continue
        level = heading_level(line)
        if level == 1 and document_break == "blank_line":
            titled = True
            yield from pieces.end_document()
        elif level or not line.strip():
            if level or titled or document_break == "paragraph":
                pieces.end_paragraph()
            else:
                yield from pieces.end_document()
        else:
            yield from pieces.add_line(line)
    yield from pieces.end_document()
