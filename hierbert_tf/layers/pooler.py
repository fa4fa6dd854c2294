"""The pooled vector of a sequence.

Dimension letters: B batch, T sequence, H hidden.
"""

from typing import Any

import keras

from hierbert_tf.layers.seeds import kernel_initializer


@keras.saving.register_keras_serializable(package="hierbert_tf")
class ClsPooler(keras.layers.Layer):
    """Reads the [CLS] vector: tanh(x[0] W + b).

    Args:
        seed: seed of the initial weights.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        sequence: float [B, T, H], [CLS] first.

    Returns:
        float [B, H].

    Example:

    >>> import numpy as np
    >>> tuple(ClsPooler()(np.ones((2, 3, 4), "float32")).shape)
    (2, 4)

    Reference: Devlin et al., 2019, BERT.
    """

    def __init__(self, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed

    def build(self, sequence_shape: tuple) -> None:
        """Makes the weights."""
        self.dense = keras.layers.Dense(
            sequence_shape[-1],
            activation="tanh",
            kernel_initializer=kernel_initializer(self.seed, "dense"),
            dtype=self.dtype_policy,
            name="dense",
        )
        self.dense.build((sequence_shape[0], sequence_shape[-1]))
        self.built = True

    def call(self, sequence: Any) -> Any:
        """Maps [B, T, H] to [B, H]."""
        return self.dense(sequence[:, 0, :])

    def compute_output_shape(self, sequence_shape: tuple) -> tuple:
        """Returns (B, H)."""
        return (sequence_shape[0], sequence_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "seed": self.seed}
