"""The exact GELU."""

import functools
import math
from collections.abc import Callable
from typing import Any

from keras import ops

from hierbert_tf.layers import compiled


def gelu(x: Any, training: bool = False) -> Any:
    """Returns x times the standard normal distribution's cumulative function of x.

    Args:
        x: float tensor of any shape.
        training: compile where `hierbert_tf.layers.compiled` allows it.

    Returns:
        Tensor of x's shape and dtype.

    Example:

    >>> import numpy as np
    >>> round(float(gelu(np.array([1.0], "float32"))[0]), 4)
    0.8413

    Reference: Hendrycks and Gimpel, 2016, Gaussian error linear units.
    """
    if training and compiled.is_available():
        return _compiled()(x)
    # Not `ops.gelu`, which takes erfc: that is not vectorised on CPUs, no part of ONNX, and its
    # digits far below zero are lost in the sum that follows.
    return 0.5 * x * (1.0 + ops.erf(x * math.sqrt(0.5)))


@functools.cache
def _compiled() -> Callable[[Any], Any]:
    """Makes the GELU whose value and whose gradient are one pass each."""
    import tensorflow as tf

    def cumulative(x: Any) -> Any:
        # erfc keeps more digits far below zero, where its product with x is lost in the sum that
        # follows anyway, and costs half as much again.
        return 0.5 + 0.5 * tf.math.erf(x * math.sqrt(0.5))

    @tf.function(jit_compile=True)
    def forward(x: Any) -> Any:
        wide = tf.cast(x, tf.float32)
        return tf.cast(wide * cumulative(wide), x.dtype)

    @tf.function(jit_compile=True)
    def backward(x: Any, upstream: Any) -> Any:
        wide = tf.cast(x, tf.float32)
        density = tf.exp(-0.5 * wide * wide) * (1 / math.sqrt(2 * math.pi))
        slope = cumulative(wide) + wide * density
        return tf.cast(tf.cast(upstream, tf.float32) * slope, x.dtype)

    @tf.custom_gradient
    def function(x: Any) -> Any:
        # From x alone: the cumulative function is cheaper to compute again than to keep.
        return forward(x), lambda upstream: backward(x, upstream)

    return function
