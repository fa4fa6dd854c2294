"""Records between tokenising and shards: arrays on disk, read by slices."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hierbert_tf.data.shards import cut_document

RECORD = np.dtype(
    [("document", "<i8"), ("tokens", "<i8"), ("sentences", "<i8"), ("is_pair", "<i8")]
)
"""A record of a shard: its document's number, its sizes, 1 where it is a pair."""


@dataclass(frozen=True)
class RecordFile:
    """Records of one chunk and split.

    Args:
        folder: where its three files stand.
        split: `train` or `held_out`, the beginning of their names.
        token_dtype: `uint16` or `int32`.
    """

    folder: Path
    split: str
    token_dtype: str

    @property
    def dtype(self) -> np.dtype:
        """Little-endian dtype of the token ids."""
        return np.dtype(self.token_dtype).newbyteorder("<")

    def path(self, part: str) -> Path:
        """File of `tokens`, `lengths` or `records`."""
        return self.folder / f"{self.split}.{part}"

    def records(self) -> np.ndarray:
        """`RECORD` [records]."""
        return np.fromfile(self.path("records"), RECORD)

    def read(self, first: int, last: int) -> Iterator[tuple[int, np.ndarray, np.ndarray, bool]]:
        """Yields records `first` to `last` - 1 as `ShardWriter.add` takes them."""
        records = self.records()
        tokens, sentences = (int(records[name][:first].sum()) for name in ("tokens", "sentences"))
        records = records[first:last]
        ids = np.fromfile(
            self.path("tokens"),
            self.dtype,
            count=int(records["tokens"].sum()),
            offset=tokens * self.dtype.itemsize,
        )
        lengths = np.fromfile(
            self.path("lengths"), "<i4", count=int(records["sentences"].sum()), offset=sentences * 4
        )
        t = s = 0
        for document, token_count, sentence_count, is_pair in records.tolist():
            t_end, s_end = t + token_count, s + sentence_count
            yield document, ids[t:t_end], lengths[s:s_end], bool(is_pair)
            t, s = t_end, s_end


class RecordWriter:
    """Writes documents as records, in the order given.

    Args:
        file: where they go.
        shard_tokens: a document of more tokens is cut in several records.

    Example:

    >>> import tempfile
    >>> file = RecordFile(Path(tempfile.mkdtemp()), "train", "uint16")
    >>> writer = RecordWriter(file, shard_tokens=4)
    >>> writer.add(7, np.array([5, 6, 7, 8, 9]), np.array([3, 0, 2]), is_pair=False)
    >>> writer.close()
    >>> [(document, ids.tolist()) for document, ids, *_ in file.read(1, 2)]
    [(7, [8, 9])]
    """

    def __init__(self, file: RecordFile, shard_tokens: int):
        self._file = file
        self._shard_tokens = shard_tokens
        self._records: list[tuple[int, int, int, int]] = []
        self._tokens = open(file.path("tokens"), "wb")  # noqa: SIM115 (closed in close)
        self._lengths = open(file.path("lengths"), "wb")  # noqa: SIM115

    def add(
        self, document_id: int, token_ids: np.ndarray, sentence_lengths: np.ndarray, is_pair: bool
    ) -> None:
        """Adds a document, as `ShardWriter.add`."""
        for start, end, lengths, whole_pair in cut_document(
            sentence_lengths, is_pair, self._shard_tokens
        ):
            self._tokens.write(token_ids[start:end].astype(self._file.dtype).tobytes())
            self._lengths.write(lengths.astype("<i4").tobytes())
            self._records.append((document_id, end - start, len(lengths), int(whole_pair)))

    def close(self) -> None:
        """Writes what is left."""
        self._tokens.close()
        self._lengths.close()
        np.array(self._records, RECORD).tofile(self._file.path("records"))
