"""JSON lines to documents: one JSON object a line, with one text field or two."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hierbert_tf.corpus.document import Document
from hierbert_tf.corpus.files import read_raw_lines
from hierbert_tf.corpus.plain_text import split_paragraphs
from hierbert_tf.corpus.span import WHOLE, Span
from hierbert_tf.corpus.statistics import ReadStatistics
from hierbert_tf.errors import InputError

PAIR_FIELDS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("text_a", "text_b"),
    ("question", "sentence"),
    ("question1", "question2"),
)
"""Keys, or columns, that hold a pair of texts where none are named: SNLI, MultiNLI, GLUE."""

_LONGEST_RECORD = 16_000_000


def read_records(
    path: Path, statistics: ReadStatistics, span: Span = WHOLE
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields `(line number, object)` for each line that is not blank.

    Args:
        path: the file.
        statistics: counters.
        span: the lines to read, where the file is not compressed.

    Raises:
        InputError: a line is no JSON object; names file and line.
    """
    first = 1 + span.lines_before(path)
    lines = read_raw_lines(path, statistics, _LONGEST_RECORD, span)
    for number, (raw, whole) in enumerate(lines, first):
        if not whole:
            raise InputError(
                f"{str(path)!r}, line {number}: a record of more than {_LONGEST_RECORD} bytes: "
                "cut it into several."
            )
        if not raw.strip():
            continue
        try:
            record = json.loads(statistics.decode(raw))
        except (ValueError, RecursionError) as error:  # ValueError: also a number without end
            raise InputError(f"{str(path)!r}, line {number}: not valid JSON ({error}).") from error
        if not isinstance(record, dict):
            raise InputError(
                f"{str(path)!r}, line {number}: a {type(record).__name__} where a JSON object "
                '{"text": ...} is needed.'
            )
        yield number, record


def _text(record: dict[str, Any], field: str, place: str, statistics: ReadStatistics) -> str:
    if field not in record:
        raise InputError(
            f"{place}: no field {field!r} (there are {', '.join(map(repr, record))}): "
            "name the text field(s) in `fields`."
        )
    value = record[field]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = "\n\n".join(value)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(
            f"{place}: field {field!r} holds a {type(value).__name__} where text is needed."
        )
    return statistics.clean(value)


def pair_or_single(first: str, second: str) -> Document | None:
    """A pair of two texts; a document of one where the other is empty; None for two empty ones."""
    first, second = " ".join(first.split()), " ".join(second.split())
    if first and second:
        return Document((first, second), is_pair=True)
    return Document((first or second,)) if first or second else None


def read_json_lines(
    path: Path, statistics: ReadStatistics, fields: tuple[str, ...] = (), span: Span = WHOLE
) -> Iterator[Document]:
    r"""Yields one document a line.

    Args:
        path: the file.
        statistics: counters.
        fields: the key of the text, or the two keys of a pair. Empty: `text`, or else a known pair
            of keys (`sentence1`/`sentence2` as in SNLI and MultiNLI, `premise`/`hypothesis`,
            `text_a`/`text_b`, ...), looked up in each line.
        span: the lines to read, where the file is not compressed.

    Raises:
        InputError: bad JSON, a missing key, a value that is no text; names file and line.

    Example:

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "a.jsonl"
    >>> _ = file.write_text('{"text": "One. Two."}\n{"premise": "A.", "hypothesis": "B."}\n')
    >>> [(document.texts, document.is_pair) for document in read_json_lines(file, ReadStatistics())]
    [(('One. Two.',), False), (('A.', 'B.'), True)]
    """
    if len(fields) > 2:
        raise InputError(
            f"fields {list(fields)} of {str(path)!r}: give one field, or two of a pair."
        )
    for number, record in read_records(path, statistics, span):
        place = f"{str(path)!r}, line {number}"
        keys = fields
        if not keys and "text" not in record:
            keys = next((pair for pair in PAIR_FIELDS if all(key in record for key in pair)), ())
        document: Document | None
        if len(keys) == 2:
            texts = [_text(record, key, place, statistics) for key in keys]
            document = pair_or_single(texts[0], texts[1])
        else:
            text = _text(record, keys[0] if keys else "text", place, statistics)
            paragraphs = split_paragraphs(text)
            document = Document(paragraphs) if paragraphs else None
        if document:
            yield document
