"""Pre-trains a hierarchical encoder: text to shards, training, checkpoints, a table at the end.

    python -m hierbert_tf.recipes.pretrain                      # the default recipe
    python -m hierbert_tf.recipes.pretrain --config recipes/own.yaml training.steps=5000

The same command started again goes on at the last checkpoint.
"""

import argparse
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields

import keras
import numpy as np
import tensorflow as tf

from hierbert_tf.config import RunConfig
from hierbert_tf.config_check import check_config
from hierbert_tf.config_file import load_config, write_text
from hierbert_tf.corpus.prepare import prepare
from hierbert_tf.corpus.report import CorpusReport
from hierbert_tf.corpus.vocabulary import Vocabulary
from hierbert_tf.data.pipeline import PretrainingData
from hierbert_tf.errors import InputError
from hierbert_tf.evaluation.chance import Chance, chance_levels
from hierbert_tf.models.pretrainer import HierarchicalBertPretrainer, build_pretrainer
from hierbert_tf.pretraining import open_data
from hierbert_tf.recipes.command_line import run_program
from hierbert_tf.recipes.run_folder import RunFolder
from hierbert_tf.recipes.summary import summary_table
from hierbert_tf.training.checkpoints import Checkpoints
from hierbert_tf.training.loop import train
from hierbert_tf.training.monitor.batch_text import batch_text
from hierbert_tf.training.monitor.monitor import Monitor
from hierbert_tf.training.optimizer import AdamW
from hierbert_tf.training.schedule import WarmupSchedule
from hierbert_tf.training.warm_start import warm_start

RESUME, FROM_SCRATCH, EITHER = "resume", "from_scratch", "either"


def pretrain(config: RunConfig, start: str = EITHER, warm_start_from: str | None = None) -> int:
    """Runs a recipe, from its text to its table.

    Args:
        config: the settings.
        start: `"resume"` (there must be a checkpoint), `"from_scratch"` (an earlier run in the
            folder is set aside), or `"either"`: resume if there is a checkpoint.
        warm_start_from: a run or checkpoint whose weights a new run begins with.

    Returns:
        0, or 143 or 130 after a SIGTERM or Ctrl-C, with everything saved.

    Raises:
        InputError: something in the settings or the text is wrong.
        RunStopped: a loss was not finite, or the disk was full.
    """
    check_config(config)
    folder = RunFolder(config)
    if start == FROM_SCRATCH and (aside := folder.set_aside()):
        print(f"from scratch: the earlier run is kept in {aside}")
    folder.claim()
    data, vocabulary = _prepared(config, folder)

    if config.training.deterministic:
        tf.config.experimental.enable_op_determinism()
    model, optimizer = _model(config, len(vocabulary))
    checkpoints = Checkpoints(
        folder.checkpoints, config.monitor.keep_checkpoints, folder.identity(vocabulary.sha256)
    )
    start_step = _start(model, checkpoints, folder, vocabulary, start, warm_start_from)

    chance = chance_levels(
        data.tasks, data.held_out().as_numpy_iterator(), data.token_counts(len(vocabulary))
    )
    monitor = Monitor(
        folder.path,
        config,
        {name: {"loss": c.loss, "accuracy": c.accuracy} for name, c in chance.items()},
        words=vocabulary.tokens,
        token_embeddings=_token_embeddings,
    )
    first = next(data.training(start_step + 1, start_step).as_numpy_iterator())
    monitor.write_text("corrupted_batch", batch_text(first, vocabulary.tokens), start_step)
    result = train(
        model,
        optimizer,
        lambda step: data.training(config.training.steps, step),
        data.held_out,
        config,
        checkpoints=checkpoints,
        monitor=monitor,
        start_step=start_step,
    )
    if result.exit_code:
        print(f"stopped at step {result.step} and saved; the same command goes on from there")
        return result.exit_code
    _finish(config, folder, model, data, chance, result.held_out)
    return 0


def _prepared(config: RunConfig, folder: RunFolder) -> tuple[PretrainingData, Vocabulary]:
    """The text as shards, and the vocabulary; prepared now or by an earlier run."""
    manifest = prepare(config, folder.data, progress=_show_progress)
    known = {field.name for field in fields(CorpusReport)}
    report = CorpusReport(**{k: v for k, v in manifest.report.items() if k in known})
    print(f"\n{report.to_markdown()}", flush=True)
    write_text(folder.path / "corpus_report.md", report.to_markdown())
    data, vocabulary = open_data(folder.data, config)
    if data.paired and report.documents < 2:
        raise InputError(
            f"the corpus is one document, but {data.tasks[0].name} needs others to draw from; "
            "add text, or see corpus.sources.0.document_break, or drop that task"
        )
    return data, vocabulary


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


def _start(
    model: HierarchicalBertPretrainer,
    checkpoints: Checkpoints,
    folder: RunFolder,
    vocabulary: Vocabulary,
    start: str,
    warm_start_from: str | None,
) -> int:
    """Decides where the run starts and says so."""
    latest = None if start == FROM_SCRATCH else checkpoints.latest()
    if latest is not None:
        vocabulary.check_fits(
            latest.identity["vocabulary_sha256"], len(vocabulary), f"{latest.path}"
        )
        print(f"resume: {folder.path} at step {latest.step}")
        return latest.step
    if start == RESUME:
        raise InputError(f"{folder.checkpoints} holds no whole checkpoint to resume from")
    if warm_start_from:
        done = warm_start(model, warm_start_from, vocabulary.sha256)
        print(f"warm start: {len(done.taken)} weights from {done.path}, {len(done.left)} new")
    else:
        print(f"from scratch: {folder.path}")
    return 0


def _token_embeddings(model: HierarchicalBertPretrainer) -> np.ndarray:
    return keras.ops.convert_to_numpy(model.backbone.token_embedding.embeddings)


def _finish(
    config: RunConfig,
    folder: RunFolder,
    model: HierarchicalBertPretrainer,
    data: PretrainingData,
    chance: Mapping[str, Chance],
    held_out: Mapping[int, Mapping[str, float]],
) -> None:
    """Saves the model for its users, prints and writes the table."""
    beside = folder.path / "model.tmp.keras"
    model.save(beside)
    beside.replace(folder.path / "model.keras")
    model.backbone.save_to_preset(str(folder.path / "encoder"))
    names = [task.name for task in data.tasks]
    table = summary_table(names, held_out[0], held_out[config.training.steps], chance)
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
        "overrides", nargs="*", metavar="key=value", help="such as training.steps=9"
    )
    options = parser.parse_args(arguments)
    start = RESUME if options.resume else FROM_SCRATCH if options.from_scratch else EITHER

    def program() -> int:
        config = load_config(options.config, options.overrides)
        return pretrain(config, start, options.warm_start_from)

    with warnings.catch_warnings():
        return run_program(program)


if __name__ == "__main__":
    sys.exit(main())
