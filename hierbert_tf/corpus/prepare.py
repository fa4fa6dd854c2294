"""From sources to shards: `prepare` makes the folder that training reads."""

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hierbert_tf.config import RunConfig
from hierbert_tf.corpus.chunk import split_hashes
from hierbert_tf.corpus.hold_out import HoldOut
from hierbert_tf.corpus.learn_stage import VOCABULARY_FILE
from hierbert_tf.corpus.preparation_hash import (
    preparation_record,
    preparation_settings,
    preparation_sha256,
)
from hierbert_tf.corpus.prepared_folder import (
    claimed,
    find_prepared,
    publish,
    remove_abandoned,
    work_folder,
)
from hierbert_tf.corpus.read_stages import read_sources
from hierbert_tf.corpus.runner import LocalRunner, Runner
from hierbert_tf.corpus.sentences import check_language
from hierbert_tf.corpus.shard_stages import make_shards, make_vocabulary, token_dtype, tokenise
from hierbert_tf.corpus.stage_progress import Watch
from hierbert_tf.corpus.stage_runner import StageRunner
from hierbert_tf.corpus.vocabulary import Vocabulary
from hierbert_tf.data.manifest import Manifest
from hierbert_tf.data.shards import save_token_counts
from hierbert_tf.errors import InputError
from hierbert_tf.storage import storage_error

REPORT_FILE = "corpus_report.json"

__all__ = ["VOCABULARY_FILE", "Progress", "prepare"]

Progress = Callable[[str, int], None]
"""Called now and then with a stage (`reading`, `vocabulary`, `tokens`) and the documents done."""

# Work on less text is done again sooner than anyone sees that it was left behind.
_WORTH_KEEPING = 50_000_000


def prepare(
    config: RunConfig,
    folder: str | Path,
    progress: Progress | None = None,
    *,
    replace: bool = True,
    runner: Runner | None = None,
    watch: Watch | None = None,
) -> Manifest:
    """Prepares the corpus of a run, or finds it prepared.

    Sources are read once: their sentences are split, counted and kept in compressed files; then
    the vocabulary is learnt from the training documents (or read), and all sentences are tokenised
    into shards. Each stage is cut into tasks that are pure functions with files in and out: any
    number of processes, and Apache Beam, give the same shards byte for byte.

    All is made in a folder beside (`<folder>.tmp`) and renamed: `folder` is always whole. What a
    killed preparation had finished stands there, and the next one with the same text and settings
    goes on from it.
    Memory does not grow with the text: a vocabulary is learnt from 20 million characters, from
    sentences spread evenly over the training documents where there are more.

    Args:
        config: `corpus`, `vocabulary`, `seed` and `data.sequence_length` are used.
        folder: where the shards, `vocab.txt`, `manifest.json` and `corpus_report.json` go.
        progress: called with `(stage, documents)`.
        replace: replace a corpus in `folder` that was prepared from other text or settings. False
            where something belongs to its vocabulary and shards, such as a run's checkpoints.
        runner: does the tasks; None: this process.
        watch: called with a `StageProgress` after each task.

    Returns:
        The manifest; when the folder's was made with the same settings and sources, that one.

    Raises:
        InputError: wrong settings, wrong or empty sources, a folder that cannot be written, that
            holds something else or, with `replace=False`, a corpus of other text or settings.
        RunStopped: the disk is full.
    """
    # Resolved: work is done beside the folder, under its own name, which "." has not.
    folder = Path(os.path.realpath(folder))
    tell = progress or (lambda *_: None)
    check_language(config.corpus.language)
    if not config.corpus.sources:
        raise InputError("corpus.sources is empty: name at least one text.")
    if config.corpus.shard_tokens < 1:
        raise InputError(f"corpus.shard_tokens is {config.corpus.shard_tokens}: give 1 or more.")
    if config.data.sequence_length < 8:
        raise InputError(f"data.sequence_length is {config.data.sequence_length}: give 8 or more.")
    settings = preparation_settings(config)
    work = work_folder(folder)
    # Without the lock, as a corpus can be used where nothing can be written.
    if not work.exists() and (prepared := find_prepared(folder, settings, replace)):
        return prepared
    stages = StageRunner(work, runner or LocalRunner(), tell, watch)
    try:
        with claimed(work, lambda: tell("waiting for another process", 0)):
            done = False
            try:
                remove_abandoned(folder)
                manifest = find_prepared(folder, settings, replace)
                if not manifest:
                    finished = work / f"finished-{preparation_sha256(settings)[:24]}"
                    manifest = _prepare_into(finished, stages, config, settings)
                    publish(finished, folder)
                done = True
            finally:
                if done or stages.bytes_read < _WORTH_KEEPING:
                    shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise storage_error(error, folder) from error
    return manifest


def _prepare_into(
    finished: Path, stages: StageRunner, config: RunConfig, settings: dict[str, Any]
) -> Manifest:
    """Makes the folder `finished`; its manifest is written last."""
    for path in stages.work.glob("finished-*"):
        if path != finished:
            shutil.rmtree(path, ignore_errors=True)
    chunks, report = read_sources(stages, config, settings)
    split = HoldOut(config.corpus.held_out_fraction, config.seed)
    for chunk in chunks:
        split.observe_all(split_hashes(stages.work / chunk.folder, chunk.number))
    threshold = split.threshold()
    given = settings["vocabulary_sha256"]
    place = make_vocabulary(stages, config, given, chunks, threshold, report.characters)
    vocabulary = Vocabulary.load(stages.work / place, config.vocabulary.lowercase)
    tasks, unknown, counts = tokenise(stages, config, chunks, threshold, place, vocabulary)
    splits = make_shards(stages, config, tasks, token_dtype(vocabulary), finished)
    if not splits["train"].tokens:
        names = ", ".join(repr(source.tfds_name or source.path) for source in config.corpus.sources)
        raise InputError(f"the corpus ({names}) holds no token: nothing can be learnt.")
    vocabulary.save(finished / VOCABULARY_FILE)
    save_token_counts(finished, counts)
    report = dataclasses.replace(
        report,
        tokens=sum(part.tokens for part in splits.values()),
        unknown_tokens=unknown,
        vocabulary_size=len(vocabulary),
        held_out_documents=splits["held_out"].documents,
        held_out_tokens=splits["held_out"].tokens,
    )
    report.save(finished / REPORT_FILE)
    manifest = Manifest(
        token_dtype=token_dtype(vocabulary),
        vocabulary_sha256=vocabulary.sha256,
        vocabulary_size=len(vocabulary),
        lowercase=vocabulary.lowercase,
        sequence_length=config.data.sequence_length,
        config_sha256=preparation_sha256(settings),
        splits=splits,
        report=report.to_dict(),
        text=report.texts,
        preparation=preparation_record(settings),
    )
    manifest.save(finished)
    return manifest
