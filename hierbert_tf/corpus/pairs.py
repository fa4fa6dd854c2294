"""Tab-separated tables of sentences and sentence pairs, as GLUE ships them."""

from collections.abc import Iterator
from pathlib import Path

from hierbert_tf.corpus.document import Document
from hierbert_tf.corpus.files import read_lines
from hierbert_tf.corpus.json_lines import PAIR_FIELDS, pair_or_single
from hierbert_tf.corpus.statistics import ReadStatistics
from hierbert_tf.errors import InputError

_COLUMN_PAIRS = (*PAIR_FIELDS, ("#1 String", "#2 String"))
_COLUMN_SINGLES = ("sentence", "text")


def is_cola_row(cells: list[str]) -> bool:
    """Says whether the first line of a table is a row of CoLA's, whose tables have no header.

    Its columns are the source, the label, the author's mark and the sentence.

    Example:

    >>> is_cola_row(["gj04", "1", "", "They sang."]), is_cola_row(["index", "sentence"])
    (True, False)
    """
    return len(cells) == 4 and cells[1] in ("0", "1")


def _text_columns(header: list[str], fields: tuple[str, ...], path: Path) -> tuple[int, ...] | None:
    """Positions of the text column(s); None: the table has no header but is CoLA's."""
    if fields:
        missing = [field for field in fields if field not in header]
        if missing or len(fields) > 2:
            raise InputError(
                f"{str(path)!r}, line 1: fields {list(fields)} are not one or two of the columns "
                f"{', '.join(map(repr, header))}."
            )
        return tuple(header.index(field) for field in fields)
    for pair in _COLUMN_PAIRS:
        if all(column in header for column in pair):
            return tuple(header.index(column) for column in pair)
    for column in _COLUMN_SINGLES:
        if column in header:
            return (header.index(column),)
    if is_cola_row(header):
        return None
    raise InputError(
        f"{str(path)!r}, line 1: no known text column among {', '.join(map(repr, header))}: "
        "name one or two in `fields`."
    )


def read_glue(
    path: Path, statistics: ReadStatistics, fields: tuple[str, ...] = ()
) -> Iterator[Document]:
    r"""Yields one document a row: a pair, or a single sentence.

    Quotation marks are ordinary characters, as in GLUE's files. Rows with too few columns are left
    out and counted.

    Args:
        path: the table. Its header names the columns, but for CoLA's, which has none.
        statistics: counters.
        fields: one or two column names, for tables that are not GLUE's.

    Raises:
        InputError: the header has no known or named text column, or the table is empty.

    Example:

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "dev.tsv"
    >>> _ = file.write_text('index\tsentence1\tsentence2\tlabel\n0\tA "b.\tC.\tentailment\n')
    >>> [document.texts for document in read_glue(file, ReadStatistics())]
    [('A "b.', 'C.')]
    """
    lines = read_lines(path, statistics)
    first = next(lines, "")
    header = [name.strip() for name in first.split("\t")]
    columns = _text_columns(header, fields, path)
    if columns is None:
        columns = (3,)
        yield Document((first.split("\t")[3].strip(),))
    for line in lines:
        if not line.strip():
            continue
        row = line.split("\t")
        if len(row) <= max(columns):
            statistics.skipped_rows += 1
            continue
        texts = [row[column] for column in columns]
        document = pair_or_single(texts[0], texts[1] if len(texts) == 2 else "")
        if document:
            yield document
