"""One way to read any source: `read_documents` picks the reader by the source's format."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hierbert_tf.config import SourceConfig
from hierbert_tf.corpus.document import Document
from hierbert_tf.corpus.files import bare_name, list_files, read_raw_lines
from hierbert_tf.corpus.json_lines import read_json_lines
from hierbert_tf.corpus.pairs import read_glue
from hierbert_tf.corpus.plain_text import read_plain_text
from hierbert_tf.corpus.span import WHOLE, Span
from hierbert_tf.corpus.squad import read_squad
from hierbert_tf.corpus.statistics import ReadStatistics
from hierbert_tf.corpus.tfds_source import read_tfds
from hierbert_tf.corpus.wikipedia import EXCERPT, excerpt_path, read_wikipedia
from hierbert_tf.errors import InputError

FORMATS = (
    "auto", "text", "json_lines", "wikipedia", "squad", "squad_pairs", "nli", "glue", "tfds",
)  # fmt: skip


@dataclass(frozen=True)
class TextNotice:
    """Name and licence of a text, to be shown to the user and kept beside what is made of it."""

    name: str
    licence: str


def text_notice(source: SourceConfig) -> TextNotice:
    """Name and licence of a source's text; of a user's own text only its path is known.

    Example:

    >>> text_notice(SourceConfig(path="wikipedia_excerpt")).licence
    'CC BY-SA 3.0'
    """
    if source.path == EXCERPT:
        return TextNotice(
            "excerpt of English Wikipedia (its authors; dump excerpt shipped with gensim)",
            "CC BY-SA 3.0",
        )
    return TextNotice(source.tfds_name or source.path, "not stated: the user's own text")


def source_files(source: SourceConfig) -> list[Path]:
    """Files of a source in reading order; none for TFDS.

    Raises:
        InputError: the path is empty, does not exist, or is a folder without files.
    """
    if is_tfds(source):
        return []
    if source.path == EXCERPT:
        return [excerpt_path()]
    if not source.path:
        raise InputError("a corpus source has no `path`: give a file or a folder.")
    return list_files(source.path)


def detect_format(path: Path) -> str:
    """Format of a file by its name and its first lines.

    Args:
        path: the file, plain or compressed.

    Returns:
        `text`, `json_lines`, `nli`, `wikipedia`, `squad` or `glue`.
    """
    name = bare_name(path)
    if name.endswith(".tsv"):
        return "glue"
    if name.endswith((".jsonl", ".ndjson", ".json")):
        return _detect_json(path)
    lines = (line for line, _ in read_raw_lines(path, ReadStatistics(), 1000))
    first = next((line for line in lines if line.strip()), b"").lstrip()
    if first.startswith(b"<mediawiki"):
        return "wikipedia"
    if name.endswith(".xml"):
        raise InputError(f"{str(path)!r} is XML but no MediaWiki dump: convert it to text.")
    return "text"


def _detect_json(path: Path) -> str:
    lines = (line for line, _ in read_raw_lines(path, ReadStatistics()))
    first = next((line for line in lines if line.strip()), b"")
    try:
        record = json.loads(first)
    except (ValueError, RecursionError):
        # An object over several lines, or one line that is longer than the bound: SQuAD's form.
        return "json_lines" if bare_name(path).endswith("l") else "squad"
    if isinstance(record, dict) and isinstance(record.get("data"), list):
        return "squad"
    if isinstance(record, dict) and "sentence1" in record and "sentence2" in record:
        return "nli"
    return "json_lines"


def is_tfds(source: SourceConfig) -> bool:
    """The source is a TFDS name, not files."""
    return source.format == "tfds" or (source.format == "auto" and bool(source.tfds_name))


def check_format(source: SourceConfig) -> None:
    """Raises `InputError` unless the source's format is a known one."""
    if source.format not in FORMATS:
        raise InputError(
            f"corpus source {source.path!r} has format {source.format!r}: "
            f"use one of {', '.join(FORMATS)}."
        )


def read_documents(source: SourceConfig, statistics: ReadStatistics) -> Iterator[Document]:
    """Yields the documents of a source, file by file in sorted order.

    Args:
        source: path, format and fields.
        statistics: counters that the readers raise.

    Raises:
        InputError: unknown format, missing or broken files, missing fields.
    """
    check_format(source)
    if is_tfds(source):
        yield from read_part(source, None, statistics)
        return
    for path in source_files(source):
        yield from read_part(source, path, statistics)


def read_part(
    source: SourceConfig, path: Path | None, statistics: ReadStatistics, span: Span = WHOLE
) -> Iterator[Document]:
    """Yields the documents of one file of a source, or of a part of it.

    Args:
        source: format and fields.
        path: the file; None: the source is a TFDS name.
        statistics: counters that the readers raise.
        span: a part that `corpus.units` found.

    Raises:
        InputError: a broken file, missing fields.
    """
    if path is None:
        yield from read_tfds(
            source.tfds_name, source.split, source.fields, statistics, data_dir=source.path
        )
        return
    kind = detect_format(path) if source.format == "auto" else source.format
    if kind == "text":
        yield from read_plain_text(path, statistics, source.document_break, span)
    elif kind == "wikipedia":
        yield from read_wikipedia(path, statistics)
    elif kind in ("squad", "squad_pairs"):
        yield from read_squad(path, statistics, with_pairs=kind == "squad_pairs")
    elif kind == "glue":
        yield from read_glue(path, statistics, source.fields)
    elif kind == "nli":
        fields = source.fields or ("sentence1", "sentence2")
        yield from read_json_lines(path, statistics, fields, span)
    else:
        yield from read_json_lines(path, statistics, source.fields, span)
