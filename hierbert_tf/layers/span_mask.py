"""Which positions of a sequence pair may be an answer's first or last token.

Dimension letters: B batch, T sequence.
"""

from typing import Any

import keras
from keras import ops

# Far below any logit, and twice of it still finite: a score is the sum of two.
MASKED_LOGIT = -1e9


@keras.saving.register_keras_serializable(package="hierbert_tf")
class SpanMask(keras.layers.Layer):
    """Splits span logits into starts and ends, and masks what cannot be an answer.

    Kept are the tokens of the second segment without its [SEP], and [CLS], which stands for "no
    answer". The first segment (the question), [SEP] and padding get -1e9.

    Args:
        **kwargs: `name` and the like.

    Call arguments:
        logits: float [B, T, 2].
        segment_ids: int32 [B, T], 1 for the second segment with its [SEP], else 0.

    Returns:
        Two float32 [B, T]: logits of the first and of the last token.

    Example:

    >>> import numpy as np
    >>> logits = np.arange(12, dtype="float32").reshape(1, 6, 2)
    >>> starts, ends = SpanMask()(logits, segment_ids=np.array([[0, 0, 0, 1, 1, 0]]))
    >>> np.asarray(starts).tolist(), np.asarray(ends[0, 3])  # doctest: +NORMALIZE_WHITESPACE
    ([[0.0, -1000000000.0, -1000000000.0, 6.0, -1000000000.0, -1000000000.0]],
     array(7., dtype=float32))
    """

    def __init__(self, **kwargs: Any) -> None:
        # float32: a softmax over a sequence of half-precision logits is coarse.
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.built = True

    def call(self, logits: Any, segment_ids: Any) -> Any:
        """Maps [B, T, 2] and [B, T] to [B, T] and [B, T]."""
        is_second = ops.equal(segment_ids, 1)
        # [SEP] is the segment's last token, so the one whose successor is outside.
        followed = ops.pad(is_second[:, 1:], [[0, 0], [0, 1]])
        is_cls = ops.equal(ops.cumsum(ops.ones_like(segment_ids), axis=1), 1)
        allowed = ops.logical_or(is_cls, ops.logical_and(is_second, followed))
        return tuple(ops.where(allowed, logits[:, :, end], MASKED_LOGIT) for end in (0, 1))

    def compute_output_shape(self, logits_shape: tuple, segment_ids_shape: tuple) -> Any:
        """Returns (B, T) twice."""
        return (tuple(logits_shape[:2]), tuple(logits_shape[:2]))
