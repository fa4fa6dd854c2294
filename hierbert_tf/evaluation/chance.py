"""What a task scores without reading the text: the level that a model has to beat."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hierbert_tf.tasks import PretrainingTask


@dataclass(frozen=True)
class Chance:
    """Loss and accuracy of the best answer that ignores the input.

    Args:
        loss: nats an item.
        accuracy: share of the items.
        rule: how it answers, for a person.
    """

    loss: float
    accuracy: float
    rule: str


def chance_levels(
    tasks: Sequence[PretrainingTask], batches: Iterable[Any], token_counts: np.ndarray
) -> dict[str, Chance]:
    """The chance level of each task on a set of batches.

    A task of classes: always the majority class of these batches, and the loss of their shares. A
    task of tokens: the most frequent token of the *training* text, and the loss of its unigram
    distribution (one added to each count).

    Args:
        tasks: the tasks.
        batches: `(features, labels, weights)`.
        token_counts: int [V], of the training text.

    Returns:
        A level for each task that has any labelled item.

    Example:

    >>> from hierbert_tf.config import TaskConfig
    >>> from hierbert_tf.tasks import build_tasks
    >>> batch = ({}, {"next_sentence": np.array([1, 1, 1, 0])}, {"next_sentence": np.ones(4)})
    >>> tasks = build_tasks([TaskConfig("next_sentence", 1)], 2)
    >>> chance_levels(tasks, [batch], np.zeros(5))["next_sentence"].accuracy
    0.75
    """
    sizes = {task.name: task.num_classes or len(token_counts) for task in tasks}
    counts = {name: np.zeros(size) for name, size in sizes.items()}
    for _, labels, weights in batches:
        for name, size in sizes.items():
            counts[name] += np.bincount(
                np.ravel(labels[name]), weights=np.ravel(weights[name]), minlength=size
            )
    levels = {}
    for task in tasks:
        labelled = counts[task.name]
        total = labelled.sum()
        if not total:
            continue
        if task.num_classes:
            shares, rule = labelled / total, "majority class"
        else:
            shares, rule = (token_counts + 1) / (token_counts + 1).sum(), "unigram"
        seen = labelled > 0
        levels[task.name] = Chance(
            loss=float(-(labelled[seen] * np.log(shares[seen])).sum() / total),
            accuracy=float(labelled[np.argmax(shares)] / total),
            rule=rule,
        )
    return levels
