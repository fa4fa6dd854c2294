"""From attention scores to the probabilities that weigh the values.

Dimension letters: B batch, A attention heads, T sequence, S the attended sequence.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from hierbert_tf.layers import compiled
from hierbert_tf.layers.dropout import Dropout

# Finite, so that a row of padding alone gives no NaN. Beside any token, its exp is exactly 0.
PADDING_SCORE = -1e9


@keras.saving.register_keras_serializable(package="hierbert_tf")
class AttentionProbabilities(keras.layers.Layer):
    """Computes dropout(softmax(scores)), with no probability on padding.

    The softmax is computed in float32: half precision has too few digits for the sum of many
    probabilities, and float16 does not reach the scores of padding. In training on a CPU it is
    compiled, see `hierbert_tf.layers.compiled`.

    Args:
        dropout: rate on the probabilities.
        seed: seed of the dropout.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        scores: float [B, A, T, S].
        padding_mask: int32 [B, S], 1 for a token, 0 for padding; None: no padding.

    Returns:
        float [B, A, T, S].

    Example:

    >>> import numpy as np
    >>> scores = np.zeros((1, 1, 1, 4), "float32")
    >>> mask = np.array([[1, 1, 0, 0]], "int32")
    >>> np.asarray(AttentionProbabilities()(scores, padding_mask=mask)).ravel().tolist()
    [0.5, 0.5, 0.0, 0.0]

    Reference: Vaswani et al., 2017, Attention is all you need, section 3.2.
    """

    def __init__(self, dropout: float = 0.1, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dropout = Dropout(dropout, seed=seed, dtype=self.dtype_policy, name="dropout")
        self.built = True

    def call(self, scores: Any, padding_mask: Any = None, training: bool = False) -> Any:
        """Maps [B, A, T, S] to the same shape."""
        if padding_mask is None:
            bias = ops.zeros((1, 1, 1, 1), "float32")
        else:
            bias = (1.0 - ops.cast(padding_mask, "float32")) * PADDING_SCORE
            bias = bias[:, None, None, :]  # [B, 1, 1, S]
        if training and compiled.is_available():
            function = _compiled(self.dropout.threshold, self.dropout.scale)
            lanes = [self.dropout.lanes(scores)] if self.dropout.rate else []
            return function(scores, ops.stop_gradient(bias), *lanes)
        probabilities = ops.softmax(ops.cast(scores, "float32") + bias, axis=-1)
        return self.dropout(ops.cast(probabilities, self.compute_dtype), training=training)

    def compute_output_shape(
        self, scores_shape: tuple, padding_mask_shape: tuple | None = None
    ) -> tuple:
        """Returns (B, A, T, S)."""
        return scores_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "dropout": self.dropout.rate, "seed": self.dropout.seed}


@functools.cache
def _compiled(threshold: int, scale: float) -> Callable[..., Any]:
    """Makes the function of scores, bias and the lanes if any elements drop, with its gradient."""
    import tensorflow as tf

    def dropped(x: Any, *lanes: Any) -> Any:
        return tf.where(lanes[0] >= threshold, x * scale, 0.0) if lanes else x

    @tf.function(jit_compile=True)
    def forward(scores: Any, bias: Any, *lanes: Any) -> Any:
        probabilities = tf.nn.softmax(tf.cast(scores, tf.float32) + bias)
        output = dropped(probabilities, *lanes)
        return tf.cast(probabilities, scores.dtype), tf.cast(output, scores.dtype)

    @tf.function(jit_compile=True)
    def backward(upstream: Any, probabilities: Any, *lanes: Any) -> Any:
        wide = tf.cast(probabilities, tf.float32)
        of_probabilities = dropped(tf.cast(upstream, tf.float32), *lanes)
        mean = tf.reduce_sum(of_probabilities * wide, -1, keepdims=True)
        return tf.cast(wide * (of_probabilities - mean), upstream.dtype)

    @tf.custom_gradient
    def function(scores: Any, bias: Any, *lanes: Any) -> Any:
        probabilities, output = forward(scores, bias, *lanes)

        def gradient(upstream: Any) -> tuple:
            of_scores = backward(upstream, probabilities, *lanes)
            return (of_scores, None, *([None] * len(lanes)))

        return output, gradient

    return function
