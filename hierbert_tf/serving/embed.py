"""Sentence vectors of a layer.

Dimension letters: B batch, T sequence, H hidden, L layers.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hierbert_tf.data.features import ENCODER_FEATURES
from hierbert_tf.errors import InputError
from hierbert_tf.models.backbone import HierarchicalBertBackbone
from hierbert_tf.models.text_classifier_preprocessor import (
    HierarchicalBertTextClassifierPreprocessor,
)
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer
from hierbert_tf.probing.pooling import pool
from hierbert_tf.serving.chunks import LENGTH_MULTIPLE, run_in_chunks
from hierbert_tf.serving.endpoint import Endpoint

TEXT = "text"
EMBEDDING = "embedding"


class SentenceEmbedder:
    """Features to sentence vectors, chunk by chunk; what `embed` and `embed_ids` share.

    Args:
        backbone: the encoder.
        layer: 0 (the embeddings) .. L.
        pooling: `cls`, `mean` or `max`.

    Raises:
        InputError: there is no such layer.
    """

    def __init__(self, backbone: HierarchicalBertBackbone, layer: int, pooling: str) -> None:
        if not 0 <= layer <= backbone.num_layers:
            raise InputError(
                f"layer is {layer}, but the encoder has layers 0 (the embeddings) to "
                f"{backbone.num_layers}"
            )
        self.pooling = pooling
        self.hidden_dim = backbone.hidden_dim
        # The blocks above the layer are no part of it.
        self._model = keras.Model(dict(backbone.input), backbone.output[f"layer_{layer}"])

    def __call__(self, features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Maps features [B, T] to `embedding` float32 [B, H]."""
        spec = tf.TensorSpec([None, self.hidden_dim], tf.float32)
        return run_in_chunks(self._pooled, features, {EMBEDDING: spec})

    def _pooled(self, features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        sequence = self._model(features, training=False)
        return {EMBEDDING: pool(sequence, features["padding_mask"], self.pooling)}


class Embed(Endpoint):
    """`text` [B] to `embedding` float32 [B, H].

    Args:
        embedder: the layer and pooling.
        tokenizer: the encoder's.
        sequence_length: texts are cut to so many tokens, [CLS] and [SEP] included.
    """

    name = "embed"

    def __init__(
        self, embedder: SentenceEmbedder, tokenizer: HierarchicalBertTokenizer, sequence_length: int
    ) -> None:
        self.inputs = (tf.TensorSpec([None], tf.string, name=TEXT),)
        self._embedder = embedder
        self._preprocessor = HierarchicalBertTextClassifierPreprocessor(
            tokenizer, sequence_length=sequence_length, length_multiple=LENGTH_MULTIPLE
        )

    def __call__(self, *tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        """Tokenises and embeds."""
        (text,) = tensors
        return self._embedder(self._preprocessor(text))

    def requests(self) -> list[dict[str, np.ndarray]]:
        """One text, a batch of short ones, a long one."""
        word = "word "
        texts: list[list[Any]] = [[word * 8], [word * 16] * 32, [word * 600]]
        return [{TEXT: np.array([text.encode() for text in some], object)} for some in texts]


class EmbedIds(Endpoint):
    """`token_ids`, `segment_ids`, `padding_mask` int32 [B, T] to `embedding` float32 [B, H].

    Args:
        embedder: the layer and pooling.
    """

    name = "embed_ids"

    def __init__(self, embedder: SentenceEmbedder) -> None:
        self.inputs = tuple(
            tf.TensorSpec([None, None], tf.int32, name=feature.name) for feature in ENCODER_FEATURES
        )
        self._embedder = embedder

    def __call__(self, *tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        """Embeds."""
        names = [spec.name for spec in self.inputs]
        return self._embedder(dict(zip(names, tensors, strict=True)))

    def requests(self) -> list[dict[str, np.ndarray]]:
        """One row of 16 tokens, 32 of 128."""
        names = [feature.name for feature in ENCODER_FEATURES]
        shapes = [(1, 16), (32, 128)]
        values = (4, 0, 1)
        return [
            {n: np.full(shape, v, np.int32) for n, v in zip(names, values, strict=True)}
            for shape in shapes
        ]
