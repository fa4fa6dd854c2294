"""The factor that keeps float16 gradients from vanishing."""

import tensorflow as tf


class DynamicLossScale:
    """Loss scale that halves when a gradient overflows and doubles after a while without.

    Keras' `LossScaleOptimizer` does the same, but unscales in a pass of its own and branches around
    the update, where replicas cannot meet; here the inverse scale joins the clipping factor of
    `AdamW.apply`, which skips a gradient that is not finite by itself.

    Args:
        initial: first scale.
        growth_steps: updates without overflow after which the scale doubles.

    Example:

    >>> scale = DynamicLossScale(initial=8.0, growth_steps=2)
    >>> scales = []
    >>> for finite in (True, True, False):
    ...     scale.update(tf.constant(finite))
    ...     scales.append(float(scale.scale))
    >>> scales
    [8.0, 16.0, 8.0]
    """

    def __init__(self, initial: float = 2.0**15, growth_steps: int = 2000) -> None:
        self.growth_steps = growth_steps
        only_first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.scale = tf.Variable(
            initial, trainable=False, dtype=tf.float32, aggregation=only_first, name="loss_scale"
        )
        self.good_steps = tf.Variable(
            0, trainable=False, dtype=tf.int64, aggregation=only_first, name="good_steps"
        )

    @property
    def variables(self) -> list[tf.Variable]:
        """The state that a checkpoint must hold."""
        return [self.scale, self.good_steps]

    def update(self, finite: tf.Tensor) -> None:
        """Takes note of one step.

        Args:
            finite: bool scalar: the (scaled) gradient was finite.
        """
        good_steps = tf.where(finite, self.good_steps + 1, 0)
        grows = good_steps >= self.growth_steps
        scale = tf.where(grows, self.scale * 2.0, self.scale)
        # Never below 1: a gradient that overflows unscaled is a fault, not a matter of scale.
        self.scale.assign(tf.where(finite, scale, tf.maximum(self.scale * 0.5, 1.0)))
        self.good_steps.assign(tf.where(grows, tf.constant(0, tf.int64), good_steps))
