"""What a SavedModel offers under one signature name."""

from abc import ABC, abstractmethod

import numpy as np
import tensorflow as tf


class Endpoint(ABC):
    """One signature of an export: TensorFlow ops from named tensors to named tensors.

    The first dimension of each input and of each output is the batch B, so that TensorFlow Serving
    can put requests together and take their results apart. AutoGraph is off: loops are
    `tf.while_loop`. Every op must be known to the server; `tests/serving` holds the list.

    Attributes:
        name: the signature's name.
        inputs: the tensors of a request, by name, dtype and shape, B being None.
    """

    name: str
    inputs: tuple[tf.TensorSpec, ...]

    @abstractmethod
    def __call__(self, *tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        """Computes the outputs, by name.

        Args:
            *tensors: in the order of `inputs`.
        """

    @abstractmethod
    def requests(self) -> list[dict[str, np.ndarray]]:
        """Requests of the kinds and lengths to expect, with which a server warms up."""
