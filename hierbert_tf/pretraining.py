"""Prepared text, opened for training with a run's settings."""

from pathlib import Path

from hierbert_tf.config import RunConfig
from hierbert_tf.corpus.prepare import VOCABULARY_FILE
from hierbert_tf.corpus.vocabulary import Vocabulary
from hierbert_tf.data.pipeline import PretrainingData
from hierbert_tf.data.sequences import TokenTable
from hierbert_tf.tasks import build_tasks


def open_data(folder: str | Path, config: RunConfig) -> tuple[PretrainingData, Vocabulary]:
    """Opens what `prepare` wrote.

    Args:
        folder: the folder given to `prepare`.
        config: the settings given to `prepare`; the tasks and the batch size may differ.

    Returns:
        The source of batches, and the vocabulary.

    Raises:
        InputError: the folder is not prepared, is damaged, or was prepared for another sequence
            length; or the tasks do not fit each other.
    """
    folder = Path(folder)
    vocabulary = Vocabulary.load(folder / VOCABULARY_FILE, config.vocabulary.lowercase)
    tasks = build_tasks(config.tasks, config.encoder.layers)
    data = PretrainingData(folder, tasks, TokenTable.of(vocabulary), config.data, config.seed)
    data.manifest.verify(folder)
    vocabulary.check_fits(
        data.manifest.vocabulary_sha256, data.manifest.vocabulary_size, holder=str(folder)
    )
    return data, vocabulary
