"""Chunks: the documents of a unit as sentences, in files of bounded size, with their hashes."""

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from hierbert_tf.corpus.sentence_cache import CachedDocument, SentenceCache

CHUNK_CHARACTERS = 4_000_000
"""A chunk ends at the document, or piece of one, with which it has this many characters."""

BUCKETS = 256
# Kinds of lines: a paragraph, one text of a pair, a pair as a whole.
PARAGRAPH, PAIR_TEXT, PAIR = 0, 1, 2

LINE = np.dtype([("low", "<u8"), ("high", "<u8"), ("place", "<u4"), ("kind", "u1")])
"""A line's 128-bit hash, its place among the lines of the chunk, and its kind."""


def line_kinds(is_pair: bool, texts: int) -> tuple[int, ...]:
    """Kinds of the lines of a document: its paragraphs, or a pair's texts and the pair.

    Example:

    >>> line_kinds(False, 3), line_kinds(True, 2)
    ((0, 0, 0), (1, 1, 2))
    """
    return (PAIR_TEXT, PAIR_TEXT, PAIR) if is_pair else (PARAGRAPH,) * texts


class ChunkWriter:
    """Writes the documents of a unit into numbered chunks and counts what each holds.

    `0000.sentences.zst` holds the sentences, `0000.splits.npy` the split hashes of the documents
    that begin there, `0000.lines.npy` the hashes of their lines, those of the same first byte
    together, and `0000.starts.npy` where each byte begins.

    Args:
        folder: where the files go.
        with_lines: the lines are hashed.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> writer = ChunkWriter(folder)
    >>> writer.add(CachedDocument(0, 7, False, ["One.", "Two."], (2,)), ("One. Two.",), begins=True)
    >>> [(chunk["documents"], chunk["words"], chunk["lines"]) for chunk in writer.close()]
    [(1, 2, 1)]
    >>> [document.sentences for document in read_chunk(folder, 0)]
    [['One.', 'Two.']]
    """

    def __init__(self, folder: Path, with_lines: bool = True):
        self._folder = folder
        self._with_lines = with_lines
        self._chunks: list[dict[str, Any]] = []
        self._cache: SentenceCache | None = None

    def add(self, document: CachedDocument, texts: tuple[str, ...], begins: bool) -> None:
        """Appends a document, or a piece of one.

        Args:
            document: its sentences.
            texts: its paragraphs, or a pair's texts, for their hashes.
            begins: it is no later piece of a document before it.
        """
        if self._cache is None:
            self._open()
        assert self._cache is not None
        self._cache.write(document)
        counts, sentences = self._counts, document.sentences
        if begins:
            counts["documents"] += 1
            counts["pairs"] += document.is_pair
            counts["short"] += len(sentences) < 2
            self._splits.append(document.split_hash)
        counts["sentences"] += len(sentences)
        counts["words"] += sum(len(sentence.split()) for sentence in sentences)
        counts["characters"] += sum(map(len, sentences))
        if self._with_lines:
            for text in texts:
                self._digests += _digest(text)
            if document.is_pair:
                self._digests += _digest("\0".join(texts), b"pair")
            self._kinds.extend(line_kinds(document.is_pair, len(texts)))
        if counts["characters"] >= CHUNK_CHARACTERS:
            self._finish()

    def close(self) -> list[dict[str, Any]]:
        """Finishes the last chunk and returns the counts of all, in order."""
        self._finish()
        return self._chunks

    def _open(self) -> None:
        self._cache = SentenceCache(sentences_path(self._folder, len(self._chunks))).__enter__()
        names = ("documents", "pairs", "short", "sentences", "words", "characters", "lines")
        self._counts = dict.fromkeys(names, 0)
        self._splits: list[int] = []
        self._digests, self._kinds = bytearray(), bytearray()

    def _finish(self) -> None:
        if self._cache is None:
            return
        self._cache.__exit__(None, None, None)
        self._cache = None
        number = len(self._chunks)
        np.save(self._folder / f"{number:04d}.splits.npy", np.array(self._splits, "<u8"))
        if self._with_lines:
            digests = np.frombuffer(self._digests, "<u8").reshape(-1, 2)
            lines = np.empty(len(digests), LINE)
            lines["low"], lines["high"] = digests[:, 0], digests[:, 1]
            lines["place"], lines["kind"] = np.arange(len(lines)), np.frombuffer(self._kinds, "u1")
            first_bytes = (lines["high"] >> np.uint64(56)).astype(np.uint8)
            np.save(
                self._folder / f"{number:04d}.lines.npy",
                lines[np.argsort(first_bytes, kind="stable")],
            )
            starts = np.searchsorted(np.sort(first_bytes), np.arange(BUCKETS + 1))
            np.save(self._folder / f"{number:04d}.starts.npy", starts)
            self._counts["lines"] = len(lines)
        self._chunks.append(self._counts)


def _digest(text: str, person: bytes = b"") -> bytes:
    return blake2b(text.encode(), digest_size=16, person=person).digest()


def sentences_path(folder: Path, number: int) -> Path:
    """File of a chunk's sentences."""
    return folder / f"{number:04d}.sentences.zst"


def read_chunk(folder: Path, number: int) -> Iterator[CachedDocument]:
    """Yields the documents of a chunk."""
    return iter(SentenceCache(sentences_path(folder, number)))


def split_hashes(folder: Path, number: int) -> np.ndarray:
    """uint64 [documents]: split hashes of the documents that begin in a chunk."""
    return np.load(folder / f"{number:04d}.splits.npy", allow_pickle=False)


def chunk_lines(folder: Path, number: int, first: int, last: int) -> np.ndarray:
    """`LINE` [lines]: a chunk's lines whose hash begins with a byte of `first` to `last` - 1."""
    starts = np.load(folder / f"{number:04d}.starts.npy", allow_pickle=False)
    lines = np.load(folder / f"{number:04d}.lines.npy", mmap_mode="r", allow_pickle=False)
    return np.array(lines[starts[first] : starts[last]])
