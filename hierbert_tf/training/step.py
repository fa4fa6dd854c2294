"""One training step for one device, several replicas and several workers.

Dimension letters: B batch, T sequence, P masked positions, C classes (or V vocabulary).
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from hierbert_tf.config import TaskConfig
from hierbert_tf.data.features import PADDING_MASK
from hierbert_tf.errors import InputError
from hierbert_tf.training.batch_rows import Batch, batch_rows
from hierbert_tf.training.loss_scale import DynamicLossScale
from hierbert_tf.training.losses import weighted_sums
from hierbert_tf.training.optimizer import AdamW
from hierbert_tf.training.uncertainty_weights import UncertaintyWeights


def raised_flags(names: Sequence[str], flags: Any) -> tf.Tensor:
    """This worker's flags as a tensor, float32 `[number of names]`; zeros for None.

    Example:

    >>> raised_flags(["stop"], None).numpy().tolist(), raised_flags(["stop"], [1]).numpy().tolist()
    ([0.0], [1.0])
    """
    return tf.zeros([len(names)]) if flags is None else tf.constant(flags, tf.float32)


class TrainingStep:
    """Losses, gradients and one update of the weights, for a global batch.

    Every replica receives the whole global batch and takes its own rows, so that the sums of
    weights that the losses are divided by need no communication and are the same everywhere:
    loss = sum over tasks of weight * (sum of weighted losses / sum of weights), both sums over the
    global batch. The gradients are summed over micro-batches and replicas, clipped, applied once.

    A loss that is not finite changes nothing: the step's `ok` is then 0, and stays 0 in all later
    steps, so that a caller may look at it every few steps and still finds the weights as they were
    before (`failure` names the task). With `mixed_float16` a gradient that overflows is skipped and
    halves the loss scale; in the other precisions it counts as a failure.

    Args:
        model: functional model: dict of int32 features -> dict of logits `[..., C]` by task name.
        tasks: the tasks; `name` and `weight` are read.
        optimizer: built here, inside the strategy's scope.
        strategy: the one the model was created under; None: the current one.
        accumulation: micro-batches; times the replicas it must divide the batch size.
        jit_compile: compile with XLA (one compilation for every shape of a batch).
        uncertainty_weights: learn the tasks' weights; the fixed weights then multiply the losses
            before.
        flags: names of flags that any worker may raise, see `SharedInterruption`; their sums over
            the replicas are among the metrics.

    Raises:
        InputError: XLA with several replicas, or a batch that does not divide.
    """

    def __init__(
        self,
        model: keras.Model,
        tasks: Sequence[TaskConfig],
        optimizer: AdamW,
        strategy: tf.distribute.Strategy | None = None,
        accumulation: int = 1,
        jit_compile: bool = False,
        uncertainty_weights: bool = False,
        flags: Sequence[str] = (),
    ) -> None:
        self.model = model
        self.flags = tuple(flags)
        self.tasks = tuple(tasks)
        self.optimizer = optimizer
        self.strategy = strategy or tf.distribute.get_strategy()
        self.accumulation = accumulation
        self.jit_compile = jit_compile
        self.replicas = self.strategy.num_replicas_in_sync
        if jit_compile and self.replicas > 1:
            raise InputError(
                f"training.xla is on with {self.replicas} replicas, but TensorFlow compiles the "
                "step for one device only; set training.xla to false or run on one device."
            )
        self.trained = tuple(task for task in self.tasks if task.weight)
        if not self.trained:
            raise InputError("tasks: every weight is 0, so nothing can be learnt; raise one.")
        with self.strategy.scope():
            self.uncertainty = (
                UncertaintyWeights([task.name for task in self.trained])
                if uncertainty_weights
                else None
            )
            self.loss_scale = (
                DynamicLossScale() if model.dtype_policy.compute_dtype == "float16" else None
            )
            self.trainable_variables = list(model.trainable_variables)
            if self.uncertainty is not None:
                self.trainable_variables += self.uncertainty.trainable_variables
            if not optimizer.built:
                optimizer.build(self.trainable_variables)
        self._ok = tf.constant(1.0)
        self._function: Any = None

    @property
    def state_variables(self) -> list[Any]:
        """All state outside the model, in a fixed order: what a checkpoint must hold besides it."""
        variables = list(self.optimizer.variables)
        if self.uncertainty is not None:
            variables += self.uncertainty.variables
        if self.loss_scale is not None:
            variables += self.loss_scale.variables
        return variables

    def __call__(self, batch: Batch, flags: Any = None) -> dict[str, tf.Tensor]:
        """Trains on one global batch.

        Args:
            batch: `(features, labels, weights)`: dicts of int32 `[B, T]`; int32 `[B]`, `[B, P]` or
                `[B, T]` by task name; float32 of the labels' shapes.
            flags: float32 `[number of flags]`, 1 where this worker raises one; None: it has none.

        Returns:
            float32 scalars: `total/loss`; for each task `<task>/loss`, `<task>/accuracy`,
            `<task>/weight` (its sum of weights; loss and accuracy are means over it);
            `gradient_norm` (before clipping), `learning_rate`, `tokens` (without padding), `ok`;
            `<task>/uncertainty_weight` (exp(-s)), `loss_scale` and the flags where there are such.
        """
        if self._function is None:
            self._function = self._trace(batch)
        metrics = self._function(batch, self._ok, raised_flags(self.flags, flags))
        self._ok = metrics["ok"]
        return metrics

    def failure(self, metrics: dict[str, Any]) -> str | None:
        """What was not finite in a step, as part of a sentence; None if all was well.

        Args:
            metrics: what the call returned; of the first step whose `ok` is 0.
        """
        if float(metrics["ok"]):
            return None
        bad = [t.name for t in self.tasks if not _is_finite(metrics[f"{t.name}/loss"])]
        if bad:
            values = ", ".join(f"{name} ({float(metrics[f'{name}/loss'])})" for name in bad)
            return f"the loss of {values} is not finite"
        return (
            f"the gradient is not finite (norm {float(metrics['gradient_norm'])}), though each "
            "task's loss is"
        )

    def _trace(self, batch: Batch) -> Any:
        size = int(batch[0][PADDING_MASK].shape[0])
        if size % (self.replicas * self.accumulation):
            raise InputError(
                f"a batch of {size} sequences does not divide into {self.replicas} replicas x "
                f"{self.accumulation} micro-batches; change data.batch_size or "
                "training.accumulation."
            )
        if self.jit_compile or isinstance(self.strategy, tf.distribute.TPUStrategy):
            return tf.function(self._run, jit_compile=self.jit_compile or None)
        # One trace for all lengths of a batch.
        specs = tf.nest.map_structure(
            lambda tensor: tf.TensorSpec([None] * len(tensor.shape), tensor.dtype), batch
        )
        scalar, vector = (tf.TensorSpec(shape, tf.float32) for shape in ([], [len(self.flags)]))
        return tf.function(self._run, input_signature=[specs, scalar, vector])

    def _run(self, batch: Batch, ok: tf.Tensor, flags: tf.Tensor) -> dict[str, tf.Tensor]:
        results = self.strategy.run(self._replica_step, args=(batch, ok, flags))
        return tf.nest.map_structure(
            lambda value: self.strategy.experimental_local_results(value)[0], results
        )

    def _replica_step(self, batch: Batch, ok: tf.Tensor, flags: tf.Tensor) -> dict[str, tf.Tensor]:
        features, _, weights = batch
        weight_sums = {t.name: tf.reduce_sum(weights[t.name]) for t in self.tasks}
        context = tf.distribute.get_replica_context()
        own = batch_rows(batch, context.replica_id_in_sync_group, self.replicas)
        gradients, sums = self._accumulate(own, weight_sums)
        sums |= {name: tf.identity(flags[i]) for i, name in enumerate(self.flags)}
        if self.replicas > 1:
            sums = context.all_reduce(tf.distribute.ReduceOp.SUM, sums)
        learning_rate = tf.cast(self.optimizer.learning_rate, tf.float32)
        losses_finite = tf.reduce_all(tf.math.is_finite(tf.stack(tf.nest.flatten(sums))))
        permitted = tf.logical_and(ok > 0.0, losses_finite)
        factor = 1.0 / self.loss_scale.scale if self.loss_scale is not None else 1.0
        norm = self.optimizer.apply(
            gradients, self.trainable_variables, factor=factor, permitted=permitted
        )
        finite = tf.math.is_finite(norm)
        metrics = {
            "total/loss": sums["total"],
            "gradient_norm": norm,
            "learning_rate": learning_rate,
            "tokens": tf.cast(tf.reduce_sum(features[PADDING_MASK]), tf.float32),
        }
        if self.loss_scale is not None:
            metrics["loss_scale"] = tf.identity(self.loss_scale.scale)
            self.loss_scale.update(finite)
            finite = tf.constant(True)
        metrics["ok"] = tf.cast(tf.logical_and(permitted, finite), tf.float32)
        metrics |= {name: sums[name] for name in self.flags}
        for task in self.tasks:
            weight = weight_sums[task.name]
            metrics[f"{task.name}/loss"] = sums[f"{task.name}/loss"]
            metrics[f"{task.name}/accuracy"] = tf.math.divide_no_nan(
                sums[f"{task.name}/correct"], weight
            )
            metrics[f"{task.name}/weight"] = weight
        if self.uncertainty is not None:
            for name, log_variance in self.uncertainty.log_variances.items():
                metrics[f"{name}/uncertainty_weight"] = tf.exp(-log_variance)
        return metrics

    def _accumulate(self, own: Batch, weight_sums: dict[str, tf.Tensor]) -> tuple[Any, Any]:
        """Gradients and metric sums of this replica's rows, summed over its micro-batches."""
        if self.accumulation == 1:
            return self._gradients(own, weight_sums)
        names = [f"{task.name}/{kind}" for task in self.tasks for kind in ("loss", "correct")]
        gradients = [tf.zeros(v.shape, tf.float32) for v in self.trainable_variables]
        sums = {name: tf.constant(0.0) for name in ["total", *names]}

        def body(part: tf.Tensor, gradients: Any, sums: Any) -> tuple[Any, Any, Any]:
            micro = batch_rows(own, part, self.accumulation)
            more, more_sums = self._gradients(micro, weight_sums)
            gradients = [
                total if gradient is None else total + tf.cast(gradient, tf.float32)
                for total, gradient in zip(gradients, more, strict=True)
            ]
            return part + 1, gradients, {name: sums[name] + more_sums[name] for name in sums}

        # A loop and not a chain of ops: only so is one micro-batch's memory free before the next.
        _, gradients, sums = tf.while_loop(
            lambda part, *_: part < self.accumulation,
            body,
            (tf.constant(0), gradients, sums),
            parallel_iterations=1,
            maximum_iterations=self.accumulation,
        )
        return gradients, sums

    def _gradients(self, rows: Batch, weight_sums: dict[str, tf.Tensor]) -> tuple[Any, Any]:
        """Gradients and metric sums of some rows; losses already divided by the global sums."""
        features, labels, weights = rows
        sums = {}
        with tf.GradientTape() as tape:
            logits = self.model(features, training=True)
            for task in self.tasks:
                name = task.name
                loss, _, correct = weighted_sums(labels[name], logits[name], weights[name])
                sums[f"{name}/loss"] = tf.math.divide_no_nan(loss, weight_sums[name])
                sums[f"{name}/correct"] = correct
            total = sum_of_losses(self.trained, sums)
            if self.uncertainty is not None:
                share = 1.0 / (self.replicas * self.accumulation)
                total = self.uncertainty(
                    {t.name: t.weight * sums[f"{t.name}/loss"] for t in self.trained},
                    {t.name: share * tf.sign(weight_sums[t.name]) for t in self.trained},
                )
            sums["total"] = total
            scaled = total * self.loss_scale.scale if self.loss_scale is not None else total
        gradients = tape.gradient(scaled, [_tensor_variable(v) for v in self.trainable_variables])
        return [None if g is None else tf.convert_to_tensor(g) for g in gradients], sums


def sum_of_losses(tasks: Sequence[TaskConfig], sums: dict[str, tf.Tensor]) -> tf.Tensor:
    """Sum of weight * loss over the tasks.

    Args:
        tasks: the tasks that count.
        sums: `<task>/loss` scalars.
    """
    return tf.add_n([task.weight * sums[f"{task.name}/loss"] for task in tasks])


def _tensor_variable(variable: Any) -> Any:
    return variable.value if isinstance(variable, keras.Variable) else variable


def _is_finite(value: Any) -> bool:
    return bool(tf.math.is_finite(value))
