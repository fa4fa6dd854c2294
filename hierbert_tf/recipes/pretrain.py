"""Pre-trains a hierarchical encoder: text to shards, training, checkpoints, a table at the end.

    python -m hierbert_tf.recipes.pretrain                      # the default recipe
    python -m hierbert_tf.recipes.pretrain --config mine.yaml training.steps=5000
    python -m hierbert_tf.recipes.pretrain --strategy mirrored  # all GPUs; docs/distribute.md

The same command started again goes on at the last checkpoint.
"""

import argparse
import json
import shutil
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hierbert_tf.config import RunConfig
from hierbert_tf.config_check import check_config
from hierbert_tf.config_file import load_config, settings_sha256
from hierbert_tf.corpus.prepare import VOCABULARY_FILE
from hierbert_tf.corpus.vocabulary import Vocabulary
from hierbert_tf.data.pipeline import PretrainingData
from hierbert_tf.data.shards import token_counts
from hierbert_tf.evaluation.chance import Chance, chance_levels
from hierbert_tf.models.pretrainer import HierarchicalBertPretrainer, build_pretrainer
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer
from hierbert_tf.recipes.command_line import run_program
from hierbert_tf.recipes.distribution import (
    add_strategy_arguments,
    distribution,
    strategy_choice,
)
from hierbert_tf.recipes.prepared_text import prepared_text
from hierbert_tf.recipes.run_folder import RunFolder
from hierbert_tf.recipes.start import Start, decide_start
from hierbert_tf.recipes.summary import summary_table
from hierbert_tf.storage import storage_error, write_text
from hierbert_tf.training.batch_reader import readable
from hierbert_tf.training.checkpoints import Checkpoints
from hierbert_tf.training.loop import train
from hierbert_tf.training.monitor.batch_text import batch_text
from hierbert_tf.training.monitor.monitor import Monitor
from hierbert_tf.training.optimizer import AdamW
from hierbert_tf.training.schedule import WarmupSchedule
from hierbert_tf.training.strategy import StrategyChoice, check_strategy
from hierbert_tf.training.worker_group import WorkerGroup


def pretrain(
    config: RunConfig, start: Start | None = None, choice: StrategyChoice | None = None
) -> int:
    """Runs a recipe, from its text to its table.

    Args:
        config: the settings.
        start: resume, warm start or from scratch; as it comes: resume if there is a checkpoint.
        choice: the devices, and the workers that do the same; None: one device.

    Returns:
        0, or 143 or 130 after a SIGTERM or Ctrl-C.

    Raises:
        InputError: something in the settings or the text is wrong.
        RunStopped: a loss was not finite, the disk was full, or another worker was lost.
    """
    check_config(config)
    choice, start = choice or StrategyChoice(), start or Start()
    check_strategy(choice, config)
    with distribution(choice, config, start) as (strategy, workers):
        folder = RunFolder(config, owner=workers.is_chief)
        try:
            return _pretrain(config, folder, start, strategy, workers)
        finally:
            folder.release()


def _pretrain(
    config: RunConfig,
    folder: RunFolder,
    start: Start,
    strategy: tf.distribute.Strategy,
    workers: WorkerGroup,
) -> int:
    goes_on = workers.is_chief and folder.has_run and not start.from_scratch
    if goes_on:
        folder.check_settings()
    data, vocabulary, report = prepared_text(config, folder, goes_on, workers)
    if config.training.deterministic:
        tf.config.experimental.enable_op_determinism()
    workers.tick("building the model")
    with strategy.scope():
        model, optimizer = _model(config, len(vocabulary))
    identity = {
        "vocabulary_sha256": vocabulary.sha256,
        "preparation_sha256": data.manifest.config_sha256,
        "encoder": asdict(config.encoder),
        "config_sha256": settings_sha256(config),
        "warm_start_from": start.warm_start_from,
    }
    checkpoints = Checkpoints(folder.checkpoints, config.monitor.keep_checkpoints, identity)
    start_step = decide_start(start, folder, checkpoints, model, vocabulary.sha256, workers)

    def held_out() -> tf.data.Dataset:
        batches = data.held_out()
        few = config.monitor.evaluation_batches
        return batches.take(few) if few else batches

    monitor = None
    if workers.is_chief:
        folder.claim(folder.data / VOCABULARY_FILE)
        write_text(folder.path / "corpus_report.md", report.to_markdown())
        workers.tick("measuring the chance levels")
        chance = _chance(folder, data, held_out, workers)
        monitor = _monitor(config, folder, data, vocabulary, chance, start_step)
    result = train(
        model,
        optimizer,
        lambda step: data.training(config.training.steps, step),
        held_out,
        config,
        checkpoints=checkpoints,
        monitor=monitor,
        strategy=strategy,
        workers=workers,
        start_step=start_step,
    )
    if result.exit_code:
        saved = "nothing to save yet" if result.saved_step is None else "saved"
        print(f"stopped at step {result.step}, {saved}; the same command goes on from there")
    elif workers.is_chief:
        workers.tick("saving the model")
        _save(folder, model, vocabulary)
        _finish(config, folder, data, chance, result.held_out)
    return result.exit_code


def _monitor(
    config: RunConfig,
    folder: RunFolder,
    data: PretrainingData,
    vocabulary: Vocabulary,
    chance: Mapping[str, Chance],
    start_step: int,
) -> Monitor:
    """What shows and writes the run; holds the first corrupted batch already."""
    monitor = Monitor(
        folder.path,
        config,
        {name: {"loss": c.loss, "accuracy": c.accuracy} for name, c in chance.items()},
        words=vocabulary.tokens,
        token_embeddings=_token_embeddings,
    )
    if start_step < config.training.steps:
        with readable():
            first = next(data.training(start_step + 1, start_step).as_numpy_iterator())
        monitor.write_text("corrupted_batch", batch_text(first, vocabulary.tokens), start_step)
    return monitor


def _chance(
    folder: RunFolder,
    data: PretrainingData,
    held_out: Callable[[], tf.data.Dataset],
    workers: WorkerGroup,
) -> dict[str, Chance]:
    """The tasks' chance levels; kept in the run folder, since they cost a pass over the text."""
    path = folder.path / "chance.json"
    if path.exists():
        levels = json.loads(path.read_text(encoding="utf-8"))
        return {name: Chance(**level) for name, level in levels.items()}
    with readable():
        batches = held_out().as_numpy_iterator()
        levels = chance_levels(data.tasks, _ticking(batches, workers), token_counts(folder.data))
    record = {name: asdict(level) for name, level in levels.items()}
    write_text(path, json.dumps(record, indent=1))
    return levels


def _ticking(batches: Iterable[Any], workers: WorkerGroup) -> Iterator[Any]:
    """The batches; the other workers, who wait meanwhile, see that there is progress."""
    for batch in batches:
        workers.tick()
        yield batch


def _model(config: RunConfig, vocabulary_size: int) -> tuple[HierarchicalBertPretrainer, AdamW]:
    training = config.training
    model = build_pretrainer(
        config.encoder, config.tasks, vocabulary_size, config.seed, dtype=training.precision
    )
    optimizer = AdamW(
        WarmupSchedule.from_settings(training),
        weight_decay=training.weight_decay,
        global_clipnorm=training.clip_norm or None,
    )
    return model, optimizer


def _token_embeddings(model: HierarchicalBertPretrainer) -> np.ndarray:
    return keras.ops.convert_to_numpy(model.backbone.token_embedding.embeddings)


def _save(folder: RunFolder, model: HierarchicalBertPretrainer, vocabulary: Vocabulary) -> None:
    """Saves the model for its users: whole, and the encoder with its tokenizer as a preset."""
    whole, encoder = folder.temporary("model.keras"), folder.temporary("encoder")
    try:
        model.save(whole)
        model.backbone.save_to_preset(str(encoder))
        tokenizer = HierarchicalBertTokenizer(vocabulary.tokens, lowercase=vocabulary.lowercase)
        tokenizer.save_to_preset(str(encoder))
        whole.replace(folder.path / "model.keras")
        shutil.rmtree(folder.path / "encoder", ignore_errors=True)
        encoder.rename(folder.path / "encoder")
    except OSError as error:
        raise storage_error(error, folder.path) from error
    finally:
        whole.unlink(missing_ok=True)
        shutil.rmtree(encoder, ignore_errors=True)


def _finish(
    config: RunConfig,
    folder: RunFolder,
    data: PretrainingData,
    chance: Mapping[str, Chance],
    held_out: Mapping[int, Mapping[str, float]],
) -> None:
    """Prints and writes the table."""
    names = [task.name for task in data.tasks]
    table = summary_table(names, held_out.get(0, {}), held_out[config.training.steps], chance)
    write_text(folder.path / "summary.md", table + "\n")
    print(f"\nheld-out documents, {config.training.steps} steps\n\n{table}\n")
    print(f"model: {folder.path / 'model.keras'}   curves: tensorboard --logdir {folder.path}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line and runs; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m hierbert_tf.recipes.pretrain",
                                     description="Pre-train a hierarchical encoder.")  # fmt: skip
    parser.add_argument(
        "--config", metavar="FILE", help="settings in YAML; default: the main recipe"
    )
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--resume", action="store_true", help="go on; fail without a checkpoint")
    begin.add_argument("--from-scratch", action="store_true",
                       help="set an earlier run in the folder aside")  # fmt: skip
    begin.add_argument("--warm-start-from", metavar="RUN", help="begin with another run's weights")
    add_strategy_arguments(parser)
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="such as training.steps=5000"
    )
    options = parser.parse_intermixed_args(arguments)
    start = Start(options.resume, options.from_scratch, options.warm_start_from)

    def program() -> int:
        choice = strategy_choice(options)
        return pretrain(load_config(options.config, options.overrides), start, choice)

    with warnings.catch_warnings():
        return run_program(program)


if __name__ == "__main__":
    sys.exit(main())
