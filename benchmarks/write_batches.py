"""Writes batches and the CPU's outputs for `benchmarks/accelerator.py`, where TensorFlow is.

    python benchmarks/write_batches.py PREPARED_FOLDER batches.npz [--rows 1024] [--seed 42]

PREPARED_FOLDER is a run's `data/`. The batches are those of the training pipeline, for masked LM
and next sentence, padded to the folder's sequence length T. Names in the file: `x/` features, `y/`
labels, `w/` label weights, and `SHAPE/` the logits that this machine computes in float32, without
dropout, for the first rows, from weights that both programs derive from the weights' names.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from accelerator_model import SHAPES, TASKS, build, outputs, rows

from hierbert_tf import Vocabulary, open_data
from hierbert_tf.config import (
    DataConfig,
    EncoderConfig,
    RunConfig,
    TaskConfig,
    VocabularyConfig,
)
from hierbert_tf.corpus.prepare import VOCABULARY_FILE
from hierbert_tf.data.shards import Manifest
from hierbert_tf.errors import InputError
from hierbert_tf.storage import storage_error, written_whole

BATCH = 32


def read_batches(folder: Path, count: int, seed: int) -> dict[str, np.ndarray]:
    """The first `count` rows that the pipeline trains on."""
    manifest = Manifest.load(folder)
    vocabulary = Vocabulary.load(folder / VOCABULARY_FILE, manifest.lowercase)
    smallest = min(shape.vocabulary for shape in SHAPES.values())
    config = RunConfig(
        seed=seed,
        vocabulary=VocabularyConfig(lowercase=manifest.lowercase),
        data=DataConfig(manifest.sequence_length, batch_size=min(BATCH, count), length_multiple=0),
        encoder=EncoderConfig(layers=1),
        tasks=tuple(TaskConfig(name, 1) for name in reversed(TASKS)),
    )
    if len(vocabulary) > smallest:
        raise InputError(
            f"{folder}: its vocabulary has {len(vocabulary):,} entries, the smallest model's "
            f"{smallest:,}; prepare the text with vocabulary.size={smallest} or less"
        )
    data, _ = open_data(folder, config)
    steps = -(-count // config.data.batch_size)
    parts: dict[str, list[np.ndarray]] = {}
    for batch in data.training(steps).as_numpy_iterator():
        for letter, group in zip("xyw", batch, strict=True):
            for name, array in group.items():
                parts.setdefault(f"{letter}/{name}", []).append(array)
    return {name: np.concatenate(arrays)[:count] for name, arrays in parts.items()}


def main(arguments: list[str] | None = None) -> int:
    """Exit code 2 for input that cannot be used."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--rows", type=int, default=1024, help="rows to write (1024)")
    parser.add_argument("--compare", type=int, default=2, help="rows with the CPU's outputs (2)")
    parser.add_argument("--seed", type=int, default=42, help="the pipeline's seed (42)")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["L6-H256", "BERT-base"])
    options = parser.parse_args(arguments)
    if not 1 <= options.compare <= options.rows:
        parser.error("--compare must be from 1 to --rows")
    try:
        arrays = read_batches(options.folder, options.rows, options.seed)
        length = arrays["x/token_ids"].shape[1]
        features = rows(arrays, "x/", options.compare)
        for name in options.shapes:
            model = build(SHAPES[name], length, dropout=0.0, dtype="float32")
            for task, logits in outputs(model, features).items():
                arrays[f"{name}/{task}"] = logits
        try:
            with written_whole(options.output) as beside, open(beside, "wb") as file:
                np.savez_compressed(file, **arrays)
        except OSError as error:
            raise storage_error(error, options.output) from error
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    size = options.output.stat().st_size / 1e6
    print(f"{options.output}: {options.rows} rows of T {length}, {size:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
