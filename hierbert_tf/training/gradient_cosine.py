"""Do the tasks pull a layer the same way? The cosine between their gradients, layer by layer."""

import itertools
import re
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from hierbert_tf.config import TaskConfig
from hierbert_tf.training.batch_rows import Batch
from hierbert_tf.training.losses import weighted_sums

Cosines = dict[tuple[str, str], dict[str, float]]


def shared_layers(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """The layers that tasks share, bottom up: `embeddings`, `encoder_block_1`, and so on.

    Args:
        model: a model that holds layers of these names, at any depth of nested models.
    """
    found: dict[str, keras.layers.Layer] = {}

    def walk(layer: Any) -> None:
        for child in getattr(layer, "layers", ()):
            if re.fullmatch(r"embeddings|encoder_block_\d+", child.name):
                found[child.name] = child
            else:
                walk(child)

    walk(model)
    numbers = {name: int(re.sub(r"\D", "", name) or 0) for name in found}
    return dict(sorted(found.items(), key=lambda item: numbers[item[0]]))


class GradientCosine:
    """For each pair of tasks and each shared layer, the cosine between the two losses' gradients.

    Near 1 the tasks agree on that layer, near 0 they do not care for each other, below 0 they
    conflict. Dropout is off, so the measurement neither adds its noise nor advances its seeds; the
    tasks' weights do not matter to a cosine. On several replicas each computes the whole batch.

    Args:
        model: functional model: dict of int32 features -> dict of logits by task name.
        tasks: the tasks, by name.
        strategy: the one the model was created under; None: the current one.

    Reference: Yu et al., 2020, https://arxiv.org/abs/2001.06782
    """

    def __init__(
        self,
        model: keras.Model,
        tasks: Sequence[TaskConfig],
        strategy: tf.distribute.Strategy | None = None,
    ) -> None:
        self.model = model
        self.names = tuple(task.name for task in tasks)
        self.pairs = tuple(itertools.combinations(self.names, 2))
        self.strategy = strategy or tf.distribute.get_strategy()
        self.layers = {
            name: layer.trainable_variables for name, layer in shared_layers(model).items()
        }
        self._function: Any = None

    def __call__(self, batch: Batch) -> Cosines:
        """The cosines on one batch.

        Args:
            batch: `(features, labels, weights)` as for training.

        Returns:
            `{(task, other): {layer: cosine}}`, pairs in the tasks' order; NaN where one of the two
            gradients does not reach the layer or is zero.
        """
        if self._function is None:
            specs = tf.nest.map_structure(
                lambda tensor: tf.TensorSpec([None] * len(tensor.shape), tensor.dtype), batch
            )
            self._function = tf.function(self._run, input_signature=[specs])
        table = self._function(batch).numpy()
        return {
            pair: dict(zip(self.layers, map(float, row), strict=True))
            for pair, row in zip(self.pairs, table, strict=True)
        }

    def _run(self, batch: Batch) -> tf.Tensor:
        result = self.strategy.run(self._cosines, args=(batch,))
        return self.strategy.experimental_local_results(result)[0]

    def _cosines(self, batch: Batch) -> tf.Tensor:
        features, labels, weights = batch
        losses = {}
        with tf.GradientTape(persistent=True) as tape:
            logits = self.model(features, training=False)
            for name in self.names:
                loss, weight, _ = weighted_sums(labels[name], logits[name], weights[name])
                losses[name] = tf.math.divide_no_nan(loss, weight)
        variables = [v.value for group in self.layers.values() for v in group]
        gradients = {}
        for name in self.names:
            found = iter(tape.gradient(losses[name], variables))
            gradients[name] = {
                layer: [next(found) for _ in group] for layer, group in self.layers.items()
            }
        del tape
        return tf.stack(
            [
                tf.stack(
                    [_cosine(gradients[a][layer], gradients[b][layer]) for layer in self.layers]
                )
                for a, b in self.pairs
            ]
        )


def _cosine(first: Sequence[Any], second: Sequence[Any]) -> tf.Tensor:
    """Cosine between two lists of gradients, each taken as one long vector; NaN if one is zero."""

    def dot(xs: Sequence[Any], ys: Sequence[Any]) -> tf.Tensor:
        products = [
            tf.reduce_sum(tf.convert_to_tensor(x) * tf.convert_to_tensor(y))
            for x, y in zip(xs, ys, strict=True)
            if x is not None and y is not None
        ]
        return tf.add_n(products) if products else tf.constant(0.0)

    norms = tf.sqrt(dot(first, first)) * tf.sqrt(dot(second, second))
    return tf.where(norms > 0.0, dot(first, second) / norms, float("nan"))
