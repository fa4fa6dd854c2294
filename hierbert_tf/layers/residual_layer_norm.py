"""Dropout, residual sum and LayerNorm, the end of BERT's two sublayers.

Dimension letters: B batch, T sequence, H hidden.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from hierbert_tf.layers import compiled
from hierbert_tf.layers.dropout import Dropout


@keras.saving.register_keras_serializable(package="hierbert_tf")
class ResidualLayerNorm(keras.layers.LayerNormalization):
    """Computes LayerNorm(residual + dropout(x)).

    In training on a CPU the three are compiled into one pass forward and one back, see
    `hierbert_tf.layers.compiled`; half precision is then summed and normalised in float32.

    Args:
        dropout: rate.
        epsilon: added to the variance.
        seed: seed of the dropout.
        **kwargs: of `keras.layers.LayerNormalization`.

    Call arguments:
        inputs: float [B, T, H], the sublayer's output.
        residual: float [B, T, H], the sublayer's input.

    Returns:
        float [B, T, H].

    Example:

    >>> import numpy as np
    >>> layer = ResidualLayerNorm(dropout=0.1)
    >>> ones = np.ones((1, 1, 2), "float32")
    >>> output = layer(np.array([[[0.0, 2.0]]], "float32"), residual=ones)
    >>> np.round(np.asarray(output), 3).tolist()
    [[[-1.0, 1.0]]]

    Reference: Ba et al., 2016, Layer normalization.
    """

    def __init__(
        self, dropout: float = 0.1, epsilon: float = 1e-12, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(epsilon=epsilon, **kwargs)
        self.dropout = Dropout(dropout, seed=seed, dtype=self.dtype_policy, name="dropout")

    def build(self, inputs_shape: tuple, residual_shape: tuple | None = None) -> None:
        """Makes the scale and the offset."""
        super().build(inputs_shape)

    def call(self, inputs: Any, residual: Any, training: bool = False) -> Any:
        """Maps two [B, T, H] to [B, T, H]."""
        if training and compiled.is_available():
            function = _compiled(self.dropout.threshold, self.dropout.scale, self.epsilon)
            lanes = [self.dropout.lanes(inputs)] if self.dropout.rate else []
            gamma, beta = ops.copy(self.gamma), ops.copy(self.beta)
            return function(inputs, residual, gamma, beta, *lanes)
        return super().call(residual + self.dropout(inputs, training=training))

    def compute_output_shape(
        self, inputs_shape: tuple, residual_shape: tuple | None = None
    ) -> tuple:
        """Returns (B, T, H)."""
        return inputs_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "dropout": self.dropout.rate, "seed": self.dropout.seed}


@functools.cache
def _compiled(threshold: int, scale: float, epsilon: float) -> Callable[..., Any]:
    """Makes the function of inputs, residual, gamma, beta and the lanes if any elements drop."""
    import tensorflow as tf

    def dropped(x: Any, *lanes: Any) -> Any:
        return tf.where(lanes[0] >= threshold, x * scale, 0.0) if lanes else x

    @tf.function(jit_compile=True)
    def forward(x: Any, residual: Any, gamma: Any, beta: Any, *lanes: Any) -> Any:
        x, residual, gamma, beta = (tf.cast(v, tf.float32) for v in (x, residual, gamma, beta))
        total = residual + dropped(x, *lanes)
        centred = total - tf.reduce_mean(total, -1, keepdims=True)
        variance = tf.reduce_mean(centred * centred, -1, keepdims=True)
        inverse = tf.math.rsqrt(variance + epsilon)  # [B, T, 1]
        normal = centred * inverse
        return normal * gamma + beta, normal, inverse

    @tf.function(jit_compile=True)
    def backward(upstream: Any, normal: Any, inverse: Any, gamma: Any, *lanes: Any) -> Any:
        upstream, normal, gamma = (tf.cast(v, tf.float32) for v in (upstream, normal, gamma))
        of_normal = upstream * gamma
        of_total = inverse * (
            of_normal
            - tf.reduce_mean(of_normal, -1, keepdims=True)
            - normal * tf.reduce_mean(of_normal * normal, -1, keepdims=True)
        )
        return dropped(of_total, *lanes), of_total, upstream * normal

    @tf.custom_gradient
    def function(x: Any, residual: Any, gamma: Any, beta: Any, *lanes: Any) -> Any:
        output, normal, inverse = forward(x, residual, gamma, beta, *lanes)
        normal = tf.cast(normal, x.dtype)

        def gradient(upstream: Any) -> tuple:
            of_x, of_residual, product = backward(upstream, normal, inverse, gamma, *lanes)
            # Sums over rows: TensorFlow's run on all cores, XLA's on one.
            rows = list(range(len(x.shape) - 1))
            of_gamma = tf.reduce_sum(product, rows)
            of_beta = tf.reduce_sum(tf.cast(upstream, tf.float32), rows)
            of_all = [
                tf.cast(of, v.dtype)
                for of, v in (
                    (of_x, x),
                    (of_residual, residual),
                    (of_gamma, gamma),
                    (of_beta, beta),
                )
            ]
            return (*of_all, *([None] * len(lanes)))

        return tf.cast(output, x.dtype), gradient

    return function
