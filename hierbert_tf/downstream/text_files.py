"""Labelled texts in files: JSON lines and tab-separated tables (SNLI, MultiNLI, GLUE)."""

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from hierbert_tf.corpus.files import bare_name, read_raw_lines
from hierbert_tf.corpus.json_lines import read_records
from hierbert_tf.corpus.pairs import is_cola_row
from hierbert_tf.corpus.statistics import ReadStatistics
from hierbert_tf.downstream.example_counts import ExampleCounts
from hierbert_tf.downstream.text_records import (
    ID_FIELDS,
    NO_LABEL,
    TextRecord,
    choose_fields,
    label_fields,
)
from hierbert_tf.errors import InputError

BAD_CHARACTERS = "bytes that are no UTF-8, NULs or lone surrogates left out"
"""Why `ExampleCounts.repaired` counts a line that had characters no text has."""

_LONGEST_ROW = 16_000_000


def is_json(path: Path) -> bool:
    """Whether a file holds JSON, by its name or its first character.

    Raises:
        InputError: the file cannot be read, or is neither JSON nor a table.
    """
    name = bare_name(path)
    if name.endswith((".jsonl", ".ndjson", ".json")):
        return True
    lines = (line for line, _ in read_raw_lines(path, ReadStatistics(), 1_000_000))
    first = next((line for line in lines if line.strip()), b"").lstrip()
    if first.startswith(b"{"):
        return True
    if name.endswith(".csv") and b"\t" not in first:
        raise InputError(
            f"{str(path)!r} separates its columns by commas: convert it to tabs or JSON lines."
        )
    return False


def read_json_text(
    path: Path, fields: Sequence[str], label_field: str, counts: ExampleCounts
) -> Iterator[TextRecord]:
    """Yields the records of JSON lines.

    Args:
        path: the file, plain or compressed.
        fields: one or two keys; empty: known ones, chosen at the first record.
        label_field: key of the label; empty: a known one.
        counts: takes each record.

    Raises:
        InputError: bad JSON, no known keys, values of a wrong kind; names file and line.
    """
    statistics, dropped = ReadStatistics(), 0
    texts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    for number, record in read_records(path, statistics):
        place = f"{str(path)!r}, line {number}"
        if not texts:
            texts = choose_fields(list(record), fields, place)
            labels = label_fields(list(record), label_field, place)
        counts.take()
        found = tuple((key, _json_text(record.get(key), key, place, statistics)) for key in texts)
        label = next((record[key] for key in labels if key in record), None)
        # Cleaning a string of its escapes counts what it drops, as decoding the line does.
        if dropped != (dropped := statistics.undecodable_bytes + statistics.nul_bytes):
            counts.repair(BAD_CHARACTERS, place)
        name = next((record[key] for key in ID_FIELDS if record.get(key) not in (None, "")), None)
        name = str(name) if isinstance(name, str | int) else f"line {number}"
        yield TextRecord(place, name, found, _json_label(label, place))


def _json_text(value: Any, key: str, place: str, statistics: ReadStatistics) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"{place}: {key!r} holds a {type(value).__name__} where text is needed.")
    whole = len(value)
    value = statistics.clean(value)
    statistics.undecodable_bytes += whole - len(value)
    return value.strip()


def _json_label(value: Any, place: str) -> str | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is not None and not isinstance(value, str | int):
        raise InputError(
            f"{place}: the label is {json.dumps(value)[:50]} where a name or an integer is needed: "
            "name another in `label_field`."
        )
    text = str(value).lower() if isinstance(value, bool) else str(value).strip()
    return None if value is None or text in NO_LABEL else text


def read_table_text(
    path: Path, fields: Sequence[str], label_field: str, counts: ExampleCounts
) -> Iterator[TextRecord]:
    """Yields the rows of a tab-separated table.

    Quotation marks are ordinary characters, as in GLUE's files. Rows with fewer columns than are
    needed, or with more than the header has, are skipped and counted.

    Args:
        path: the table, plain or compressed. Its header names the columns, but for CoLA's, which
            has none.
        fields: one or two columns; empty: known ones.
        label_field: column of the label; empty: a known one.
        counts: takes each row.

    Raises:
        InputError: the header has no known or named text column, or the table is empty.
    """
    rows: Iterator[tuple[str, int, list[str]]] = _rows(path, counts)
    place, number, header = next(rows, (f"{str(path)!r}", 0, []))
    header = [name.strip() for name in header]
    if not header:
        raise InputError(f"{place}: the table is empty: give one with a header and rows.")
    if not fields and is_cola_row(header):
        rows = chain([(place, number, header)], rows)
        header = ["source", "label", "mark", "sentence"]
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise InputError(f"{place}: the header names the column {twice!r} twice: rename one.")
    texts = choose_fields(header, fields, place)
    labels = label_fields(header, label_field, place)
    yield from _records(rows, header, texts, labels, counts)


def _rows(path: Path, counts: ExampleCounts) -> Iterator[tuple[str, int, list[str]]]:
    """Yields `(place, line number, cells)` of each line that is not blank."""
    statistics, dropped = ReadStatistics(), 0
    for number, (raw, whole) in enumerate(read_raw_lines(path, statistics, _LONGEST_ROW), 1):
        place = f"{str(path)!r}, line {number}"
        if not whole:
            raise InputError(f"{place}: a row of more than {_LONGEST_ROW} bytes: cut it.")
        line = statistics.decode(raw)
        if dropped != (dropped := statistics.undecodable_bytes + statistics.nul_bytes):
            counts.repair(BAD_CHARACTERS, place)
        # A lone carriage return ends a line, too: files that were joined mix line endings.
        for part in line.split("\r"):
            if part.strip():
                yield place, number, part.split("\t")


def _records(
    rows: Iterator[tuple[str, int, list[str]]],
    header: list[str],
    texts: tuple[str, ...],
    labels: tuple[str, ...],
    counts: ExampleCounts,
) -> Iterator[TextRecord]:
    label = next((name for name in labels if name in header), None)
    names = [name for name in ID_FIELDS if name in header]
    needed = max(header.index(name) for name in (*texts, *([label] if label else []))) + 1
    for place, number, row in rows:
        counts.take()
        if len(row) < needed:
            counts.skip("a row with too few columns", place)
            continue
        if any(cell.strip() for cell in row[len(header) :]):
            # A tab inside a text shifts what follows it: the label would be another column's.
            counts.skip("a row with more columns than the header", place)
            continue
        cells = dict(zip(header, map(str.strip, row), strict=False))
        gold = cells[label] if label else ""
        yield TextRecord(
            place,
            next((cells[name] for name in names if cells.get(name)), f"line {number}"),
            tuple((name, cells[name]) for name in texts),
            None if gold in NO_LABEL else gold,
        )
