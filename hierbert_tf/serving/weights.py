"""What an export's weights are kept in.

`bfloat16`: kernels and embeddings are stored with 8 bits of mantissa, half the bytes, and made
float32 again when they are used, so that the arithmetic is float32's. `int8`: Keras' quantisation,
one scale a column, with the activations quantised as they come.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from hierbert_tf.config_export import BFLOAT16, FLOAT32, INT8
from hierbert_tf.errors import InputError


def compute_in_float32(model: Any) -> None:
    """Makes a model that was trained in mixed precision compute in float32. Changes the model.

    The weights of mixed precision are float32 already. A server's CPU is no faster in half
    precision unless it has instructions for it, and then by little.

    Args:
        model: a Keras model.
    """
    for layer in model._flatten_layers():
        if layer.dtype_policy.compute_dtype != layer.dtype_policy.variable_dtype:
            layer.dtype_policy = keras.DTypePolicy(layer.dtype_policy.variable_dtype)


def reduce_weights(model: Any, kind: str) -> None:
    """Gives a model's weights the values that the export's will have. Changes the model.

    Args:
        model: a Keras model in float32.
        kind: `float32` (nothing is changed), `bfloat16` or `int8`.

    Raises:
        InputError: the kind is unknown.

    Example:

    >>> model = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
    >>> _ = model.layers[0].kernel.assign([[1.001], [0.5]])
    >>> reduce_weights(model, "bfloat16")
    >>> model.get_weights()[0].tolist()
    [[1.0], [0.5]]
    """
    if kind == BFLOAT16:
        for weight in _stored_small(model):
            weight.assign(tf.cast(tf.cast(weight.value, tf.bfloat16), tf.float32))
    elif kind == INT8:
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.Dense | keras.layers.ReversibleEmbedding):
                # keras-hub's embedding is a subclass with nothing of its own.
                layer.quantize("int8", type_check=False)
    elif kind != FLOAT32:
        raise InputError(f"weights is {kind!r}; choose {FLOAT32}, {BFLOAT16} or {INT8}")


def small_variables(model: Any) -> list[tuple[Any, tf.Variable]]:
    """A model's large weights, and bfloat16 variables with their values.

    Args:
        model: whose weights `reduce_weights` made fit.
    """
    # Before any graph is made: what is read meanwhile counts among the graph's variables.
    return [
        (weight, tf.Variable(tf.cast(weight.value, tf.bfloat16), name=weight.name))
        for weight in _stored_small(model)
    ]


@contextmanager
def read_from(variables: Sequence[tuple[Any, tf.Variable]]) -> Iterator[None]:
    """Context in which weights are read from the variables that go with them, as float32."""
    mapping = [(weight, tf.cast(variable, tf.float32)) for weight, variable in variables]
    with keras.StatelessScope(state_mapping=mapping):
        yield


def _stored_small(model: Any) -> list[Any]:
    """Kernels and embeddings; biases and LayerNorms are few and matter more."""
    return [
        weight
        for weight in model.weights
        if len(weight.shape) >= 2 and keras.backend.standardize_dtype(weight.dtype) == "float32"
    ]
