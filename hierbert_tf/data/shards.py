"""Token shards: what preparation leaves for training.

A shard is a TFRecord file with one `tf.train.Example` a record:

- `token_ids`: bytes, little-endian uint16 or int32, the WordPiece ids of all sentences, no special
  tokens;
- `sentence_lengths`: bytes, little-endian int32, tokens of each sentence, all above 0;
- `document_id`: int64; the pieces of a long document share it;
- `is_pair`: int64, 1 where the record is a pair of exactly two sentences.

`token_counts.npy` says how often each token stands in the training shards.
`manifest.json` beside the shards is written last: where it is, the preparation is whole.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import tensorflow as tf

from hierbert_tf.data.manifest import Manifest, ShardInfo, Split
from hierbert_tf.errors import InputError
from hierbert_tf.storage import written_whole

__all__ = [
    "LONGEST_SENTENCE",
    "Manifest",
    "ShardInfo",
    "ShardWriter",
    "Split",
    "cut_document",
    "example_count",
    "save_token_counts",
    "token_counts",
]

LONGEST_SENTENCE = 10_000
"""Tokens of the longest sentence in a shard; a longer one is cut in several."""

TOKEN_COUNTS = "token_counts.npy"

_COUNTS = tuple(
    known.name for known in fields(ShardInfo) if known.name not in ("file", "bytes", "sha256")
)


def example_count(tokens: int, sequence_length: int) -> int:
    """Examples that a record gives: its tokens in sequences of T with [CLS] and two [SEP].

    Example:

    >>> [example_count(tokens, 128) for tokens in (1, 125, 126, 250, 251)]
    [1, 1, 2, 2, 3]
    """
    return max(1, (tokens + sequence_length - 4) // (sequence_length - 3))


def save_token_counts(folder: str | Path, counts: np.ndarray) -> None:
    """Writes `token_counts.npy`, whole or not at all.

    Args:
        folder: of the shards.
        counts: int64 [V], how often each token stands in the training shards.
    """
    with written_whole(Path(folder) / TOKEN_COUNTS) as beside, open(beside, "wb") as file:
        np.save(file, counts.astype("<i8"), allow_pickle=False)


def token_counts(folder: str | Path) -> np.ndarray:
    """How often each token stands in the training text of a prepared corpus.

    Counted when the corpus was prepared; in a folder of an older version, now, from its shards.

    Args:
        folder: of the shards and the manifest.

    Returns:
        int64 [V]; their sum is the training split's number of tokens.

    Raises:
        InputError: no prepared corpus, or the counts are broken or of other shards.

    Example:

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> writer = ShardWriter(folder, "train", "uint16", 1000, 128)
    >>> writer.add(0, np.array([1, 3, 3]), np.array([3]), is_pair=False)
    >>> Manifest("uint16", "", 5, True, 128, "", {"train": writer.split()}).save(folder)
    >>> token_counts(folder)
    array([0, 1, 0, 2, 0])
    """
    manifest = Manifest.load(folder)
    path = Path(folder) / TOKEN_COUNTS
    try:
        counts = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        counts = _count_tokens(Path(folder), manifest)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{str(path)!r} cannot be read ({error}): delete the folder, prepare again."
        ) from error
    fits = counts.shape == (manifest.vocabulary_size,) and counts.dtype == np.int64
    if not fits or counts.sum() != manifest.splits["train"].tokens:
        raise InputError(
            f"{str(path)!r} does not count the tokens of these shards: delete the file, so that "
            "they are counted again."
        )
    return counts


def _count_tokens(folder: Path, manifest: Manifest) -> np.ndarray:
    """int64 [V], from the training shards."""
    manifest.verify(folder)
    dtype = np.dtype(manifest.token_dtype).newbyteorder("<")
    counts = np.zeros(manifest.vocabulary_size, np.int64)
    for shard in manifest.splits["train"].shards:
        for raw in tf.data.TFRecordDataset(str(folder / shard.file)).as_numpy_iterator():
            feature = tf.train.Example.FromString(raw).features.feature
            np.add.at(counts, np.frombuffer(feature["token_ids"].bytes_list.value[0], dtype), 1)
    return counts


def cut_document(
    sentence_lengths: np.ndarray, is_pair: bool, shard_tokens: int
) -> Iterator[tuple[int, int, np.ndarray, bool]]:
    """Cuts a document into the records that hold it.

    Args:
        sentence_lengths: int [sentences], tokens of each; empty sentences are dropped, overlong
            ones cut.
        is_pair: a pair of two texts; it becomes a plain document where a text has no token.
        shard_tokens: most tokens of a record, if a sentence or a pair has not more by itself.

    Yields:
        First token and token after the last, int64 [sentences] tokens of each sentence, and whether
        the record is a pair. A record is cut no further when given again.

    Example:

    >>> [(start, end) for start, end, *_ in cut_document(np.array([3, 3, 0, 9, 1]), False, 6)]
    [(0, 6), (6, 15), (15, 16)]
    """
    lengths = np.asarray(sentence_lengths, np.int64)
    if lengths.size and lengths.max() > LONGEST_SENTENCE:
        lengths = np.concatenate([_cut(int(length)) for length in lengths])
    lengths = lengths[lengths > 0]
    is_pair = is_pair and len(lengths) == 2
    ends = np.cumsum(lengths)
    first, start = 0, 0
    while first < len(lengths):
        # As many sentences as fit, at least one; a pair is never cut.
        last = int(np.searchsorted(ends, start + shard_tokens, side="right"))
        last = len(lengths) if is_pair else max(last, first + 1)
        end = int(ends[last - 1])
        yield start, end, lengths[first:last], is_pair
        first, start = last, end


class ShardWriter:
    """Writes the documents of one split into shards, in the order given.

    Args:
        folder: an existing folder.
        split: `train` or `held_out`, the beginning of the files' names.
        token_dtype: `uint16` or `int32`.
        shard_tokens: a shard is closed once it holds this many tokens; a document of more is cut at
            a sentence's end into several records of the same id.
        sequence_length: T, for the counts of examples.
        first_shard: number of the first shard, where others wrote those before it.
        last_document: number of the document of the record before the first; -1: none.

    Raises:
        ValueError: another dtype, or bounds that are not positive.

    Example:

    >>> import tempfile
    >>> writer = ShardWriter(tempfile.mkdtemp(), "train", "uint16", 1000, 128)
    >>> writer.add(0, np.arange(5, 12), np.array([3, 0, 4]), is_pair=False)
    >>> [(shard.file, shard.sentences, shard.tokens) for shard in writer.close()]
    [('train-00000.tfrecord', 2, 7)]
    """

    def __init__(
        self,
        folder: str | Path,
        split: str,
        token_dtype: str,
        shard_tokens: int,
        sequence_length: int,
        first_shard: int = 0,
        last_document: int = -1,
    ):
        if token_dtype not in ("uint16", "int32"):
            raise ValueError(f"token_dtype is uint16 or int32, not {token_dtype!r}")
        if shard_tokens < 1 or sequence_length < 4:
            raise ValueError(f"bad bounds: {shard_tokens=}, {sequence_length=}")
        self._folder = Path(folder)
        self._split = split
        self._dtype = np.dtype(token_dtype).newbyteorder("<")
        self._shard_tokens = shard_tokens
        self._sequence_length = sequence_length
        self._shards: list[ShardInfo] = []
        self._writer: tf.io.TFRecordWriter | None = None
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._last_id = last_document
        self._first_shard = first_shard

    def add(
        self,
        document_id: int,
        token_ids: np.ndarray,
        sentence_lengths: np.ndarray,
        is_pair: bool,
    ) -> None:
        """Adds a document.

        Args:
            document_id: its number in the corpus; the pieces of one document follow each other.
            token_ids: int [tokens] of all sentences.
            sentence_lengths: int [sentences]; empty sentences are dropped, overlong ones cut.
            is_pair: a pair of two texts; it becomes a plain document where a text has no token.

        Raises:
            ValueError: the lengths do not sum up to the tokens.
        """
        lengths = np.asarray(sentence_lengths, np.int64)
        if lengths.sum() != len(token_ids):
            raise ValueError(f"sentences of {lengths.sum()} tokens, but {len(token_ids)} ids")
        token_ids = np.asarray(token_ids).astype(self._dtype)
        for start, end, kept, whole_pair in cut_document(lengths, is_pair, self._shard_tokens):
            self._write(document_id, token_ids[start:end], kept, whole_pair)

    def _write(
        self, document_id: int, token_ids: np.ndarray, lengths: np.ndarray, is_pair: bool
    ) -> None:
        if self._writer is None:
            self._writer = tf.io.TFRecordWriter(str(self._folder / self._file))
        feature = {
            "token_ids": _bytes(token_ids.tobytes()),
            "sentence_lengths": _bytes(lengths.astype("<i4").tobytes()),
            "document_id": _int64(document_id),
            "is_pair": _int64(int(is_pair)),
        }
        example = tf.train.Example(features=tf.train.Features(feature=feature))
        self._writer.write(example.SerializeToString(deterministic=True))
        examples = example_count(len(token_ids), self._sequence_length)
        counts = self._counts
        counts["records"] += 1
        counts["documents"] += document_id != self._last_id
        self._last_id = document_id
        counts["sentences"] += len(lengths)
        counts["tokens"] += len(token_ids)
        counts["pair_examples"] += examples if len(lengths) >= 2 else 0
        counts["single_examples"] += examples
        counts["max_sentence_tokens"] = max(counts["max_sentence_tokens"], int(lengths.max()))
        if counts["tokens"] >= self._shard_tokens:
            self._finish()

    @property
    def _file(self) -> str:
        return f"{self._split}-{self._first_shard + len(self._shards):05d}.tfrecord"

    def _finish(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        path = self._folder / self._file
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._shards.append(
            ShardInfo(path.name, **self._counts, bytes=path.stat().st_size, sha256=digest)
        )
        self._counts = dict.fromkeys(_COUNTS, 0)

    def close(self) -> list[ShardInfo]:
        """Finishes the last shard and returns all of them, in order."""
        self._finish()
        return list(self._shards)

    def split(self) -> Split:
        """Closes, and sums the shards up."""
        shards = tuple(self.close())
        return Split(
            sum(shard.documents for shard in shards),
            sum(shard.sentences for shard in shards),
            sum(shard.tokens for shard in shards),
            shards,
        )


def _cut(length: int) -> np.ndarray:
    return np.array([min(LONGEST_SENTENCE, length - i) for i in range(0, length, LONGEST_SENTENCE)])


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _int64(value: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
