"""Transfer of one task's vector to all tokens of another task's stream.

Dimension letters: B batch, N tokens or positions, H hidden, C classes.
"""

from typing import Any

import keras
from keras import ops

from hierbert_tf.layers.seeds import kernel_initializer

FORMS = ("concat", "add", "gate", "label_embedding")


@keras.saving.register_keras_serializable(package="hierbert_tf")
class Transfer(keras.layers.Layer):
    """Gives a sequence x [B, N, H] the information of a vector v [B, H], token by token.

    - `concat`: `y = [x; v] W + b` with `W` [2H, H] kept as its two halves, `x W_x + v W_v + b`.
    - `add`: `y = x + v W_v`.
    - `gate`: `y = x + sigmoid(x W_g + v U_g + b_g) * (v W_v)`, the gate one number per dimension.
    - `label_embedding`: v is logits [B, C]; `softmax(v) E`, E the learned label vectors [C, H],
      takes the place of v in `concat`.

    W_x starts as the identity, W_v and the biases at zero, so that a new transfer changes nothing:
    in float32 on a CPU the output equals the input bit for bit.

    Args:
        by: one of the four forms.
        num_classes: number of labels C, for `label_embedding` only.
        stop_gradient: no gradient reaches the vector, so the receiving task does not train the
            giving task's pooler (and, with it, not the layers below by this way).
        seed: seed of the initial weights that are not zero.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        sequence: float [B, N, H].
        vector: float [B, H]; for `label_embedding` logits [B, C].

    Returns:
        float [B, N, H].

    Raises:
        ValueError: an unknown form, or `num_classes` missing, given in vain or not as in the call.

    Example:

    >>> import numpy as np
    >>> sequence = np.array([[[1.0, 2.0], [3.0, 4.0]]], "float32")
    >>> transfer = Transfer("concat")
    >>> np.asarray(transfer(sequence, vector=np.array([[5.0, 6.0]], "float32"))).tolist()
    [[[1.0, 2.0], [3.0, 4.0]]]

    Reference: Hashimoto et al., 2017, A joint many-task model; Sanh et al., 2019, HMTL.
    """

    def __init__(
        self,
        by: str = "concat",
        num_classes: int | None = None,
        stop_gradient: bool = False,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if by not in FORMS:
            raise ValueError(f"transfer by {by!r} is unknown; choose one of {', '.join(FORMS)}")
        if (by == "label_embedding") != (num_classes is not None):
            raise ValueError("num_classes goes with transfer by label_embedding, and only with it")
        self.by = by
        self.num_classes = num_classes
        self.stop_gradient = stop_gradient
        self.seed = seed

    def build(self, sequence_shape: tuple, vector_shape: tuple) -> None:
        """Makes the weights of the form."""
        hidden_dim = sequence_shape[-1]
        expected = self.num_classes or hidden_dim
        if vector_shape[-1] != expected:
            raise ValueError(
                f"transfer by {self.by} takes a vector of dimension {expected}, "
                f"not {vector_shape[-1]}"
            )
        square = (hidden_dim, hidden_dim)
        if self.by == "label_embedding":
            self.label_embeddings = self.add_weight(
                shape=(self.num_classes, hidden_dim),
                initializer=kernel_initializer(self.seed, "label_embeddings"),
                name="label_embeddings",
            )
        if self.by in ("concat", "label_embedding"):
            self.token_kernel = self.add_weight(
                shape=square, initializer="identity", name="token_kernel"
            )
            self.bias = self.add_weight(shape=(hidden_dim,), initializer="zeros", name="bias")
        if self.by == "gate":
            for name in ("token_gate_kernel", "vector_gate_kernel"):
                weight = self.add_weight(
                    shape=square, initializer=kernel_initializer(self.seed, name), name=name
                )
                setattr(self, name, weight)
            self.gate_bias = self.add_weight(shape=(hidden_dim,), initializer="zeros", name="bias")
        self.vector_kernel = self.add_weight(
            shape=square, initializer="zeros", name="vector_kernel"
        )
        self.built = True

    def call(self, sequence: Any, vector: Any) -> Any:
        """Maps [B, N, H] and [B, H] (or [B, C]) to [B, N, H]."""
        if self.stop_gradient:
            vector = ops.stop_gradient(vector)
        if self.by == "label_embedding":
            # float32: the softmax of a task's prediction is also what a person reads.
            probabilities = ops.softmax(ops.cast(vector, "float32"), axis=-1)
            vector = ops.matmul(ops.cast(probabilities, self.compute_dtype), self.label_embeddings)
        # One product a sequence instead of one a token: the vector is the same for all tokens.
        projected = ops.matmul(vector, self.vector_kernel)[:, None, :]  # [B, 1, H]
        if self.by == "add":
            return sequence + projected
        if self.by == "gate":
            gate = ops.sigmoid(
                ops.matmul(sequence, self.token_gate_kernel)
                + ops.matmul(vector, self.vector_gate_kernel)[:, None, :]
                + self.gate_bias
            )
            return sequence + gate * projected
        return ops.matmul(sequence, self.token_kernel) + projected + self.bias

    def compute_output_shape(self, sequence_shape: tuple, vector_shape: tuple) -> tuple:
        """Returns (B, N, H)."""
        return sequence_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "by": self.by,
            "num_classes": self.num_classes,
            "stop_gradient": self.stop_gradient,
            "seed": self.seed,
        }
