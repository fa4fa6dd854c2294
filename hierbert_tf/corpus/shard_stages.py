"""The last stages: chunks of sentences to a finished folder of shards."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hierbert_tf.config import RunConfig
from hierbert_tf.corpus.learn_stage import (
    VOCABULARY_CHARACTERS,
    VOCABULARY_FILE,
    learn_from_samples,
    sample_chunk,
)
from hierbert_tf.corpus.read_stages import Chunk
from hierbert_tf.corpus.record_file import RecordFile
from hierbert_tf.corpus.shard_plan import plan_shards
from hierbert_tf.corpus.stage_runner import StageRunner
from hierbert_tf.corpus.task import Task
from hierbert_tf.corpus.tokenise_chunk import SPLITS, TRAIN_COUNTS, tokenise_chunk
from hierbert_tf.corpus.vocabulary import Vocabulary
from hierbert_tf.corpus.write_shards import SHARDS_AT_ONCE, write_shards
from hierbert_tf.data.manifest import ShardInfo, Split


def make_vocabulary(
    stages: StageRunner,
    config: RunConfig,
    given_sha256: str,
    chunks: list[Chunk],
    threshold: int,
    characters: int,
) -> str:
    """Learns the vocabulary, or takes the given one.

    Args:
        stages: has the tasks done.
        config: `vocabulary` is used.
        given_sha256: hash of the given vocabulary.
        chunks: the corpus.
        threshold: documents of a smaller split hash are held out.
        characters: of the corpus.

    Returns:
        Path of `vocab.txt` below the work folder.

    Raises:
        InputError: too small, broken, or no text to learn from.
    """
    settings = config.vocabulary
    arguments: dict[str, Any] = {"lowercase": settings.lowercase}
    if settings.path:
        arguments["path"] = os.path.abspath(settings.path)
        identity = [settings.lowercase, given_sha256]
        task = stages.task("vocabulary", 0, learn_from_samples, arguments, identity)
    else:
        share = min(1.0, VOCABULARY_CHARACTERS / max(1, characters))
        common = {"share": share, "threshold": threshold}
        samples = [
            stages.task("sample", i, sample_chunk, common | chunk.arguments())
            for i, chunk in enumerate(chunks)
        ]
        stages.run(samples)
        stages.tell("vocabulary", 0)
        arguments |= {"samples": [task.name for task in samples], "size": settings.size}
        task = stages.task("vocabulary", 0, learn_from_samples, arguments)
    stages.run([task])
    return f"{task.name}/{VOCABULARY_FILE}"


def tokenise(
    stages: StageRunner,
    config: RunConfig,
    chunks: list[Chunk],
    threshold: int,
    vocabulary_path: str,
    vocabulary: Vocabulary,
) -> tuple[list[Task], int, np.ndarray]:
    """Tokenises the chunks.

    Args:
        stages: has the tasks done.
        config: `corpus.shard_tokens` is used.
        chunks: the corpus.
        threshold: documents of a smaller split hash are held out.
        vocabulary_path: `vocab.txt` below the work folder.
        vocabulary: what stands in it.

    Returns:
        The tasks, which hold the records; how many tokens are [UNK]; int64 [V], how often each
        token stands in the training documents.
    """
    common = {
        "threshold": threshold,
        "vocabulary": vocabulary_path,
        "lowercase": vocabulary.lowercase,
        "token_dtype": token_dtype(vocabulary),
        "shard_tokens": config.corpus.shard_tokens,
    }
    tasks = [
        stages.task("tokens", i, tokenise_chunk, common | chunk.arguments())
        for i, chunk in enumerate(chunks)
    ]
    results = stages.run(tasks, "tokens")
    counts = np.zeros(len(vocabulary), np.int64)
    for task in tasks:
        counts += np.load(task.folder / TRAIN_COUNTS, allow_pickle=False)
    return tasks, sum(result["unknown"] for result in results), counts


def token_dtype(vocabulary: Vocabulary) -> str:
    """The smallest dtype that holds all ids: `uint16` or `int32`."""
    return "uint16" if len(vocabulary) <= 1 << 16 else "int32"


def make_shards(
    stages: StageRunner, config: RunConfig, tokens: list[Task], dtype: str, finished: Path
) -> dict[str, Split]:
    """Writes the shards of both splits.

    Args:
        stages: has the tasks done.
        config: `corpus.shard_tokens` and `data.sequence_length` are used.
        tokens: the tasks of `tokenise`.
        dtype: of the token ids.
        finished: the folder to put the shards into.

    Returns:
        What stands in each split.
    """
    common = {
        "token_dtype": dtype,
        "shard_tokens": config.corpus.shard_tokens,
        "sequence_length": config.data.sequence_length,
    }
    tasks: list[Task] = []
    for split in SPLITS:
        files = ((task.name, RecordFile(task.folder, split, dtype).records()) for task in tokens)
        planned = plan_shards(files, config.corpus.shard_tokens)
        for first in range(0, len(planned), SHARDS_AT_ONCE):
            shards = [asdict(shard) for shard in planned[first : first + SHARDS_AT_ONCE]]
            arguments = common | {"split": split, "first": first, "shards": shards}
            tasks.append(stages.task("shards", len(tasks), write_shards, arguments))
    infos: dict[str, list[ShardInfo]] = {split: [] for split in SPLITS}
    finished.mkdir(exist_ok=True)
    for task, result in zip(tasks, stages.run(tasks), strict=True):
        for record in result["shards"]:
            info = ShardInfo(**record)
            infos[task.arguments["split"]].append(info)
            # A run that was killed here has moved some of them.
            if not (finished / info.file).exists():
                os.rename(task.folder / info.file, finished / info.file)
    return {
        split: Split(
            sum(shard.documents for shard in shards),
            sum(shard.sentences for shard in shards),
            sum(shard.tokens for shard in shards),
            tuple(shards),
        )
        for split, shards in infos.items()
    }
