"""The manifest of a prepared corpus: shards, counts, vocabulary, settings."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from hierbert_tf.errors import InputError
from hierbert_tf.storage import write_text

FORMAT = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class ShardInfo:
    """One shard file.

    Args:
        file: its name in the folder.
        records: records in it; a document longer than a shard has several, in several shards.
        documents: documents that begin in it.
        sentences: sentences in it.
        tokens: WordPieces in it.
        pair_examples: examples of two segments that its records give, over the records of at least
            two sentences.
        single_examples: examples of one segment, over all records.
        max_sentence_tokens: tokens of its longest sentence.
        bytes: size of the file.
        sha256: hash of the file.
    """

    file: str
    records: int
    documents: int
    sentences: int
    tokens: int
    pair_examples: int
    single_examples: int
    max_sentence_tokens: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Split:
    """The shards of a split, `train` or `held_out`, and their sums.

    Args:
        documents: documents.
        sentences: sentences.
        tokens: WordPieces.
        shards: files in corpus order.
    """

    documents: int
    sentences: int
    tokens: int
    shards: tuple[ShardInfo, ...]

    @property
    def pair_examples(self) -> int:
        """Examples of two segments of all shards."""
        return sum(shard.pair_examples for shard in self.shards)

    @property
    def single_examples(self) -> int:
        """Examples of one segment of all shards."""
        return sum(shard.single_examples for shard in self.shards)


@dataclass(frozen=True)
class Manifest:
    """What stands in a folder of shards.

    Args:
        token_dtype: `uint16` or `int32`.
        vocabulary_sha256: hash of the vocabulary's entries.
        vocabulary_size: entries V.
        lowercase: the text was lower-cased.
        sequence_length: T for which the examples are counted.
        config_sha256: hash of the settings and sources that the shards were made from.
        splits: `train` and `held_out`.
        report: the corpus report.
        text: name and licence of each text.
        preparation: those settings and sources, to say what differs; empty in older folders.
    """

    token_dtype: str
    vocabulary_sha256: str
    vocabulary_size: int
    lowercase: bool
    sequence_length: int
    config_sha256: str
    splits: dict[str, Split]
    report: dict[str, Any] = field(default_factory=dict)
    text: tuple[dict[str, str], ...] = ()
    preparation: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: str | Path) -> None:
        """Writes `manifest.json`, whole or not at all."""
        record = {"format": FORMAT, **asdict(self)}
        write_text(Path(folder) / MANIFEST, json.dumps(record, indent=1, ensure_ascii=False))

    @classmethod
    def load(cls, folder: str | Path) -> "Manifest":
        """Reads `manifest.json`.

        Raises:
            InputError: it is missing, broken, or of another format.
        """
        path = Path(folder) / MANIFEST
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise InputError(
                f"{str(folder)!r} holds no {MANIFEST}: the corpus there is not prepared."
            ) from error
        except (OSError, ValueError) as error:
            raise InputError(
                f"{str(path)!r} cannot be read ({error}): delete the folder, prepare again."
            ) from error
        found = record.pop("format", None) if isinstance(record, dict) else None
        if found != FORMAT:
            raise InputError(
                f"{str(path)!r} has format {found!r}, this version reads {FORMAT}: prepare again."
            )
        try:
            splits = {name: _split_from(split) for name, split in record["splits"].items()}
            record = {"preparation": {}} | record
            record |= {"splits": splits, "text": tuple(record["text"])}
            return cls(**{known.name: record[known.name] for known in fields(cls)})
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(
                f"{str(path)!r} is incomplete ({error!r}): delete the folder, prepare again."
            ) from error

    def verify(self, folder: str | Path, content: bool = False) -> None:
        """Checks that every shard is there with its size.

        Args:
            folder: where the shards are.
            content: compare the bytes, too; reads every shard.

        Raises:
            InputError: names the damaged shard.
        """
        for split in self.splits.values():
            for shard in split.shards:
                path = Path(folder) / shard.file
                size = path.stat().st_size if path.is_file() else -1
                state = ""
                if size != shard.bytes:
                    state = "is missing" if size < 0 else f"has {size} bytes, not {shard.bytes}"
                elif content and _sha256(path) != shard.sha256:
                    state = "holds other bytes than were written"
                if state:
                    raise InputError(
                        f"shard {str(path)!r} {state}: delete the folder, prepare again."
                    )


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}.") from error


def _split_from(record: dict[str, Any]) -> Split:
    shards = tuple(ShardInfo(**shard) for shard in record["shards"])
    return Split(record["documents"], record["sentences"], record["tokens"], shards)
