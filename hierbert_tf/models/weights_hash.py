"""A hash of a model's weights."""

import hashlib
from typing import Any

import numpy as np


def weights_sha256(model: Any) -> str:
    """Hash of the names, shapes and values of a model's weights; not of its dropouts' states.

    Args:
        model: a Keras model.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
    >>> before = weights_sha256(model)
    >>> _ = model.layers[0].bias.assign([1.0])
    >>> weights_sha256(model) == before
    False
    """
    digest = hashlib.sha256()
    for weight in sorted(model.weights, key=lambda weight: weight.path):
        if "seed_generator" in weight.path:
            continue
        values = np.ascontiguousarray(weight.numpy())
        digest.update(f"{weight.path} {values.dtype} {values.shape}\n".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
