"""Files of a corpus, plain or compressed, read as lines with bounded memory."""

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from hierbert_tf.corpus.span import WHOLE, Span
from hierbert_tf.corpus.statistics import ReadStatistics
from hierbert_tf.errors import InputError

LONGEST_LINE = 1_000_000
"""Bytes of the longest line that is handed out whole."""

_CHUNK = 1 << 18
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_SUFFIXES = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd", ".zstd": "zstd"}
_BINARY_MAGIC = {
    b"%PDF": "a PDF file",
    b"PK\x03\x04": "a zip archive (or an office document)",
    b"\x89PNG": "an image",
    b"PAR1": "a Parquet file",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
DECOMPRESSION_ERRORS = (
    EOFError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    zstandard.ZstdError,
)
"""What reading a truncated or damaged file raises, besides `OSError`, for any compression."""


class _ZstandardFile(io.RawIOBase):
    """Decompressed bytes of a zstd file of one or several frames.

    zstandard's own stream reader ends silently where a truncated file ends; this one raises
    `EOFError`, as gzip, bz2 and lzma do.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._compressed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        while not self._ready:
            # Small bites: a few bytes can hold megabytes, and a bite is decompressed at once.
            self._compressed = self._compressed or self._file.read(1 << 14)
            if not self._compressed:
                if self._frame is not None:
                    raise EOFError("compressed file ended inside a frame")
                return 0
            if self._frame is None:
                self._frame = self._decompressor.decompressobj()
            self._ready = memoryview(self._frame.decompress(self._compressed))
            self._compressed = b""
            if self._frame.eof:
                self._compressed, self._frame = self._frame.unused_data, None
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def list_files(path: str | Path) -> list[Path]:
    """Files of a source: the file itself, or all files below a folder, sorted by name.

    Hidden files and folders (their name starts with a dot) are left out.

    Args:
        path: file or folder.

    Returns:
        The paths, sorted, so that the corpus has the same order on every machine.

    Raises:
        InputError: nothing is there, or the folder holds no file.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"corpus source {str(path)!r} does not exist: check corpus.sources.")
    found = []
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder) / name for name in names if not name.startswith(".")]
    found = sorted(file for file in found if file.is_file())
    if not found:
        raise InputError(f"folder {str(path)!r} holds no file: put text files into it.")
    return found


def bare_name(path: Path) -> str:
    """Lower-case file name without the suffix of its compression.

    Example:

    >>> bare_name(Path("texts/News.JSONL.gz"))
    'news.jsonl'
    """
    return (path.stem if path.suffix.lower() in _SUFFIXES else path.name).lower()


def is_compressed(path: Path) -> bool:
    """The file's first bytes are those of gzip, bzip2, xz or zstd."""
    with open(path, "rb") as file:
        return file.read(6).startswith(tuple(_MAGIC))


def open_binary(path: Path) -> BinaryIO:
    """Opens a file for reading its decompressed bytes.

    The first bytes say how it is compressed; the suffix must agree.

    Args:
        path: a file, plain or gzip, bzip2, xz or zstd.

    Raises:
        InputError: the file cannot be read, or its suffix names another compression than its bytes.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115 (the caller closes it)
        start = file.read(6)
        file.seek(0)
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}.") from error
    compression = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), "")
    promised = _SUFFIXES.get(path.suffix.lower(), "")
    if promised and promised != compression:
        file.close()
        raise InputError(f"{str(path)!r} is named like a {promised} file but is none: rename it.")
    if compression == "gzip":
        return cast(BinaryIO, _Owning(gzip.GzipFile(fileobj=file), file))
    if compression == "bzip2":
        return cast(BinaryIO, _Owning(bz2.BZ2File(file), file))
    if compression == "xz":
        return cast(BinaryIO, _Owning(lzma.LZMAFile(file), file))
    if compression == "zstd":
        return cast(BinaryIO, io.BufferedReader(_ZstandardFile(file), buffer_size=_CHUNK))
    return file


class _Owning(io.BufferedReader):
    """A buffered reader that closes the compressed file below its decompressor, too."""

    def __init__(self, decompressor: io.BufferedIOBase, file: BinaryIO):
        super().__init__(cast(io.RawIOBase, decompressor), buffer_size=_CHUNK)
        self._file = file

    def close(self) -> None:
        super().close()
        self._file.close()


def read_bytes(path: Path, statistics: ReadStatistics, span: Span = WHOLE) -> Iterator[bytes]:
    """Yields the decompressed bytes of a text file in chunks, counting them.

    Args:
        path: the file.
        statistics: counters.
        span: the bytes to read, where the file is not compressed.

    Raises:
        InputError: the file is truncated, damaged, unreadable or no text.
    """
    with open_binary(path) as file:
        statistics.files += span.is_start
        first = span.is_start
        left = -1 if span.end is None else span.end - span.start
        if span.start:
            file.seek(span.start)
        while True:
            try:
                chunk = file.read(_CHUNK if left < 0 else min(_CHUNK, left))
            except DECOMPRESSION_ERRORS as error:
                raise InputError(
                    f"compressed file {str(path)!r} is truncated or damaged ({error}): "
                    "fetch or compress it again."
                ) from error
            except OSError as error:
                # bz2 reports damaged data as a plain OSError without a number.
                reason = error.strerror or f"truncated or damaged ({error})"
                raise InputError(f"cannot read {str(path)!r}: {reason}.") from error
            if not chunk:
                return
            left -= len(chunk) if left > 0 else 0
            if first:
                for magic, kind in _BINARY_MAGIC.items():
                    if chunk.startswith(magic):
                        raise InputError(
                            f"{str(path)!r} is {kind}, not UTF-8 text: convert it or take it out."
                        )
                chunk = chunk.removeprefix(b"\xef\xbb\xbf")
                first = False
            statistics.text_bytes += len(chunk)
            yield chunk


def read_raw_lines(
    path: Path, statistics: ReadStatistics, longest: int = LONGEST_LINE, span: Span = WHOLE
) -> Iterator[tuple[bytes, bool]]:
    """Yields `(line, whole)`: lines without their end, cut where they exceed `longest` bytes.

    Args:
        path: the file.
        statistics: counters; `cut_lines` counts the lines that were cut.
        longest: bytes of the longest piece handed out, so that memory stays bounded.
        span: the lines to read, where the file is not compressed.

    Yields:
        The bytes, and whether they end a line (False: the next piece goes on with the same line).
    """
    rest, was_cut = b"", False
    for chunk in read_bytes(path, statistics, span):
        *lines, rest = (rest + chunk).split(b"\n")
        for whole, line in [*((True, line) for line in lines), (False, rest)]:
            while len(line) > longest:
                end = _cut_point(line, longest)
                statistics.cut_lines += not was_cut
                was_cut = True
                yield line[:end], False
                line = line[end:]
            if whole:
                yield line.removesuffix(b"\r"), True
                was_cut = False
            else:
                rest = line
    if rest:
        yield rest.removesuffix(b"\r"), True


def _cut_point(line: bytes, longest: int) -> int:
    """Where to cut: after the last space that fits, else before a character's first byte."""
    end = max(line.rfind(b" ", 0, longest), line.rfind(b"\t", 0, longest)) + 1
    if end > 0:
        return end
    end = longest
    while end > longest - 4 and end < len(line) and line[end] & 0xC0 == 0x80:
        end -= 1
    return end


def read_lines(
    path: Path, statistics: ReadStatistics, longest: int = LONGEST_LINE, span: Span = WHOLE
) -> Iterator[str]:
    """Yields decoded lines without their ends.

    Bytes that are no UTF-8 and NULs are dropped and counted; lines longer than `longest` bytes
    come in several pieces, cut at white space, and are counted.

    Args:
        path: the file, plain or compressed.
        statistics: counters.
        longest: bytes of the longest line handed out whole.
        span: the lines to read, where the file is not compressed.
    """
    for line, _ in read_raw_lines(path, statistics, longest, span):
        yield statistics.decode(line)
