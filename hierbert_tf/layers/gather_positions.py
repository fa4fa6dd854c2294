"""Vectors at given positions.

Dimension letters: B batch, T sequence, P masked positions, H hidden.
"""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="hierbert_tf")
class GatherPositions(keras.layers.Layer):
    """Picks the vectors at given positions, so that a head sees only those.

    Call arguments:
        sequence: float [B, T, H].
        positions: int32 [B, P], each in [0, T).

    Returns:
        float [B, P, H].

    Example:

    >>> import numpy as np
    >>> sequence = np.arange(6, dtype="float32").reshape(1, 3, 2)
    >>> np.asarray(GatherPositions()(sequence, positions=np.array([[2, 0]]))).tolist()
    [[[4.0, 5.0], [0.0, 1.0]]]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.built = True

    def call(self, sequence: Any, positions: Any) -> Any:
        """Maps [B, T, H] and [B, P] to [B, P, H]."""
        return ops.take_along_axis(sequence, ops.expand_dims(positions, -1), axis=1)

    def compute_output_shape(self, sequence_shape: tuple, positions_shape: tuple) -> tuple:
        """Returns (B, P, H)."""
        return (*positions_shape, sequence_shape[-1])
