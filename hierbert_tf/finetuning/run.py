"""One seed of a fine-tuning run: training, scores, the model for its users."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hierbert_tf.config import EncoderConfig, RunConfig, TaskConfig, TrainingConfig
from hierbert_tf.config_file import settings_sha256
from hierbert_tf.config_finetuning import FinetuningConfig
from hierbert_tf.errors import InputError
from hierbert_tf.finetuning.task import DownstreamTask
from hierbert_tf.models.layer_decay import layer_decay_multipliers
from hierbert_tf.provenance import code_version
from hierbert_tf.storage import write_text
from hierbert_tf.training.checkpoints import Checkpoints
from hierbert_tf.training.loop import train
from hierbert_tf.training.monitor.monitor import Monitor
from hierbert_tf.training.optimizer import AdamW
from hierbert_tf.training.schedule import WarmupSchedule

SCORES_FILE = "scores.json"


@dataclass(frozen=True)
class SeedResult:
    """What became of a seed.

    Args:
        scores: metrics by set; empty after a signal.
        commit: of the code that made them, which may not be the code that reads them.
        exit_code: 0, or 143 or 130 after SIGTERM or Ctrl-C.
    """

    scores: dict[str, dict[str, float]]
    commit: str = ""
    exit_code: int = 0


def finetune_seed(
    config: FinetuningConfig,
    task: DownstreamTask,
    seed: int,
    folder: Path,
    facts: Mapping[str, str],
) -> SeedResult:
    """Fine-tunes with one seed, or goes on where it was stopped, or finds it done.

    Args:
        config: the run's settings.
        task: the examples and the model's kind.
        seed: draws the head's weights, the dropout and the order of the examples.
        folder: the seed's own folder.
        facts: shown in the reports.

    Returns:
        The scores, or the signal's exit code.

    Raises:
        InputError: the folder holds another run's seed.
        RunStopped: a loss was not finite, or the disk was full.
    """
    identity = {
        "seed": seed,
        "settings_sha256": settings_sha256(config),
        "encoder_sha256": task.encoder.sha256,
        "examples_sha256": task.examples_sha256,
    }
    done = folder / SCORES_FILE
    if done.exists():
        record = json.loads(done.read_text(encoding="utf-8"))
        _check_identity(record["identity"], identity, done)
        return SeedResult(record["scores"], record["commit"])
    folder.mkdir(parents=True, exist_ok=True)
    model = task.build(seed)
    rows = task.training_rows(seed)
    run = _run_config(config, task, rows.steps(config.training.epochs), seed, folder)
    functional = task.functional(model)
    settings = run.training
    optimizer = AdamW(
        WarmupSchedule.from_settings(settings),
        weight_decay=settings.weight_decay,
        global_clipnorm=settings.clip_norm or None,
        learning_rate_multipliers=layer_decay_multipliers(model, config.training.layer_decay)
        if config.training.layer_decay != 1
        else None,
    )
    checkpoints = Checkpoints(folder / "checkpoints", config.monitor.keep_checkpoints, identity)
    latest = checkpoints.latest()
    if latest is not None:
        _check_identity(latest.identity, identity, latest.path)
        print(f"seed {seed}: resume at step {latest.step}", flush=True)
    few = config.monitor.evaluation_batches
    watched = task.watched_rows(seed) if few else None
    result = train(
        functional,
        optimizer,
        lambda step: rows.training(settings.steps, step),
        (lambda: watched.sample(few)) if watched else None,
        run,
        checkpoints=checkpoints,
        monitor=Monitor(folder, run),
        start_step=latest.step if latest else 0,
    )
    if result.exit_code:
        return SeedResult({}, exit_code=result.exit_code)
    commit = code_version()
    scores = {
        name: task.score(model, name, folder / name, {**facts, "commit": commit, "seed": str(seed)})
        for name in config.data.evaluate
    }
    _save_model(model, folder)
    record = {"identity": identity, "commit": commit, "scores": scores, **task.record()}
    write_text(done, json.dumps(record, indent=1))
    # The model is saved: its last checkpoint, three times as large, has served.
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return SeedResult(scores, commit)


def _check_identity(theirs: Mapping[str, object], ours: Mapping[str, object], path: Path) -> None:
    names = {"encoder_sha256": "encoder", "examples_sha256": "set of examples", "seed": "seed"}
    unequal = [
        names.get(k, "set of settings") for k, value in ours.items() if theirs.get(k) != value
    ]
    if unequal:
        raise InputError(
            f"{path} belongs to a run with another {unequal[0]}; choose another folder=..., or "
            "--from-scratch to set that run aside"
        )


def _run_config(
    config: FinetuningConfig, task: DownstreamTask, steps: int, seed: int, folder: Path
) -> RunConfig:
    """The settings in the form of the training loop: an output of the model is a task to it."""
    backbone, ours = task.encoder.backbone, config.training
    layer = config.model.layer
    return RunConfig(
        folder=str(folder),
        seed=seed,
        encoder=EncoderConfig(
            layers=backbone.num_layers,
            hidden=backbone.hidden_dim,
            heads=backbone.num_heads,
            intermediate=backbone.intermediate_dim,
        ),
        tasks=tuple(
            TaskConfig(name, layer if isinstance(layer, int) else backbone.num_layers)
            for name in task.outputs
        ),
        training=TrainingConfig(
            steps=steps,
            learning_rate=ours.learning_rate,
            schedule=ours.schedule,
            warmup_steps=round(ours.warmup_fraction * steps),
            weight_decay=ours.weight_decay,
            clip_norm=ours.clip_norm,
            accumulation=ours.accumulation,
            precision=ours.precision,
            deterministic=ours.deterministic,
        ),
        monitor=config.monitor,
    )


def _save_model(model: object, folder: Path) -> None:
    """Saves the task model as a preset, whole or not at all."""
    beside = folder / f".model-{os.getpid()}"
    try:
        model.save_to_preset(str(beside))  # type: ignore[attr-defined]
        shutil.rmtree(folder / "model", ignore_errors=True)
        beside.rename(folder / "model")
    finally:
        shutil.rmtree(beside, ignore_errors=True)
