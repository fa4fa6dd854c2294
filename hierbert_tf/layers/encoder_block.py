"""One block of BERT's encoder.

Dimension letters: B batch, T sequence (S: the attended one), H hidden, A attention heads,
D = H / A.
"""

import math
from typing import Any

import keras
from keras import ops

from hierbert_tf.layers.attention_probabilities import AttentionProbabilities
from hierbert_tf.layers.gelu import gelu
from hierbert_tf.layers.residual_layer_norm import ResidualLayerNorm
from hierbert_tf.layers.seeds import derived_seed, kernel_initializer


@keras.saving.register_keras_serializable(package="hierbert_tf")
class EncoderBlock(keras.layers.Layer):
    """Self-attention and feed-forward network with LayerNorm after each residual sum.

    `y = LayerNorm(x + dropout(attention(x)))`, then
    `z = LayerNorm(y + dropout(gelu(y W1 + b1) W2 + b2))`, with the exact (erf) GELU, LayerNorm
    epsilon 1e-12, and dropout on the attention probabilities, as in BERT.

    Args:
        num_heads: attention heads A; must divide the hidden dimension.
        intermediate_dim: feed-forward dimension.
        dropout: rate on the attention's and the feed-forward network's output.
        attention_dropout: rate on the attention probabilities.
        seed: seed of the initial weights and of the dropouts.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        hidden: float [B, T, H].
        padding_mask: int32 [B, T], 1 for a token, 0 for padding; None: no padding. No token attends
            to padding.

    Returns:
        float [B, T, H].

    Raises:
        ValueError: `num_heads` does not divide H.

    Example:

    >>> import numpy as np
    >>> block = EncoderBlock(num_heads=2, intermediate_dim=8)
    >>> tuple(block(np.ones((1, 3, 4), "float32"), padding_mask=np.ones((1, 3), "int32")).shape)
    (1, 3, 4)

    Reference: Devlin et al., 2019, BERT; Vaswani et al., 2017, Attention is all you need.
    """

    def __init__(
        self,
        num_heads: int,
        intermediate_dim: int,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.intermediate_dim = intermediate_dim
        self.dropout_rate = dropout
        self.attention_dropout_rate = attention_dropout
        self.seed = seed

    def build(self, hidden_shape: tuple, padding_mask_shape: tuple | None = None) -> None:
        """Makes the weights."""
        hidden_dim = hidden_shape[-1]
        if hidden_dim % self.num_heads:
            raise ValueError(
                f"{self.num_heads} attention heads do not divide the hidden dimension {hidden_dim}"
            )
        self.query = self._dense("query", hidden_dim, hidden_shape)
        self.key = self._dense("key", hidden_dim, hidden_shape)
        self.value = self._dense("value", hidden_dim, hidden_shape)
        self.attention_output = self._dense("attention_output", hidden_dim, hidden_shape)
        self.attention_layer_norm = self._layer_norm("attention_layer_norm", hidden_shape)
        self.intermediate = self._dense("intermediate", self.intermediate_dim, hidden_shape)
        self.output_dense = self._dense(
            "output", hidden_dim, (*hidden_shape[:-1], self.intermediate_dim)
        )
        self.output_layer_norm = self._layer_norm("output_layer_norm", hidden_shape)
        self.attention_probabilities = AttentionProbabilities(
            self.attention_dropout_rate,
            seed=derived_seed(self.seed, "attention_probabilities"),
            dtype=self.dtype_policy,
            name="attention_probabilities",
        )
        self.built = True

    def _dense(self, name: str, units: int, input_shape: tuple) -> keras.layers.Dense:
        layer = keras.layers.Dense(
            units,
            kernel_initializer=kernel_initializer(self.seed, name),
            dtype=self.dtype_policy,
            name=name,
        )
        layer.build(input_shape)
        return layer

    def _layer_norm(self, name: str, input_shape: tuple) -> ResidualLayerNorm:
        layer = ResidualLayerNorm(
            self.dropout_rate,
            seed=derived_seed(self.seed, name),
            dtype=self.dtype_policy,
            name=name,
        )
        layer.build(input_shape)
        return layer

    def call(self, hidden: Any, padding_mask: Any = None, training: bool = False) -> Any:
        """Maps [B, T, H] to [B, T, H]."""
        attention = self.attention_output(self._attend(hidden, padding_mask, training))
        hidden = self.attention_layer_norm(attention, residual=hidden, training=training)
        output = self.output_dense(gelu(self.intermediate(hidden), training=training))
        return self.output_layer_norm(output, residual=hidden, training=training)

    def _attend(self, hidden: Any, padding_mask: Any, training: bool) -> Any:
        """Returns each token's mean of the values, weighted by attention, [B, T, H]."""
        head_dim = hidden.shape[-1] // self.num_heads
        # Scaling the queries touches T * H numbers a sequence, scaling the scores A * T * T.
        query = self._split_heads(self.query(hidden)) * (1 / math.sqrt(head_dim))
        key = self._split_heads(self.key(hidden))
        value = self._split_heads(self.value(hidden))
        scores = ops.einsum("btad,bsad->bats", query, key)
        probabilities = self.attention_probabilities(
            scores, padding_mask=padding_mask, training=training
        )
        context = ops.einsum("bats,bsad->btad", probabilities, value)
        return ops.reshape(context, ops.shape(hidden))

    def _split_heads(self, vectors: Any) -> Any:
        """Reshapes [B, T, H] to [B, T, A, D]."""
        batch, length, _ = ops.shape(vectors)
        return ops.reshape(
            vectors, (batch, length, self.num_heads, vectors.shape[-1] // self.num_heads)
        )

    def compute_output_shape(
        self, hidden_shape: tuple, padding_mask_shape: tuple | None = None
    ) -> tuple:
        """Returns (B, T, H)."""
        return hidden_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "intermediate_dim": self.intermediate_dim,
            "dropout": self.dropout_rate,
            "attention_dropout": self.attention_dropout_rate,
            "seed": self.seed,
        }
