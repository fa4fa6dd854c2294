"""Checks a probing run's settings before any work is done."""

from hierbert_tf.config_check import Check, require
from hierbert_tf.config_probing import (
    LOGISTIC_REGRESSION,
    MLP,
    SENTENCE_POOLINGS,
    ProbeClassifierConfig,
    ProbedConfig,
    ProbingConfig,
)
from hierbert_tf.errors import InputError

# [CLS] and [SEP] around a token.
SHORTEST_SENTENCE = 3


def check_probing(config: ProbingConfig) -> None:
    """Refuses settings that cannot work.

    Args:
        config: the resolved settings.

    Raises:
        InputError: names the first setting that is wrong, its value and what is expected.

    Example:

    >>> check_probing(ProbingConfig(data="probing", model=ProbedConfig(path="runs/mine")))
    >>> check_probing(ProbingConfig(data="probing"))
    Traceback (most recent call last):
    hierbert_tf.errors.InputError: model.path is empty; name what is to be probed
    """
    if not config.model.path:
        raise InputError("model.path is empty; name what is to be probed")
    if not config.data:
        raise InputError("data is empty; name the folder of the probing tasks")
    require(
        ("tasks", list(config.tasks), _distinct(config.tasks), "without repeats"),
        ("word_level", list(config.word_level), _distinct(config.word_level), "without repeats"),
        ("seed", config.seed, config.seed >= 0, "0 or more"),
        ("seeds", config.seeds, config.seeds >= 1, "at least 1"),
        *_model_checks(config.model),
        *_classifier_checks(config.classifier),
    )


def _model_checks(model: ProbedConfig) -> tuple[Check, ...]:
    return (
        (
            "model.layers",
            list(model.layers),
            _distinct(model.layers) and all(layer >= 0 for layer in model.layers),
            "numbers from 0 (embeddings) up, without repeats, or empty (all)",
        ),
        (
            "model.poolings",
            list(model.poolings),
            bool(model.poolings)
            and _distinct(model.poolings)
            and all(pooling in SENTENCE_POOLINGS for pooling in model.poolings),
            f"one or more of {', '.join(SENTENCE_POOLINGS)}, without repeats",
        ),
        (
            "model.sequence_length",
            model.sequence_length,
            model.sequence_length == 0 or model.sequence_length >= SHORTEST_SENTENCE,
            f"0 (the model's positions) or at least {SHORTEST_SENTENCE}",
        ),
        ("model.batch_tokens", model.batch_tokens, model.batch_tokens >= 1, "at least 1"),
    )


def _classifier_checks(classifier: ProbeClassifierConfig) -> tuple[Check, ...]:
    hidden, dropout = classifier.hidden, classifier.dropout
    rate, regularisation = classifier.learning_rate, classifier.inverse_regularisation
    return (
        (
            "classifier.kind",
            classifier.kind,
            classifier.kind in (MLP, LOGISTIC_REGRESSION),
            f"{MLP} or {LOGISTIC_REGRESSION}",
        ),
        (
            "classifier.hidden",
            list(hidden),
            bool(hidden) and _distinct(hidden) and all(width >= 0 for width in hidden),
            "one or more widths, 0 (no hidden layer) or more, without repeats",
        ),
        (
            "classifier.dropout",
            list(dropout),
            bool(dropout) and _distinct(dropout) and all(0 <= share < 1 for share in dropout),
            "one or more rates from 0 to below 1, without repeats",
        ),
        (
            "classifier.linear_tasks",
            list(classifier.linear_tasks),
            _distinct(classifier.linear_tasks),
            "without repeats",
        ),
        ("classifier.learning_rate", rate, 0 < rate < float("inf"), "above 0"),
        ("classifier.batch_size", classifier.batch_size, classifier.batch_size >= 1, "at least 1"),
        ("classifier.epoch_size", classifier.epoch_size, classifier.epoch_size >= 1, "at least 1"),
        ("classifier.tenacity", classifier.tenacity, classifier.tenacity >= 0, "0 or more"),
        ("classifier.max_epochs", classifier.max_epochs, classifier.max_epochs >= 1, "at least 1"),
        (
            "classifier.inverse_regularisation",
            list(regularisation),
            bool(regularisation)
            and _distinct(regularisation)
            and all(0 < value < float("inf") for value in regularisation),
            "one or more values above 0, without repeats",
        ),
    )


def _distinct(values: tuple) -> bool:
    return len(set(values)) == len(values)
