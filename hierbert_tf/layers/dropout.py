"""Dropout from packed random bits.

Dimension letters: B batch, T sequence, H hidden; the layer takes any shape.
"""

from typing import Any

import keras
from keras import ops

# Lanes of random bits: a 16-bit integer decides one element.
_LANES = 1 << 16


@keras.saving.register_keras_serializable(package="hierbert_tf")
class Dropout(keras.layers.Layer):
    """Drops elements with a given rate and scales the others, as `keras.layers.Dropout` does.

    On the TensorFlow backend an element is decided by 16 random bits instead of a 32-bit float, so
    that half the random numbers are drawn; drawing them is the main cost of dropout on a CPU. The
    rate is therefore rounded to a multiple of 2**-16 (0.1 becomes 0.100006), and the scale is one
    over the rounded rate's complement, so that the expected output equals the input. Other backends
    use `keras.random.dropout`.

    The seed generator's state is a variable: saved in a checkpoint, a resumed run draws the numbers
    that the uninterrupted run would have drawn. Under `tf.distribute` each replica folds its number
    into the seed, so that replicas drop different elements.

    Args:
        rate: share of the elements to drop, in [0, 1).
        seed: integer seed of the generator.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: the rate is outside [0, 1).

    Example:

    >>> import numpy as np
    >>> dropout = Dropout(0.5, seed=1)
    >>> ones = np.ones((64, 64), "float32")
    >>> sorted(set(np.asarray(dropout(ones, training=True)).ravel().tolist()))
    [0.0, 2.0]
    >>> float(np.asarray(dropout(ones, training=False)).min())
    1.0

    Reference: Srivastava et al., 2014, Dropout.
    """

    def __init__(self, rate: float, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"dropout rate must be in [0, 1), not {rate}")
        self.rate = float(rate)
        self.seed = int(seed)
        self._dropped_lanes = round(self.rate * _LANES)
        if self.rate > 0:
            self.seed_generator = keras.random.SeedGenerator(self.seed, name="seed_generator")
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drops elements of `inputs` (any shape, any float dtype) when `training`."""
        if not training or self.rate == 0:
            return inputs
        if keras.config.backend() != "tensorflow":
            return keras.random.dropout(inputs, self.rate, seed=self.seed_generator)
        keep = self.lanes(inputs) >= self.threshold
        return ops.where(keep, inputs * self.scale, ops.cast(0, inputs.dtype))

    @property
    def scale(self) -> float:
        """Factor of the elements that are kept."""
        return _LANES / (_LANES - self._dropped_lanes)

    @property
    def threshold(self) -> int:
        """Least lane of an element that is kept."""
        return self._dropped_lanes - _LANES // 2

    def lanes(self, inputs: Any) -> Any:
        """Draws the random int16 of each element of `inputs`; TensorFlow backend only."""
        import tensorflow as tf

        shape = tf.shape(inputs)
        size = tf.reduce_prod(shape)
        bits = tf.random.stateless_uniform(
            [(size + 1) // 2], self._replica_seed(), minval=None, maxval=None, dtype=tf.int32
        )
        lanes = tf.reshape(tf.bitcast(bits, tf.int16), [-1])[:size]
        return tf.ensure_shape(tf.reshape(lanes, shape), inputs.shape)

    def _replica_seed(self) -> Any:
        """Advances the generator and returns its int32 [2] seed with the replica folded in."""
        import tensorflow as tf

        seed = tf.cast(tf.math.floormod(self.seed_generator.next(), tf.int32.max), tf.int32)
        # None in the cross-replica context, where a functional model is built.
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return seed
        replica = tf.cast(context.replica_id_in_sync_group, tf.int32)
        return tf.random.experimental.stateless_fold_in(seed, replica)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
