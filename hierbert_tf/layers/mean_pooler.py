"""The mean vector of a sequence.

Dimension letters: B batch, T sequence, H hidden.
"""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="hierbert_tf")
class MeanPooler(keras.layers.Layer):
    """Mean of the vectors of a sequence's tokens, [CLS] and [SEP] among them, padding not.

    Args:
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        sequence: float [B, T, H].
        padding_mask: int32 [B, T], 1 for a token, 0 for padding.

    Returns:
        float [B, H]; zeros for a row without tokens.

    Example:

    >>> import numpy as np
    >>> sequence = np.array([[[1.0], [3.0], [9.0]]], "float32")
    >>> np.asarray(MeanPooler()(sequence, padding_mask=np.array([[1, 1, 0]]))).tolist()
    [[2.0]]

    Reference: Reimers and Gurevych, 2019, Sentence-BERT.
    """

    def call(self, sequence: Any, padding_mask: Any) -> Any:
        """Maps [B, T, H] and [B, T] to [B, H]."""
        # float32: half precision has too few digits for a sum over hundreds of tokens.
        mask = ops.cast(padding_mask, "float32")[:, :, None]  # [B, T, 1]
        total = ops.sum(ops.cast(sequence, "float32") * mask, axis=1)
        mean = total / ops.maximum(ops.sum(mask, axis=1), 1.0)
        return ops.cast(mean, self.compute_dtype)

    def compute_output_shape(self, sequence_shape: tuple, padding_mask_shape: tuple) -> tuple:
        """Returns (B, H)."""
        return (sequence_shape[0], sequence_shape[-1])
