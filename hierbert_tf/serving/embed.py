"""Sentence vectors of a layer.

Dimension letters: B batch, T sequence, H hidden, L layers.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hierbert_tf.config_probing import SENTENCE_POOLINGS
from hierbert_tf.data.features import PADDING_MASK
from hierbert_tf.errors import InputError
from hierbert_tf.models.backbone import HierarchicalBertBackbone
from hierbert_tf.models.text_classifier_preprocessor import (
    HierarchicalBertTextClassifierPreprocessor,
)
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer
from hierbert_tf.probing.pooling import pool
from hierbert_tf.serving.chunks import LENGTH_MULTIPLE, run_in_chunks
from hierbert_tf.serving.endpoint import (
    Endpoint,
    ModelEndpoint,
    feature_inputs,
    feature_requests,
    features_of,
    in_order,
    text_inputs,
    text_requests,
)

TEXT = "text"
EMBEDDING = "embedding"


class EmbedIds(ModelEndpoint):
    """`token_ids`, `segment_ids`, `padding_mask` int32 [B, T] to `embedding` float32 [B, H].

    Args:
        backbone: the encoder.
        layer: 0 (the embeddings) .. L.
        pooling: `cls`, `mean` or `max` over the tokens; the mean and the maximum are over [CLS] and
            [SEP] too.

    Raises:
        InputError: there is no such layer or pooling.

    Example:

    >>> backbone = HierarchicalBertBackbone(
    ...     20, num_layers=2, num_heads=2, hidden_dim=4, intermediate_dim=8)
    >>> embed = EmbedIds(backbone, layer=1, pooling="mean")
    >>> ids = np.array([[2, 7, 3, 0]], "int32")
    >>> tuple(embed(ids, 0 * ids, (ids > 0).astype("int32"))["embedding"].shape)
    (1, 4)
    """

    name = "embed_ids"

    def __init__(self, backbone: HierarchicalBertBackbone, layer: int, pooling: str) -> None:
        if layer not in range(backbone.num_layers + 1):
            raise InputError(
                f"embed.layer is {layer!r}, but the encoder has layers 0 (the embeddings) to "
                f"{backbone.num_layers}"
            )
        if pooling not in SENTENCE_POOLINGS:
            raise InputError(f"embed.pooling is {pooling!r}; choose {', '.join(SENTENCE_POOLINGS)}")
        self.inputs = feature_inputs()
        self.pooling = pooling
        self.hidden_dim = backbone.hidden_dim
        # The blocks above the layer are no part of it.
        self._model = keras.Model(dict(backbone.input), backbone.output[f"layer_{layer}"])
        # One function, which `embed` and `embed_ids` both call.
        self._run = tf.function(self._in_chunks, autograph=False, reduce_retracing=True)

    def __call__(self, *tensors: Any) -> dict[str, tf.Tensor]:
        """Embeds features."""
        return self._run(features_of(tensors))

    def _in_chunks(self, features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return run_in_chunks(self._pooled, features, {EMBEDDING: (tf.float32, [self.hidden_dim])})

    def _pooled(self, features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        sequence = self.run(features)
        return {EMBEDDING: pool(sequence, features[PADDING_MASK], self.pooling)}

    def requests(self) -> list[dict[str, np.ndarray]]:
        """Small batches."""
        return feature_requests()


class Embed(Endpoint):
    """`text` string [B] to `embedding` float32 [B, H].

    Args:
        embed_ids: the encoder's part.
        tokenizer: the encoder's.
        sequence_length: texts are cut to so many tokens, [CLS] and [SEP] included.

    Example:

    >>> entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "tea", "time"]
    >>> backbone = HierarchicalBertBackbone(
    ...     len(entries), num_layers=2, num_heads=2, hidden_dim=4, intermediate_dim=8)
    >>> embed = Embed(EmbedIds(backbone, 2, "cls"), HierarchicalBertTokenizer(entries), 16)
    >>> tuple(embed(["tea time", ""])["embedding"].shape)
    (2, 4)
    """

    name = "embed"

    def __init__(
        self, embed_ids: EmbedIds, tokenizer: HierarchicalBertTokenizer, sequence_length: int
    ) -> None:
        self.inputs = text_inputs(TEXT)
        self._embed_ids = embed_ids
        self._preprocessor = HierarchicalBertTextClassifierPreprocessor(
            tokenizer, sequence_length=sequence_length, length_multiple=LENGTH_MULTIPLE
        )

    def __call__(self, *tensors: Any) -> dict[str, tf.Tensor]:
        """Tokenises and embeds."""
        (text,) = tensors
        return self._embed_ids(*in_order(self._preprocessor(text)))

    def requests(self) -> list[dict[str, np.ndarray]]:
        """One text, a batch of short ones, a long one."""
        return text_requests(TEXT)
