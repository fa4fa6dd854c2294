"""Weights of the tasks' losses, learned with the model."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="hierbert_tf")
class UncertaintyWeights(keras.layers.Layer):
    """One learned log-variance s a task; its loss counts exp(-s) * loss + s / 2.

    That is the form of Kendall et al. for classification: with s = log(sigma^2) the exact
    log-likelihood of a softmax at temperature sigma^2 is approximated by loss / sigma^2 +
    log(sigma). s starts at 0 (each task counts as given) and is never decayed.

    Args:
        tasks: names of the tasks.
        name: name of the layer.
        **kwargs: Keras' layer settings.

    Reference: Kendall, Gal and Cipolla, 2018, https://arxiv.org/abs/1705.07115

    Example:

    >>> layer = UncertaintyWeights(["masked_lm", "next_sentence"])
    >>> losses = {"masked_lm": ops.array(3.0), "next_sentence": ops.array(0.5)}
    >>> float(layer(losses, {"masked_lm": ops.ones(()), "next_sentence": ops.ones(())}))
    3.5
    """

    def __init__(
        self, tasks: Sequence[str], name: str = "uncertainty_weights", **kwargs: Any
    ) -> None:
        kwargs["dtype"] = "float32"  # under a float16 policy exp(-s) would lose the small steps
        super().__init__(name=name, **kwargs)
        self.tasks = tuple(tasks)
        self.log_variances = {
            task: self.add_weight(shape=(), initializer="zeros", name=f"{task}_log_variance")
            for task in self.tasks
        }
        self.built = True

    def call(self, losses: Mapping[str, Any], present: Mapping[str, Any]) -> Any:
        """The total loss.

        Args:
            losses: float32 scalar a task; may be one replica's or micro-batch's share of its loss.
            present: float32 scalar a task, the same share of 1: sums to 1 where the global batch
                has labels of the task, else to 0, so that an absent task's s does not drift.

        Returns:
            float32 scalar.
        """
        total = 0.0
        for task in self.tasks:
            log_variance = self.log_variances[task]
            total = total + ops.exp(-log_variance) * losses[task]
            total = total + 0.5 * log_variance * present[task]
        return total

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for serialisation."""
        return {**super().get_config(), "tasks": list(self.tasks)}
