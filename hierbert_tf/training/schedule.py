"""The learning rate as a function of the step: linear warmup, then linear, cosine or no decay."""

from typing import Any

import keras
from keras import ops

from hierbert_tf.config import TrainingConfig
from hierbert_tf.errors import InputError

DECAYS = ("linear", "cosine", "constant")


@keras.saving.register_keras_serializable(package="hierbert_tf")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warmup to a peak, then a decay to 0 at the last step (or none).

    Step 0 takes peak / warmup_steps, not 0, so that no step is wasted; step `warmup_steps - 1`
    takes the peak; step `steps` would take 0. A warmup
    as long as the run leaves no step to decay. Keras' `PolynomialDecay` has no warmup and its
    `CosineDecay` starts at exactly 0, hence this class; the decays agree with theirs.

    Args:
        peak: highest learning rate.
        steps: optimizer steps of the whole run.
        warmup_steps: steps of the warmup; 0 starts at the peak.
        decay: `linear`, `cosine` or `constant`.

    Raises:
        InputError: an unknown decay, or a warmup that is longer than the run.

    Example:

    >>> schedule = WarmupSchedule(peak=1.0, steps=10, warmup_steps=2)
    >>> [round(float(schedule(step)), 3) for step in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """

    def __init__(
        self, peak: float, steps: int, warmup_steps: int = 0, decay: str = "linear"
    ) -> None:
        super().__init__()
        if decay not in DECAYS:
            raise InputError(
                f"training.schedule is {decay!r}; it must be one of {', '.join(DECAYS)}."
            )
        if not 0 <= warmup_steps <= steps:
            raise InputError(
                f"training.warmup_steps is {warmup_steps}; it must be from 0 to training.steps "
                f"{steps}."
            )
        self.peak = peak
        self.steps = steps
        self.warmup_steps = warmup_steps
        self.decay = decay

    @classmethod
    def from_settings(cls, settings: TrainingConfig) -> "WarmupSchedule":
        """The schedule that the `training` section of a configuration describes."""
        return cls(settings.learning_rate, settings.steps, settings.warmup_steps, settings.schedule)

    def __call__(self, step: Any) -> Any:
        """Learning rate (float32 scalar) of `step`, the number of steps already done."""
        step = ops.cast(step, "float32")
        progress = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        progress = ops.clip(progress, 0.0, 1.0)
        if self.decay == "linear":
            rate = 1.0 - progress
        elif self.decay == "cosine":
            rate = 0.5 * (1.0 + ops.cos(ops.cast(3.141592653589793, "float32") * progress))
        else:
            rate = ops.ones_like(step)
        if self.warmup_steps:
            rate = ops.where(
                step < self.warmup_steps, (step + 1.0) / float(self.warmup_steps), rate
            )
        return self.peak * rate

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for serialisation."""
        return {
            "peak": self.peak,
            "steps": self.steps,
            "warmup_steps": self.warmup_steps,
            "decay": self.decay,
        }
