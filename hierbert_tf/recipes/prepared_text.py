"""A run's text as shards: prepared by its chief, seen by all its workers."""

import hashlib
import time
from dataclasses import fields
from pathlib import Path

from hierbert_tf.config import RunConfig
from hierbert_tf.corpus.prepare import prepare
from hierbert_tf.corpus.report import CorpusReport
from hierbert_tf.corpus.vocabulary import Vocabulary
from hierbert_tf.data.manifest import MANIFEST
from hierbert_tf.data.pipeline import PretrainingData
from hierbert_tf.errors import InputError
from hierbert_tf.pretraining import open_data
from hierbert_tf.recipes.run_folder import RunFolder
from hierbert_tf.training.worker_group import WorkerGroup

# Network file systems show a new file on other machines some seconds later.
_VISIBLE_SECONDS = 60.0


def prepared_text(
    config: RunConfig, folder: RunFolder, goes_on: bool, workers: WorkerGroup
) -> tuple[PretrainingData, Vocabulary, CorpusReport]:
    """The text as shards, prepared now or by an earlier run, whose text must not have changed.

    Args:
        config: the run's settings.
        folder: the run folder; on several workers a shared one.
        goes_on: the run goes on with the folder's checkpoints.
        workers: those that train together.

    Returns:
        The source of batches, the vocabulary, and what the corpus holds.

    Raises:
        InputError: the text or its settings are wrong, or a worker does not see the chief's folder.
        RunStopped: the disk is full, or another worker is gone.
    """
    if workers.is_chief:

        def show_progress(stage: str, documents: int) -> None:
            doing = f"preparing: {stage}" + (f", {documents:,} documents" if documents else "")
            print(doing, flush=True)
            workers.tick(doing)

        workers.tick("preparing the text")
        prepare(config, folder.data, progress=show_progress, replace=not goes_on)
        workers.from_chief("the prepared text", _sha256(folder.data / MANIFEST))
    else:
        print(f"worker {workers.index}: waiting for worker 0 to prepare the text", flush=True)
        workers.tick("waiting for worker 0 to prepare the text")
        _wait_for(folder.data / MANIFEST, workers.from_chief("the prepared text"), workers)
    data, vocabulary = open_data(folder.data, config)
    known = {field.name for field in fields(CorpusReport)}
    report = CorpusReport(**{k: v for k, v in data.manifest.report.items() if k in known})
    if workers.is_chief:
        print(f"\n{report.to_markdown()}", flush=True)
    for task in data.tasks:
        if data.manifest.splits["train"].documents < task.documents:
            raise InputError(
                f"the training text is one document, but {task.name} needs others to draw from; "
                "add text, or see corpus.sources.0.document_break, or drop that task"
            )
    return data, vocabulary, report


def _wait_for(path: Path, sha256: str, workers: WorkerGroup) -> None:
    """Waits until a file is what the chief wrote."""
    deadline = time.monotonic() + _VISIBLE_SECONDS
    while _sha256(path) != sha256:
        workers.tick()
        if time.monotonic() > deadline:
            raise InputError(
                f"worker {workers.index} does not see the text that worker 0 prepared in "
                f"{path.parent}; give all workers a folder=... that they share."
            )
        time.sleep(0.5)


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
