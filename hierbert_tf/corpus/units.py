"""Units of reading: what one process reads at a time, small files together, large ones in parts."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hierbert_tf.config import SourceConfig
from hierbert_tf.corpus.files import LONGEST_LINE, is_compressed
from hierbert_tf.corpus.plain_text import heading_level
from hierbert_tf.corpus.reader import check_format, detect_format, is_tfds, source_files
from hierbert_tf.corpus.span import WHOLE, Span

UNIT_BYTES = 4_000_000
"""Bytes of text that a unit holds, about, where its files can be cut."""

# What a compressed byte gives, about.
_COMPRESSION = 4


@dataclass(frozen=True)
class Unit:
    """Files of one source, or a part of a file, that are read one after the other.

    Args:
        source: how they are read.
        parts: file and span of each; the path is None for TFDS.
        identity: what makes the same unit give the same documents: names, sizes and sampled bytes.

    Example:

    >>> Unit(SourceConfig(path="a.txt"), ((Path("/a.txt"), WHOLE),), ()).arguments()["parts"]
    [['/a.txt', 0, None]]
    """

    source: SourceConfig
    parts: tuple[tuple[Path | None, Span], ...]
    identity: tuple[Any, ...]

    def arguments(self) -> dict[str, Any]:
        """The unit as values that JSON can hold."""
        parts = [[path and str(path), span.start, span.end] for path, span in self.parts]
        return {"source": asdict(self.source), "parts": parts}


def plan_units(
    sources: tuple[SourceConfig, ...], identities: list[Any], unit_bytes: int = UNIT_BYTES
) -> list[Unit]:
    """Cuts the sources into units, in corpus order; the number of processes plays no part.

    Args:
        sources: the corpus.
        identities: of each file of each source in order, what identifies its bytes.
        unit_bytes: bytes of a unit, about.

    Returns:
        The units. Plain text and JSON lines are cut where a document ends; other formats and
        compressed files stay whole.

    Raises:
        InputError: an unknown format, or a source without files.
    """
    units: list[Unit] = []
    remaining = iter(identities)
    for source in sources:
        check_format(source)
        if is_tfds(source):
            units.append(Unit(source, ((None, WHOLE),), ()))
            continue
        parts: list[tuple[Path | None, Span]] = []
        known: list[Any] = []
        size = 0
        for path in source_files(source):
            identity = next(remaining)
            for span, part_size in _spans(source, path.absolute(), unit_bytes):
                if parts and size + part_size > unit_bytes:
                    units.append(Unit(source, tuple(parts), tuple(known)))
                    parts, known, size = [], [], 0
                parts.append((path.absolute(), span))
                known.append([identity, span.start, span.end])
                size += part_size
        units.append(Unit(source, tuple(parts), tuple(known)))
    return units


def _spans(source: SourceConfig, path: Path, unit_bytes: int) -> Iterator[tuple[Span, int]]:
    """Parts of a file, and about how many bytes of text each has."""
    size = path.stat().st_size
    compressed = is_compressed(path)
    if compressed or size <= unit_bytes:
        yield WHOLE, size * (_COMPRESSION if compressed else 1)
        return
    kind = detect_format(path) if source.format == "auto" else source.format
    start = 0
    for cut in _cuts(path, kind, source.document_break, unit_bytes):
        yield Span(start, cut), cut - start
        start = cut
    yield Span(start, None), size - start


def _cuts(path: Path, kind: str, document_break: str, unit_bytes: int) -> Iterator[int]:
    """Places where a plain file may be cut, a unit apart or more."""
    if kind in ("json_lines", "nli") or (kind == "text" and document_break == "line"):
        wanted = "line"
    elif kind == "text" and document_break == "blank_line":
        # After a title line blank lines end paragraphs only: then a title is the only safe place.
        wanted = "title" if _has_title(path) else "blank"
    else:
        return
    size, cut = path.stat().st_size, 0
    with open(path, "rb") as file:
        while cut + unit_bytes < size:
            file.seek(cut + unit_bytes)
            _next_line(file)
            while file.tell() < size:
                at = file.tell()
                if wanted == "line":
                    break
                line = _next_line(file)
                if wanted == "title" and _is_title(line):
                    break
                if wanted == "blank" and not line.strip():
                    break
            else:
                return
            cut = at
            yield cut


def _next_line(file: Any) -> bytes:
    """The bytes up to the next line, of a long line only the first ones."""
    line: bytes = file.readline(LONGEST_LINE)
    rest = line
    while rest and not rest.endswith(b"\n"):
        rest = file.readline(LONGEST_LINE)
    return line


def _has_title(path: Path) -> bool:
    with open(path, "rb") as file:
        return any(_is_title(line) for line in iter(lambda: file.readline(LONGEST_LINE), b""))


def _is_title(line: bytes) -> bool:
    if b"=" not in line:
        return False
    return heading_level(line.rstrip(b"\r\n").decode("utf-8", "ignore").replace("\0", "")) == 1
