"""Checks a run's settings against each other before any work is done."""

from hierbert_tf.config import MonitorConfig, RunConfig, TrainingConfig
from hierbert_tf.config_finetuning import FinetuningTrainingConfig
from hierbert_tf.errors import InputError
from hierbert_tf.tasks import build_tasks

# [CLS] A [SEP] B [SEP] with a few tokens in each segment.
SHORTEST_SEQUENCE = 8


Check = tuple[str, object, bool, str]


def require(*checks: Check) -> None:
    """Raises at the first setting that does not fit.

    Args:
        *checks: key, value, whether it fits, and what is expected.

    Raises:
        InputError: one does not fit.

    Example:

    >>> require(("training.steps", 5, True, "at least 1"), ("data.stride", 0, False, "at least 1"))
    Traceback (most recent call last):
    hierbert_tf.errors.InputError: data.stride is 0, but must be at least 1
    """
    for key, value, fits, expected in checks:
        if not fits:
            raise InputError(f"{key} is {value}, but must be {expected}")


def optimisation_checks(
    training: TrainingConfig | FinetuningTrainingConfig, batch_size: int
) -> tuple[Check, ...]:
    """Checks of the settings that pre-training and fine-tuning share.

    Args:
        training: the section `training`.
        batch_size: sequences a step.
    """
    rate, parts = training.learning_rate, training.accumulation
    return (
        ("training.accumulation", parts, parts >= 1, "at least 1"),
        (
            "data.batch_size",
            batch_size,
            batch_size >= 1 and batch_size % max(1, parts) == 0,
            f"a multiple of training.accumulation {parts}",
        ),
        ("training.learning_rate", rate, 0 < rate < float("inf"), "above 0"),
        ("training.weight_decay", training.weight_decay, training.weight_decay >= 0, "0 or more"),
        ("training.clip_norm", training.clip_norm, training.clip_norm >= 0, "0 (none) or more"),
        (
            "training.schedule",
            training.schedule,
            training.schedule in ("linear", "cosine", "constant"),
            "linear, cosine or constant",
        ),
        (
            "training.precision",
            training.precision,
            training.precision in ("float32", "mixed_bfloat16", "mixed_float16"),
            "float32, mixed_bfloat16 or mixed_float16",
        ),
    )


def monitor_checks(monitor: MonitorConfig) -> tuple[Check, ...]:
    """Checks of how a run is watched, in pre-training and fine-tuning.

    Args:
        monitor: the section `monitor`.
    """
    return (
        ("monitor.log_every", monitor.log_every, monitor.log_every >= 1, "at least 1"),
        (
            "monitor.evaluate_every",
            monitor.evaluate_every,
            monitor.evaluate_every >= 0,
            "0 or more",
        ),
        ("monitor.cosine_every", monitor.cosine_every, monitor.cosine_every >= 0, "0 or more"),
        (
            "monitor.checkpoint_every",
            monitor.checkpoint_every,
            monitor.checkpoint_every >= 1,
            "at least 1",
        ),
        (
            "monitor.keep_checkpoints",
            monitor.keep_checkpoints,
            monitor.keep_checkpoints >= 1,
            "at least 1",
        ),
    )


def check_config(config: RunConfig) -> None:
    """Refuses settings that cannot work together.

    Args:
        config: the resolved settings.

    Raises:
        InputError: names the first setting that is wrong, its value and what is expected.

    Example:

    >>> check_config(RunConfig())
    """
    encoder, data, training = config.encoder, config.data, config.training
    corpus = config.corpus
    require(
        ("encoder.layers", encoder.layers, encoder.layers >= 1, "at least 1"),
        ("encoder.heads", encoder.heads, encoder.heads >= 1, "at least 1"),
        (
            "encoder.hidden",
            encoder.hidden,
            encoder.hidden >= 1 and encoder.hidden % max(1, encoder.heads) == 0,
            f"a multiple of encoder.heads {encoder.heads}",
        ),
        ("encoder.intermediate", encoder.intermediate, encoder.intermediate >= 0, "0 or more"),
        ("encoder.dropout", encoder.dropout, 0 <= encoder.dropout < 1, "from 0 to below 1"),
        (
            "encoder.attention_dropout",
            encoder.attention_dropout,
            0 <= encoder.attention_dropout < 1,
            "from 0 to below 1",
        ),
        (
            "data.sequence_length",
            data.sequence_length,
            SHORTEST_SEQUENCE <= data.sequence_length <= encoder.positions,
            f"from {SHORTEST_SEQUENCE} to encoder.positions {encoder.positions}",
        ),
        ("data.length_multiple", data.length_multiple, data.length_multiple >= 0, "0 or more"),
        ("data.window_shards", data.window_shards, data.window_shards >= 1, "at least 1"),
        ("training.steps", training.steps, training.steps >= 1, "at least 1"),
        (
            "training.warmup_steps",
            training.warmup_steps,
            0 <= training.warmup_steps <= training.steps,
            f"from 0 to training.steps {training.steps}",
        ),
        (
            "corpus.held_out_fraction",
            corpus.held_out_fraction,
            0 < corpus.held_out_fraction < 1,
            "between 0 and 1",
        ),
        ("corpus.shard_tokens", corpus.shard_tokens, corpus.shard_tokens >= 1, "at least 1"),
        (
            "monitor.evaluation_batches",
            config.monitor.evaluation_batches,
            config.monitor.evaluation_batches >= 0,
            "0 (all) or more",
        ),
        *monitor_checks(config.monitor),
        *optimisation_checks(training, data.batch_size),
    )
    if not corpus.sources:
        raise InputError("corpus.sources is empty; name at least one text source")
    build_tasks(config.tasks, encoder.layers)
