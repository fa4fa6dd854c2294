"""Vectors on disk, so that no sentence is encoded twice.

Dimension letters: H hidden, L layers, E examples.
"""

import contextlib
import dataclasses
import errno
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hierbert_tf.config_probing import FIRST_TOKEN, ProbedConfig
from hierbert_tf.errors import InputError
from hierbert_tf.probing.encode import EncodingCounts, encode
from hierbert_tf.probing.examples import ProbingTask
from hierbert_tf.probing.probed_encoder import ProbedEncoder
from hierbert_tf.storage import storage_error, write_text, written_whole

RECORD_FILE = "vectors.json"


class VectorCache:
    """A folder of vectors by encoder and task.

    The vectors of a task are in `ENCODER/TASK-SENTENCES-T/POOLING.npy`, where ENCODER and SENTENCES
    are hashes of what the vectors depend on and T is the longest sequence: other weights, another
    tokenizer or other sentences have another folder. Labels are no part of it. `vectors.json`
    beside them has the whole hashes and what was cut.

    Args:
        folder: the cache; it is made when something is written.

    Example:

    >>> import tempfile
    >>> from hierbert_tf.downstream.example_counts import ExampleCounts
    >>> from hierbert_tf.models.backbone import HierarchicalBertBackbone
    >>> from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer
    >>> tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "so", "##s"]
    >>> backbone = HierarchicalBertBackbone(
    ...     len(tokens), num_layers=2, num_heads=2, hidden_dim=4, intermediate_dim=8)
    >>> encoder = ProbedEncoder(backbone, HierarchicalBertTokenizer(tokens), "mine")
    >>> task = ProbingTask(
    ...     "length", "length.txt", False, ("so", "so so so"), np.arange(2, dtype=np.int32),
    ...     np.zeros(2, np.int32), np.array([0, 1]), np.zeros(2, np.int8), ("1", "3"),
    ...     ExampleCounts("-"))
    >>> cache = VectorCache(tempfile.mkdtemp())
    >>> vectors = cache.vectors(encoder, task, ("cls", "mean"), ProbedConfig())
    >>> {pooling: array.shape for pooling, array in vectors.items()}
    {'cls': (3, 2, 4), 'mean': (3, 2, 4)}
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def vectors(
        self,
        encoder: ProbedEncoder,
        task: ProbingTask,
        poolings: Sequence[str],
        config: ProbedConfig,
    ) -> dict[str, np.ndarray]:
        """The vectors of all layers; those that are not there yet are made in one pass.

        Args:
            encoder: the model.
            task: its E examples.
            poolings: as `poolings_for` gives them: `first_token` alone for a task about words, and
                never for one about sentences.
            config: `sequence_length` and `batch_tokens` are read, the latter of which changes no
                vector.

        Returns:
            float32 [L + 1, E, H] by pooling, mapped from the file and not writable.

        Raises:
            InputError: a file of the cache is damaged or another encoder's, or cannot be written.
            RunStopped: the disk is full.
        """
        for pooling in poolings:
            if (pooling == FIRST_TOKEN) != task.word_level:
                kind = "words" if task.word_level else "sentences"
                raise ValueError(f"task {task.name!r} is about {kind}, not for {pooling!r}")
        place, facts = self._place(encoder, task, config)
        counts = _read_record(place, facts)
        files = {pooling: place / f"{pooling}.npy" for pooling in poolings}
        # Without a record nobody knows whose these files are.
        missing = {
            pooling: path for pooling, path in files.items() if counts is None or not path.exists()
        }
        shape = (encoder.num_layers + 1, len(task.labels), encoder.hidden_dim)
        if missing:
            try:
                self._make(encoder, task, missing, shape, facts, config.batch_tokens)
            except OSError as error:
                raise storage_error(error, place) from error
        return {pooling: _open(path, shape) for pooling, path in files.items()}

    def counts(
        self, encoder: ProbedEncoder, task: ProbingTask, config: ProbedConfig
    ) -> EncodingCounts:
        """What was cut when the vectors were made.

        Raises:
            InputError: there are none yet, or their record is damaged or another encoder's.
        """
        place, facts = self._place(encoder, task, config)
        counts = _read_record(place, facts)
        if counts is None:
            raise InputError(f"{place} has no {RECORD_FILE}: make the vectors first")
        return counts

    def _place(
        self, encoder: ProbedEncoder, task: ProbingTask, config: ProbedConfig
    ) -> tuple[Path, dict[str, Any]]:
        """Folder of a task's vectors, and what its record must say."""
        length = encoder.sequence_length(config.sequence_length)
        name = f"{task.name}-{task.sentences_sha256[:16]}-{length}"
        facts = {
            "format": 1,
            "encoder_sha256": encoder.sha256,
            "sentences_sha256": task.sentences_sha256,
            "layers": encoder.num_layers + 1,
            "examples": len(task.labels),
            "hidden": encoder.hidden_dim,
            "sequence_length": length,
        }
        return self.folder / encoder.sha256[:16] / name, facts

    def _make(
        self,
        encoder: ProbedEncoder,
        task: ProbingTask,
        files: Mapping[str, Path],
        shape: tuple[int, int, int],
        facts: Mapping[str, Any],
        batch_tokens: int,
    ) -> None:
        """Encodes the task into files that are there when all of them are whole."""
        place = next(iter(files.values())).parent
        place.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            arrays: dict[str, np.memmap] = {}
            for pooling, path in files.items():
                beside = stack.enter_context(written_whole(path))
                arrays[pooling] = np.lib.format.open_memmap(beside, "w+", "<f4", shape)
                _reserve(beside)
            length = facts["sequence_length"]
            counts = encode(encoder, task, arrays, length, batch_tokens)
            for array in arrays.values():
                array.flush()
        # Last: with it the folder is complete.
        record = {**facts, **dataclasses.asdict(counts)}
        write_text(place / RECORD_FILE, json.dumps(record, indent=1) + "\n")


def _reserve(path: Path) -> None:
    """Takes the room on the disk: a mapped file that finds none later ends the process."""
    if not hasattr(os, "posix_fallocate"):
        return
    with open(path, "r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, os.path.getsize(path))
        except OSError as error:
            # Some network file systems cannot; they write as before.
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise


def _read_record(place: Path, facts: Mapping[str, Any]) -> EncodingCounts | None:
    """The record's counts; None where there is no record.

    Raises:
        InputError: it cannot be read, or differs from `facts`.
    """
    path = place / RECORD_FILE
    names = [field.name for field in dataclasses.fields(EncodingCounts)]
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        counts = EncodingCounts(**{name: int(record[name]) for name in names})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read: remove {place}, or give another cache") from error
    for key, value in facts.items():
        if record.get(key) != value:
            raise InputError(
                f"{path}: these vectors are another encoder's or other examples': {key} is "
                f"{record.get(key)!r}, not {value!r}; remove {place}"
            )
    return counts


def _open(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """A file of vectors, mapped read-only.

    Raises:
        InputError: it is damaged or has another shape.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} is damaged ({error}): remove it") from error
    if array.shape != shape or array.dtype != np.float32:
        raise InputError(
            f"{path} has {array.dtype} values {list(array.shape)}, not float32 {list(shape)}: "
            "remove it"
        )
    return array
