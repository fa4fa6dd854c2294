"""When a prepared corpus may be used again: a hash of all that decides what it holds."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from hierbert_tf.config import RunConfig
from hierbert_tf.corpus.reader import source_files
from hierbert_tf.corpus.sentences import splitter_version
from hierbert_tf.corpus.vocabulary import Vocabulary
from hierbert_tf.errors import InputError

# Raised when the same sources and settings would give other shards than before.
_READERS = 1


def preparation_sha256(config: RunConfig) -> str:
    """Hash of everything that decides what the shards hold: settings, sources, splitter.

    A source's files count by name, size and a sample of their bytes (whole below 1 MB).

    Raises:
        InputError: a source or the vocabulary does not exist.
    """
    vocabulary = ""
    if config.vocabulary.path:
        vocabulary = Vocabulary.load(config.vocabulary.path).sha256
    files = [
        (path.name, path.stat().st_size, _sample_sha256(path))
        for source in config.corpus.sources
        for path in source_files(source)
    ]
    settings = {
        "readers": _READERS,
        "splitter": splitter_version(),
        "corpus": asdict(config.corpus),
        "vocabulary": asdict(config.vocabulary),
        "vocabulary_sha256": vocabulary,
        "seed": config.seed,
        "sequence_length": config.data.sequence_length,
        "files": files,
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


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
