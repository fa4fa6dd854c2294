"""Checks a fine-tuning run's settings before any work is done."""

from hierbert_tf.config_check import SHORTEST_SEQUENCE, monitor_checks, optimisation_checks, require
from hierbert_tf.config_finetuning import CLASSIFICATION, QUESTION_ANSWERING, FinetuningConfig
from hierbert_tf.errors import InputError


def check_finetuning(config: FinetuningConfig) -> None:
    """Refuses settings that cannot work.

    Args:
        config: the resolved settings.

    Raises:
        InputError: names the first setting that is wrong, its value and what is expected.

    Example:

    >>> from hierbert_tf.config_finetuning import LabelledDataConfig
    >>> check_finetuning(FinetuningConfig(data=LabelledDataConfig(train=("train.tsv",))))
    """
    data, model, training = config.data, config.model, config.training
    require(
        (
            "task",
            config.task,
            config.task in (CLASSIFICATION, QUESTION_ANSWERING),
            f"{CLASSIFICATION} or {QUESTION_ANSWERING}",
        ),
        ("seed", config.seed, config.seed >= 0, "0 or more"),
        ("seeds", config.seeds, config.seeds >= 1, "at least 1"),
        ("data.train_examples", data.train_examples, data.train_examples >= 0, "0 (all) or more"),
        (
            "data.sequence_length",
            data.sequence_length,
            data.sequence_length >= SHORTEST_SEQUENCE,
            f"at least {SHORTEST_SEQUENCE}",
        ),
        ("data.length_multiple", data.length_multiple, data.length_multiple >= 0, "0 or more"),
        ("data.stride", data.stride, data.stride >= 1, "at least 1"),
        (
            "data.max_question_length",
            data.max_question_length,
            1 <= data.max_question_length <= data.sequence_length - 4,
            "at least 1 and at most data.sequence_length - 4",
        ),
        ("data.null_windows", data.null_windows, 0 <= data.null_windows <= 1, "from 0 to 1"),
        ("model.pooling", model.pooling, model.pooling in ("cls", "mean"), "cls or mean"),
        ("model.dropout", model.dropout, 0 <= model.dropout < 1, "from 0 to below 1"),
        ("model.lora_rank", model.lora_rank, model.lora_rank >= 0, "0 (none) or more"),
        (
            "model.max_answer_length",
            model.max_answer_length,
            model.max_answer_length >= 1,
            "at least 1",
        ),
        ("model.n_best", model.n_best, model.n_best >= 1, "at least 1"),
        ("training.epochs", training.epochs, training.epochs > 0, "above 0"),
        (
            "training.layer_decay",
            training.layer_decay,
            0 < training.layer_decay <= 1,
            "above 0 and at most 1",
        ),
        (
            "training.warmup_fraction",
            training.warmup_fraction,
            0 <= training.warmup_fraction <= 1,
            "from 0 to 1",
        ),
        (
            "monitor.evaluation_batches",
            config.monitor.evaluation_batches,
            config.monitor.evaluation_batches >= 0,
            "0 (none) or more",
        ),
        *monitor_checks(config.monitor),
        *optimisation_checks(training, data.batch_size),
    )
    if not data.train:
        raise InputError("data.train is empty; name the files to train on")
