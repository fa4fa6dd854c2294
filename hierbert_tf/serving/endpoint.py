"""What a SavedModel offers under one signature name."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import tensorflow as tf

from hierbert_tf.data.features import ENCODER_FEATURES

PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"

# Texts of the lengths to expect, for warming up: each new length may make a server plan anew.
_WORD = "word "
_TEXTS = ([_WORD * 8], [_WORD * 16] * 32, [_WORD * 600])


class Endpoint(ABC):
    """One signature of an export: TensorFlow ops from named tensors to named tensors.

    The first dimension of each input and of each output is the batch B, so that TensorFlow Serving
    can put requests together and take their results apart. AutoGraph is off: loops are
    `tf.while_loop`. Every op must be known to the server; `tests/serving` holds the list.

    Attributes:
        name: the signature's name.
        inputs: the tensors of a request, by name, dtype and shape, B being None.
        method: the server's method that runs it.
    """

    name: str
    inputs: tuple[tf.TensorSpec, ...]
    method: str = PREDICT

    @abstractmethod
    def __call__(self, *tensors: Any) -> dict[str, tf.Tensor]:
        """Computes the outputs, by name.

        Args:
            *tensors: in the order of `inputs`.
        """

    @abstractmethod
    def requests(self) -> list[dict[str, np.ndarray]]:
        """Requests of the kinds and lengths to expect, with which a server warms up."""


class ModelEndpoint(Endpoint):
    """An endpoint that runs a Keras model.

    Attributes:
        reading: context in which the model reads its weights, such as from smaller variables.
    """

    _model: Any
    reading: Callable[[], AbstractContextManager[None]] = nullcontext

    def run(self, features: dict[str, tf.Tensor]) -> Any:
        """The model's outputs, without dropout."""
        with self.reading():
            return self._model(features, training=False)


def text_inputs(*names: str) -> tuple[tf.TensorSpec, ...]:
    """Inputs of strings [B]."""
    return tuple(tf.TensorSpec([None], tf.string, name=name) for name in names)


def feature_inputs() -> tuple[tf.TensorSpec, ...]:
    """Inputs of the encoder's features, int32 [B, T]."""
    return tuple(tf.TensorSpec([None, None], tf.int32, name=f.name) for f in ENCODER_FEATURES)


def features_of(tensors: Sequence[Any]) -> dict[str, tf.Tensor]:
    """The encoder's features, by name, from tensors in the order of `feature_inputs`."""
    names = [feature.name for feature in ENCODER_FEATURES]
    return {
        name: tf.convert_to_tensor(tensor, tf.int32)
        for name, tensor in zip(names, tensors, strict=True)
    }


def in_order(features: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
    """The encoder's features in the order of `feature_inputs`."""
    return tuple(features[feature.name] for feature in ENCODER_FEATURES)


def text_requests(*names: str, add: str = "") -> list[dict[str, np.ndarray]]:
    """One short text, a batch of 32, a long one; `add` at the beginning of each."""
    return [
        {name: np.array([(add + text).encode() for text in texts], object) for name in names}
        for texts in _TEXTS
    ]


def feature_requests(**more: int) -> list[dict[str, np.ndarray]]:
    """One row of 16 tokens, 8 rows of 32.

    Args:
        **more: further int32 inputs [B, 1], by name, with their value.
    """
    values = dict(zip([f.name for f in ENCODER_FEATURES], (4, 0, 1), strict=True))
    return [
        {name: np.full(shape, value, np.int32) for name, value in values.items()}
        | {name: np.full((shape[0], 1), value, np.int32) for name, value in more.items()}
        for shape in ((1, 16), (8, 32))
    ]
