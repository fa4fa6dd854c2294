"""The masked-LM head.

Dimension letters: B batch, P masked positions, H hidden, V vocabulary.
"""

from typing import Any

import keras
from keras import ops

from hierbert_tf.layers.seeds import kernel_initializer


@keras.saving.register_keras_serializable(package="hierbert_tf")
class MaskedLMHead(keras.layers.Layer):
    """Predicts a token at each gathered position.

    `logits = LayerNorm(gelu(x W + b)) E^T + c` with E the token embeddings, tied.

    Args:
        token_embedding: the embedding *layer* of the encoder, whose `reverse` call projects.
        seed: seed of the initial weights.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        vectors: float [B, P, H], gathered at the masked positions.

    Returns:
        Logits, float [B, P, V].

    Example:

    >>> import numpy as np
    >>> embedding = keras.layers.ReversibleEmbedding(input_dim=10, output_dim=4)
    >>> tuple(MaskedLMHead(embedding)(np.ones((2, 3, 4), "float32")).shape)
    (2, 3, 10)

    Reference: Devlin et al., 2019, BERT; Press and Wolf, 2016, on tied embeddings.
    """

    def __init__(self, token_embedding: keras.layers.Layer, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.token_embedding = token_embedding
        self.seed = seed

    def build(self, vectors_shape: tuple) -> None:
        """Makes the weights; the projection's are the embedding's."""
        if not self.token_embedding.built:
            self.token_embedding.build()
        hidden_dim = vectors_shape[-1]
        self.dense = keras.layers.Dense(
            hidden_dim,
            kernel_initializer=kernel_initializer(self.seed, "dense"),
            dtype=self.dtype_policy,
            name="dense",
        )
        self.dense.build(vectors_shape)
        self.layer_norm = keras.layers.LayerNormalization(
            epsilon=1e-12, dtype=self.dtype_policy, name="layer_norm"
        )
        self.layer_norm.build(vectors_shape)
        self.bias = self.add_weight(
            shape=(self.token_embedding.input_dim,), initializer="zeros", name="bias"
        )
        self.built = True

    def call(self, vectors: Any) -> Any:
        """Maps [B, P, H] to logits [B, P, V]."""
        vectors = ops.gelu(self.dense(vectors), approximate=False)
        logits = self.token_embedding(self.layer_norm(vectors), reverse=True)
        # The embedding layer may have another dtype policy than this one.
        return ops.cast(logits, self.compute_dtype) + self.bias

    def compute_output_shape(self, vectors_shape: tuple) -> tuple:
        """Returns (B, P, V)."""
        return (*vectors_shape[:-1], self.token_embedding.input_dim)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MaskedLMHead":
        """Makes the head with the embedding layer that its config holds."""
        config = dict(config)
        config["token_embedding"] = keras.layers.deserialize(config["token_embedding"])
        return cls(**config)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "token_embedding": keras.layers.serialize(self.token_embedding),
            "seed": self.seed,
        }
