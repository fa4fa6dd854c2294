"""Sentences of the corpus on disk between the passes over it."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import zstandard


@dataclass(frozen=True)
class CachedDocument:
    """A document, or a piece of a long one, as sentences.

    Args:
        document_id: its number; the pieces of a long document share it.
        split_hash: decides its split.
        is_pair: exactly two sentences that belong together.
        sentences: in order, none empty.
        paragraphs: how many of the sentences each paragraph has.
    """

    document_id: int
    split_hash: int
    is_pair: bool
    sentences: list[str]
    paragraphs: tuple[int, ...] = ()


class SentenceCache:
    """Writes documents once, then reads them as often as needed.

    Reading and cleaning a source can take minutes for each gigabyte; both later passes, vocabulary
    and tokens, read this compressed file instead.

    Args:
        path: the file, to be created.

    Example:

    >>> import pathlib, tempfile
    >>> cache = SentenceCache(pathlib.Path(tempfile.mkdtemp()) / "cache.zst")
    >>> with cache:
    ...     cache.write(CachedDocument(0, 7, False, ["One.", "Two."]))
    >>> [document.sentences for document in cache]
    [['One.', 'Two.']]
    """

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> "SentenceCache":
        compressor = zstandard.ZstdCompressor(level=1)
        self._file = open(self.path, "wb")
        self._stream = compressor.stream_writer(self._file, closefd=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._stream.close()
        finally:
            self._file.close()

    def write(self, document: CachedDocument) -> None:
        """Appends a document."""
        record = (
            document.document_id,
            document.split_hash,
            document.is_pair,
            document.sentences,
            document.paragraphs,
        )
        self._stream.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")

    def __iter__(self) -> Iterator[CachedDocument]:
        with open(self.path, "rb") as file:
            stream = zstandard.ZstdDecompressor().stream_reader(file)
            for line in io.TextIOWrapper(stream, encoding="utf-8", newline="\n"):
                yield CachedDocument(*json.loads(line))
