"""When a prepared corpus may be used again: a hash of all that decides what it holds."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hierbert_tf.config import RunConfig
from hierbert_tf.corpus.reader import source_files
from hierbert_tf.corpus.sentences import splitter_version
from hierbert_tf.corpus.vocabulary import Vocabulary
from hierbert_tf.errors import InputError

# Raised when the same sources and settings would give other shards than before.
_READERS = 1


_NAMES = {
    "corpus.sources": "other corpus.sources",
    "files": "the sources' files changed",
    "vocabulary_sha256": "the vocabulary's entries changed",
    "splitter": "another version of the sentence splitter",
    "readers": "another version of the readers",
    "sequence_length": "data.sequence_length",
}


def preparation_settings(config: RunConfig) -> dict[str, Any]:
    """Everything that decides what the shards hold: settings, sources, splitter.

    A source's files count by name, size and a sample of their bytes (whole below 1 MB).

    Returns:
        Values that JSON can hold.

    Raises:
        InputError: a source or the vocabulary does not exist.
    """
    vocabulary = ""
    if config.vocabulary.path:
        vocabulary = Vocabulary.load(config.vocabulary.path).sha256
    files = [
        [path.name, path.stat().st_size, _sample_sha256(path)]
        for source in config.corpus.sources
        for path in source_files(source)
    ]
    found = {
        "readers": _READERS,
        "splitter": splitter_version(),
        "corpus": asdict(config.corpus),
        "vocabulary": asdict(config.vocabulary),
        "vocabulary_sha256": vocabulary,
        "seed": config.seed,
        "sequence_length": config.data.sequence_length,
        "files": files,
    }
    # As it comes back from a file: lists for tuples.
    settings: dict[str, Any] = json.loads(json.dumps(found))
    if not config.corpus.remove_duplicates:
        # Younger than the others: without it the hash is that of a folder of an older version.
        del settings["corpus"]["remove_duplicates"]
    return settings


def preparation_sha256(settings: dict[str, Any]) -> str:
    """Hash of `preparation_settings`: the same hash, the same shards."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def preparation_record(settings: dict[str, Any]) -> dict[str, Any]:
    """`preparation_settings` for the manifest: of the files, of which there can be many, a hash."""
    files = json.dumps(settings["files"]).encode()
    return settings | {"files": hashlib.sha256(files).hexdigest()}


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Names what differs between two `preparation_record`s, for a person.

    Example:

    >>> differences({"seed": 1, "corpus": {"language": "en"}}, {"seed": 2, "corpus": {"a": 1}})
    ['corpus.a', 'corpus.language', 'seed']
    """
    before, now = _flat(before), _flat(now)
    names = sorted(before.keys() | now.keys())
    return [_NAMES.get(name, name) for name in names if before.get(name) != now.get(name)]


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        inner = value.items() if isinstance(value, dict) else ()
        flat |= {f"{name}.{key}": part for key, part in inner} if inner else {name: value}
    return flat


def _sample_sha256(path: Path, blocks: int = 64, block: int = 1 << 14) -> str:
    digest = hashlib.sha256()
    size = path.stat().st_size
    try:
        with open(path, "rb") as file:
            for i in range(blocks):
                file.seek(max(i * block, i * (size - block) // (blocks - 1)))
                digest.update(file.read(block))
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}.") from error
    return digest.hexdigest()
