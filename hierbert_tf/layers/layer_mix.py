"""A learned mix of an encoder's layers.

Dimension letters: B batch, T sequence, H hidden, L layers.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="hierbert_tf")
class LayerMix(keras.layers.Layer):
    """Weighted mean of the layers' outputs times a scale: `scale * sum_l softmax(w)_l x_l`.

    Starts as the plain mean of the layers.

    Args:
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        layers: list of float [B, T, H], such as layer 0 (the embeddings) to L.

    Returns:
        float [B, T, H].

    Example:

    >>> import numpy as np
    >>> mix = LayerMix()
    >>> layers = [np.full((1, 1, 2), value, "float32") for value in (1, 2, 6)]
    >>> np.asarray(mix(layers)).round(5).tolist()
    [[[3.0, 3.0]]]

    Reference: Peters et al., 2018, Deep contextualized word representations, equation 1.
    """

    def build(self, layers_shape: Sequence[tuple]) -> None:
        """Makes the weights: one a layer, and the scale."""
        self.layer_weights = self.add_weight(
            shape=(len(layers_shape),), initializer="zeros", name="layer_weights"
        )
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")
        self.built = True

    def shares(self) -> Any:
        """float32 [number of layers], the share of each layer in the mean; their sum is 1."""
        # float32: a softmax over many layers in half precision is coarse.
        return ops.softmax(ops.cast(self.layer_weights, "float32"))

    def call(self, layers: Sequence[Any]) -> Any:
        """Mixes a list of [B, T, H] to [B, T, H]."""
        factors = ops.cast(self.shares() * ops.cast(self.scale, "float32"), self.compute_dtype)
        mixed = factors[0] * layers[0]
        # One after the other: a stack would copy all layers once more.
        for number in range(1, len(layers)):
            mixed = mixed + factors[number] * layers[number]
        return mixed

    def compute_output_shape(self, layers_shape: Sequence[tuple]) -> tuple:
        """Returns (B, T, H)."""
        return tuple(layers_shape[0])
