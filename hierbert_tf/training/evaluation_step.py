"""Losses and accuracies of the tasks over a whole data set, without dropout."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from hierbert_tf.config import TaskConfig
from hierbert_tf.training.batch_rows import Batch, batch_rows
from hierbert_tf.training.interruption import Interruption
from hierbert_tf.training.losses import weighted_sums
from hierbert_tf.training.step import raised_flags


class EvaluationStep:
    """Sums losses and right answers over batches; divides once at the end.

    So neither the size of the batches nor the number of replicas changes the result.

    Args:
        model: functional model: dict of int32 features -> dict of logits by task name.
        tasks: the tasks; `name` and `weight` are read.
        strategy: the one the model was created under; None: the current one.
        flags: names of flags that any worker may raise, see `SharedInterruption`.
    """

    def __init__(
        self,
        model: keras.Model,
        tasks: Sequence[TaskConfig],
        strategy: tf.distribute.Strategy | None = None,
        flags: Sequence[str] = (),
    ) -> None:
        self.model = model
        self.flags = tuple(flags)
        self.tasks = tuple(tasks)
        self.strategy = strategy or tf.distribute.get_strategy()
        self._function: Any = None

    def evaluate(
        self, batches: Iterable[Batch], interruption: Interruption | None = None
    ) -> dict[str, float]:
        """The metrics over all batches.

        Args:
            batches: `(features, labels, weights)`, global batches of any size.
            interruption: gives this worker's flags and hears those of all.

        Returns:
            `<task>/loss` and `<task>/accuracy`, weighted means over the whole set (NaN without any
            label), `<task>/weight`, the sum of weights, and `total/loss`, the losses times the
            tasks' weights.
        """
        totals: dict[str, float] = {}
        for batch in batches:
            sums = self(batch, interruption.flags() if interruption is not None else None)
            flags = {name: sums.pop(name) for name in self.flags}
            if interruption is not None:
                interruption.hear(flags)
            for name, value in sums.items():
                # In double precision: float32 sums over 10^8 tokens would lose the last batches.
                totals[name] = totals.get(name, 0.0) + float(value)
        metrics = {}
        for task in self.tasks:
            weight = totals.get(f"{task.name}/weight", 0.0)
            for kind in ("loss", "accuracy"):
                total = totals.get(f"{task.name}/{kind}", 0.0)
                metrics[f"{task.name}/{kind}"] = total / weight if weight else float("nan")
            metrics[f"{task.name}/weight"] = weight
        metrics["total/loss"] = sum(
            task.weight * metrics[f"{task.name}/loss"] for task in self.tasks if task.weight
        )
        return metrics

    def __call__(self, batch: Batch, flags: Any = None) -> dict[str, tf.Tensor]:
        """Sums over one batch.

        Args:
            batch: a global batch of any size.
            flags: float32 `[number of flags]`, 1 where this worker raises one; None: it has none.

        Returns:
            float32 scalars: `<task>/loss`, `<task>/accuracy` (both *sums* of weighted values),
            `<task>/weight`, and the flags' sums over the replicas.
        """
        if self._function is None:
            specs = tf.nest.map_structure(
                lambda tensor: tf.TensorSpec([None] * len(tensor.shape), tensor.dtype), batch
            )
            vector = tf.TensorSpec([len(self.flags)], tf.float32)
            self._function = tf.function(self._run, input_signature=[specs, vector])
        return dict(self._function(batch, raised_flags(self.flags, flags)))

    def _run(self, batch: Batch, flags: tf.Tensor) -> dict[str, tf.Tensor]:
        results = self.strategy.run(self._replica_sums, args=(batch, flags))
        return tf.nest.map_structure(
            lambda value: self.strategy.experimental_local_results(value)[0], results
        )

    def _replica_sums(self, batch: Batch, flags: tf.Tensor) -> dict[str, tf.Tensor]:
        context = tf.distribute.get_replica_context()
        replicas = self.strategy.num_replicas_in_sync
        features, labels, weights = batch_rows(batch, context.replica_id_in_sync_group, replicas)
        logits = self.model(features, training=False)
        sums = {}
        for task in self.tasks:
            name = task.name
            loss, weight, correct = weighted_sums(labels[name], logits[name], weights[name])
            sums[f"{name}/loss"] = loss
            sums[f"{name}/accuracy"] = correct
            sums[f"{name}/weight"] = weight
        sums |= {name: tf.identity(flags[i]) for i, name in enumerate(self.flags)}
        # In one collective, not one a number.
        return context.all_reduce(tf.distribute.ReduceOp.SUM, sums) if replicas > 1 else sums
