"""Pre-trains a hierarchical encoder: text to shards, training, checkpoints, a table at the end.

    python -m hierbert_tf.recipes.pretrain                      # the default recipe
    python -m hierbert_tf.recipes.pretrain --config mine.yaml training.steps=5000

The same command started again goes on at the last checkpoint.
"""

import argparse
import json
import shutil
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields

import keras
import numpy as np
import tensorflow as tf

from hierbert_tf.config import RunConfig
from hierbert_tf.config_check import check_config
from hierbert_tf.config_file import load_config, settings_sha256
from hierbert_tf.corpus.prepare import VOCABULARY_FILE, prepare
from hierbert_tf.corpus.report import CorpusReport
from hierbert_tf.corpus.vocabulary import Vocabulary
from hierbert_tf.data.pipeline import PretrainingData
from hierbert_tf.data.shards import token_counts
from hierbert_tf.errors import InputError
from hierbert_tf.evaluation.chance import Chance, chance_levels
from hierbert_tf.models.pretrainer import HierarchicalBertPretrainer, build_pretrainer
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer
from hierbert_tf.pretraining import open_data
from hierbert_tf.recipes.command_line import run_program
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


def pretrain(config: RunConfig, start: Start | None = None) -> int:
    """Runs a recipe, from its text to its table.

    Args:
        config: the settings.
        start: resume, warm start or from scratch; as it comes: resume if there is a checkpoint.

    Returns:
        0, or 143 or 130 after a SIGTERM or Ctrl-C.

    Raises:
        InputError: something in the settings or the text is wrong.
        RunStopped: a loss was not finite, or the disk was full.
    """
    check_config(config)
    folder = RunFolder(config)
    try:
        return _pretrain(config, folder, start or Start())
    finally:
        folder.release()


def _pretrain(config: RunConfig, folder: RunFolder, start: Start) -> int:
    goes_on = folder.has_run and not start.from_scratch
    if goes_on:
        folder.check_settings()
    data, vocabulary, report = _prepared(config, folder, goes_on)
    if config.training.deterministic:
        tf.config.experimental.enable_op_determinism()
    model, optimizer = _model(config, len(vocabulary))
    identity = {
        "vocabulary_sha256": vocabulary.sha256,
        "preparation_sha256": data.manifest.config_sha256,
        "encoder": asdict(config.encoder),
        "config_sha256": settings_sha256(config),
        "warm_start_from": start.warm_start_from,
    }
    checkpoints = Checkpoints(folder.checkpoints, config.monitor.keep_checkpoints, identity)
    start_step = decide_start(start, folder, checkpoints, model, vocabulary.sha256)
    folder.claim(folder.data / VOCABULARY_FILE)
    write_text(folder.path / "corpus_report.md", report.to_markdown())

    def held_out() -> tf.data.Dataset:
        batches = data.held_out()
        few = config.monitor.evaluation_batches
        return batches.take(few) if few else batches

    chance = _chance(folder, data, held_out)
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
    result = train(
        model,
        optimizer,
        lambda step: data.training(config.training.steps, step),
        held_out,
        config,
        checkpoints=checkpoints,
        monitor=monitor,
        start_step=start_step,
    )
    if result.exit_code:
        saved = "nothing to save yet" if result.saved_step is None else "saved"
        print(f"stopped at step {result.step}, {saved}; the same command goes on from there")
        return result.exit_code
    _save(folder, model, vocabulary)
    _finish(config, folder, data, chance, result.held_out)
    return 0


def _prepared(
    config: RunConfig, folder: RunFolder, goes_on: bool
) -> tuple[PretrainingData, Vocabulary, CorpusReport]:
    """The text as shards, prepared now or by an earlier run, whose text must not have changed."""
    manifest = prepare(config, folder.data, progress=_show_progress, replace=not goes_on)
    known = {field.name for field in fields(CorpusReport)}
    report = CorpusReport(**{k: v for k, v in manifest.report.items() if k in known})
    print(f"\n{report.to_markdown()}", flush=True)
    data, vocabulary = open_data(folder.data, config)
    for task in data.tasks:
        if manifest.splits["train"].documents < task.documents:
            raise InputError(
                f"the training text is one document, but {task.name} needs others to draw from; "
                "add text, or see corpus.sources.0.document_break, or drop that task"
            )
    return data, vocabulary, report


def _chance(
    folder: RunFolder, data: PretrainingData, held_out: Callable[[], tf.data.Dataset]
) -> dict[str, Chance]:
    """The tasks' chance levels; kept in the run folder, since they cost a pass over the text."""
    path = folder.path / "chance.json"
    if path.exists():
        levels = json.loads(path.read_text(encoding="utf-8"))
        return {name: Chance(**level) for name, level in levels.items()}
    with readable():
        batches = held_out().as_numpy_iterator()
        levels = chance_levels(data.tasks, batches, token_counts(folder.data))
    record = {name: asdict(level) for name, level in levels.items()}
    write_text(path, json.dumps(record, indent=1))
    return levels


def _show_progress(stage: str, documents: int) -> None:
    print(f"preparing: {stage}" + (f", {documents:,} documents" if documents else ""), flush=True)


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
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="such as training.steps=5000"
    )
    options = parser.parse_intermixed_args(arguments)
    start = Start(options.resume, options.from_scratch, options.warm_start_from)

    def program() -> int:
        return pretrain(load_config(options.config, options.overrides), start)

    with warnings.catch_warnings():
        return run_program(program)


if __name__ == "__main__":
    sys.exit(main())
