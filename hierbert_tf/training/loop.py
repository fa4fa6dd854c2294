"""The training loop: steps, evaluations and checkpoints, in an order that a resume can repeat."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from hierbert_tf.config import RunConfig
from hierbert_tf.errors import RunStopped
from hierbert_tf.training.batch_reader import ReadingInterrupted, readable, until_signal
from hierbert_tf.training.checkpoint import checkpoint_path
from hierbert_tf.training.checkpoints import Checkpoints
from hierbert_tf.training.evaluation_step import EvaluationStep
from hierbert_tf.training.gradient_cosine import GradientCosine
from hierbert_tf.training.interruption import Interruption
from hierbert_tf.training.metric_window import MetricWindow
from hierbert_tf.training.monitor.monitor import Monitor
from hierbert_tf.training.optimizer import AdamW
from hierbert_tf.training.step import TrainingStep
from hierbert_tf.training.worker_group import WorkerGroup


@dataclass(frozen=True)
class TrainingResult:
    """How a call of `train` ended.

    Args:
        step: optimizer steps done.
        held_out: metrics on the held-out documents by step, as far as this process (or the
            monitor's CSV from earlier ones) knows; the first is of step 0, the last of the end.
            Step 0 is missing after a resume without a monitor or whose `metrics.csv` was moved
            away; the end is missing after a signal.
        exit_code: 0, or what the process should exit with after a signal (143 SIGTERM, 130 Ctrl-C).
        saved_step: step of the newest checkpoint, where a resume would start; None: there is none.
    """

    step: int
    held_out: dict[int, dict[str, float]] = field(default_factory=dict)
    exit_code: int = 0
    saved_step: int | None = None


def train(
    model: keras.Model,
    optimizer: AdamW,
    train_batches_from: Callable[[int], tf.data.Dataset],
    held_out: Callable[[], tf.data.Dataset] | None,
    config: RunConfig,
    *,
    checkpoints: Checkpoints,
    monitor: Monitor | None = None,
    strategy: tf.distribute.Strategy | None = None,
    workers: WorkerGroup | None = None,
    start_step: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> TrainingResult:
    """Trains until `config.training.steps`, a signal, or a failure.

    At a step that several things fall on they come in this order: log, evaluation, cosines,
    checkpoint. So everything written before a checkpoint belongs to it, and a resumed run repeats
    the rest. What a step does depends on nothing but the checkpoint and the step's number: dropout
    seeds are variables of the model, the batches are a function of the step.

    A signal may leave few seconds: the checkpoint is then written at once and what else the step
    was due is left out, but for the log. A resume does an evaluation that was left out so.

    Several workers each call this with the same arguments, but for the monitor, which is the
    chief's; only the chief writes checkpoints. They all stop at the same step.

    Args:
        model: functional model: dict of int32 features -> dict of logits by task name.
        optimizer: ours.
        train_batches_from: number of steps done -> the batches from the next step on.
        held_out: the held-out batches, each time the same; None: nothing is evaluated.
        config: the run's settings.
        checkpoints: where to save; at `start_step` > 0 that step's is restored first.
        monitor: what is shown and written; None: nothing.
        strategy: the one the model was created under; None: the current one.
        workers: those that train together; None: this one alone.
        start_step: optimizer steps done before.
        callbacks: Keras callbacks; they get each step's metrics (which costs a wait for the
            device), and may set `model.stop_training`.

    Returns:
        The step reached, the held-out metrics, and the exit code.

    Raises:
        RunStopped: a loss was not finite, the data ended, or the disk was full.
        InputError: a checkpoint does not fit, the folder cannot be written, or a shard of the
            prepared text is damaged.
    """
    workers = workers or WorkerGroup()
    # The strategy exists by now: making it would have replaced the handlers.
    interruption = workers.interruption()
    loop = _Loop(model, optimizer, config, monitor, checkpoints, strategy, workers, interruption)
    if workers.is_chief:
        checkpoints.remove_leftovers()
    if start_step:
        checkpoints.at(start_step).restore(model.variables, loop.step.state_variables)
    shown = keras.callbacks.CallbackList(list(callbacks), model=model) if callbacks else None
    with interruption:
        try:
            return loop.run(train_batches_from, held_out, start_step, shown)
        finally:
            if monitor is not None:
                monitor.close()


class _Loop:
    """The state of one call of `train`."""

    def __init__(
        self,
        model: keras.Model,
        optimizer: AdamW,
        config: RunConfig,
        monitor: Monitor | None,
        checkpoints: Checkpoints,
        strategy: tf.distribute.Strategy | None,
        workers: WorkerGroup,
        interruption: Interruption,
    ) -> None:
        settings = config.training
        self.model = model
        self.config = config
        self.monitor = monitor
        self.checkpoints = checkpoints
        self.workers = workers
        self.interruption = interruption
        self.step = TrainingStep(
            model,
            config.tasks,
            optimizer,
            strategy,
            accumulation=settings.accumulation,
            jit_compile=settings.xla,
            uncertainty_weights=settings.uncertainty_weights,
            flags=interruption.names,
        )
        self.evaluation = EvaluationStep(model, config.tasks, strategy, interruption.names)
        self.cosine = (
            GradientCosine(model, config.tasks, strategy)
            if monitor is not None and config.monitor.cosine_every and len(config.tasks) > 1
            else None
        )
        self.held_out: dict[int, dict[str, float]] = {}
        self.window = MetricWindow()
        self.saved_step: int | None = None

    def run(
        self,
        train_batches_from: Callable[[int], tf.data.Dataset],
        held_out: Callable[[], tf.data.Dataset] | None,
        start_step: int,
        callbacks: keras.callbacks.CallbackList | None,
    ) -> TrainingResult:
        every, steps = self.config.monitor, self.config.training.steps
        interruption = self.interruption
        self.saved_step = start_step or None
        if self.monitor is not None:
            self.held_out = self.monitor.on_start(self.model, start_step)
        known = self.workers.from_chief("the evaluations", sorted(self.held_out))
        if start_step not in known and self._evaluation_due(start_step):
            self._evaluate(start_step, held_out)
        if interruption.requested:
            return self._result(start_step)
        if callbacks is not None:
            self.model.stop_training = False
            callbacks.on_train_begin()
        number, batches = start_step, iter(train_batches_from(start_step))
        self.window.resume()
        while number < steps and not interruption.requested:
            if callbacks is not None:
                callbacks.on_train_batch_begin(number)
            batch, waited = self._next(batches, number)
            number += 1
            self.workers.at(2 * number + 1, f"step {number}")
            metrics = self.step(batch, interruption.flags())
            interruption.hear({name: metrics.pop(name) for name in interruption.names})
            self.window.add(number, metrics, waited)
            if self.monitor is not None:
                self.monitor.on_step(number)
            last = number == steps
            if interruption.requested:
                self._save(number)
            if number == start_step + 1:
                # The first step also built the graph: not a time to judge the speed by.
                self._check_finite()
                self.window.restart_clock()
            if last or number % every.log_every == 0:
                self._log(number)
            if self._evaluation_due(number):
                self._evaluate(number, held_out)
            if self.cosine is not None and (last or number % every.cosine_every == 0):
                self._measure_cosines(number, batch)
            if last or number % every.checkpoint_every == 0:
                self._save(number)
            if callbacks is not None:
                callbacks.on_train_batch_end(number - 1, _numbers(metrics))
                if self.model.stop_training:
                    break
        self._check_finite()
        if number > start_step:
            self._save(number)
        if callbacks is not None:
            callbacks.on_train_end()
        if self.monitor is not None:
            self.monitor.on_end(number)
        return self._result(number)

    def _result(self, number: int) -> TrainingResult:
        code = self.interruption.exit_code
        return TrainingResult(number, self.held_out, code, self.saved_step)

    def _next(self, batches: Iterator[Any], number: int) -> tuple[Any, float]:
        """The next batch and the seconds it took to come."""
        started = time.perf_counter()
        self.workers.at(2 * (number + 1), f"reading the batch of step {number + 1}")
        try:
            with readable():
                batch = next(batches)
        except StopIteration:
            raise RunStopped(
                f"The data ended after step {number} of {self.config.training.steps}; "
                "give more text or lower training.steps."
            ) from None
        return batch, time.perf_counter() - started

    def _check_finite(self) -> None:
        """Raises at the first bad step since the last log; the weights are those before it."""
        failed = self.window.first_failure()
        if failed is None:
            return
        step, metrics = failed
        advice = "start in a new run folder (folder=...) with a lower training.learning_rate"
        if self.saved_step is not None:
            path = checkpoint_path(self.checkpoints.folder, self.saved_step)
            advice += f" and --warm-start-from {path}"
        raise RunStopped(
            f"Training stopped at step {step}: {self.step.failure(metrics)}; no such step changed "
            f"the weights: {advice}."
        )

    def _log(self, number: int) -> None:
        self._check_finite()
        if self.monitor is not None:
            self.monitor.on_log(number, self.window.means())
        self.window = MetricWindow()
        self.window.resume()

    def _evaluation_due(self, number: int) -> bool:
        every = self.config.monitor.evaluate_every
        ends = number == 0 or number >= self.config.training.steps
        return ends or bool(every and number % every == 0)

    def _evaluate(self, number: int, held_out: Callable[[], tf.data.Dataset] | None) -> None:
        """Evaluates; a signal before or meanwhile ends that without a result."""
        if held_out is None or self.interruption.requested:
            return
        self._check_finite()
        self.window.pause()
        batches = held_out()
        if self.config.monitor.evaluation_batches:
            batches = batches.take(self.config.monitor.evaluation_batches)
        try:
            self.held_out[number] = self.evaluation.evaluate(
                until_signal(batches, self.interruption, self.workers), self.interruption
            )
        except ReadingInterrupted:
            return
        if self.monitor is not None:
            self.monitor.on_evaluate(number, self.held_out[number])
        self.window.resume()

    def _measure_cosines(self, number: int, batch: Any) -> None:
        if self.interruption.requested:
            return
        self._check_finite()
        self.window.pause()
        if self.cosine is not None and self.monitor is not None:
            self.monitor.on_cosine(number, self.cosine(batch))
        self.window.resume()

    def _save(self, number: int) -> None:
        if number == self.saved_step:
            return
        self._check_finite()
        self.window.pause()
        if self.workers.is_chief:
            self.workers.tick(f"saving step {number}")
            self.checkpoints.save(number, self.model.variables, self.step.state_variables)
        self.saved_step = number
        self.window.resume()


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    """A step's metrics as Python numbers, under the names that Keras callbacks expect."""
    numbers = {name: float(value) for name, value in metrics.items()}
    total = numbers.pop("total/loss", math.nan)
    return {"loss": total, **numbers}
