"""BERT's input embeddings.

Dimension letters: B batch, T sequence, H hidden, V vocabulary.
"""

from typing import Any

import keras
import keras_hub

from hierbert_tf.layers.dropout import Dropout
from hierbert_tf.layers.seeds import derived_seed, kernel_initializer


@keras.saving.register_keras_serializable(package="hierbert_tf")
class BertEmbeddings(keras.layers.Layer):
    """Sums token, position and segment embeddings, then LayerNorm and dropout.

    The sublayer `token_embedding` can be called in reverse; a masked-LM head takes it to tie its
    projection.

    Args:
        vocabulary_size: number of token ids V.
        hidden_dim: hidden dimension H.
        max_sequence_length: number of position embeddings, the longest T.
        num_segments: number of segment ids.
        dropout: rate after the LayerNorm.
        seed: seed of the initial weights and of the dropout.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        token_ids: int32 [B, T].
        segment_ids: int32 [B, T].

    Returns:
        float [B, T, H].

    Raises:
        ValueError: T is known when the model is built and longer than `max_sequence_length`.

    Example:

    >>> import numpy as np
    >>> layer = BertEmbeddings(vocabulary_size=10, hidden_dim=4, max_sequence_length=8)
    >>> ids = np.array([[2, 5, 3]], "int32")
    >>> tuple(layer(ids, segment_ids=np.zeros_like(ids)).shape)
    (1, 3, 4)

    Reference: Devlin et al., 2019, BERT, section 3.
    """

    def __init__(
        self,
        vocabulary_size: int,
        hidden_dim: int,
        max_sequence_length: int = 512,
        num_segments: int = 2,
        dropout: float = 0.1,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.hidden_dim = hidden_dim
        self.max_sequence_length = max_sequence_length
        self.num_segments = num_segments
        self.dropout_rate = dropout
        self.seed = seed
        self.token_embedding = keras_hub.layers.ReversibleEmbedding(
            vocabulary_size,
            hidden_dim,
            embeddings_initializer=kernel_initializer(seed, "token_embedding"),
            dtype=self.dtype_policy,
            name="token_embedding",
        )
        self.position_embedding = keras_hub.layers.PositionEmbedding(
            max_sequence_length,
            initializer=kernel_initializer(seed, "position_embedding"),
            dtype=self.dtype_policy,
            name="position_embedding",
        )
        self.segment_embedding = keras.layers.Embedding(
            num_segments,
            hidden_dim,
            embeddings_initializer=kernel_initializer(seed, "segment_embedding"),
            dtype=self.dtype_policy,
            name="segment_embedding",
        )
        self.layer_norm = keras.layers.LayerNormalization(
            epsilon=1e-12, dtype=self.dtype_policy, name="layer_norm"
        )
        self.dropout = Dropout(
            dropout, seed=derived_seed(seed, "dropout"), dtype=self.dtype_policy, name="dropout"
        )

    def build(self, token_ids_shape: tuple, segment_ids_shape: tuple | None = None) -> None:
        """Makes the weights."""
        vectors_shape = (*token_ids_shape, self.hidden_dim)
        self.token_embedding.build(token_ids_shape)
        self.position_embedding.build(vectors_shape)
        self.segment_embedding.build(token_ids_shape)
        self.layer_norm.build(vectors_shape)
        self.built = True

    def call(self, token_ids: Any, segment_ids: Any, training: bool = False) -> Any:
        """Embeds int32 [B, T] ids to [B, T, H]."""
        length = token_ids.shape[1]
        if length is not None and length > self.max_sequence_length:
            raise ValueError(
                f"a sequence of {length} tokens is longer than the {self.max_sequence_length} "
                "position embeddings; shorten it or make the encoder with more positions"
            )
        tokens = self.token_embedding(token_ids)
        vectors = tokens + self.segment_embedding(segment_ids) + self.position_embedding(tokens)
        return self.dropout(self.layer_norm(vectors), training=training)

    def compute_output_shape(
        self, token_ids_shape: tuple, segment_ids_shape: tuple | None = None
    ) -> tuple:
        """Returns (B, T, H)."""
        return (*token_ids_shape, self.hidden_dim)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "hidden_dim": self.hidden_dim,
            "max_sequence_length": self.max_sequence_length,
            "num_segments": self.num_segments,
            "dropout": self.dropout_rate,
            "seed": self.seed,
        }
