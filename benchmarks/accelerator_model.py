"""The model that `write_batches.py` and `accelerator.py` share: equal on both machines.

Imported, not run; it needs Keras and keras-hub, on any backend, and no TensorFlow.

Dimension letters: B batch, T sequence, P masked positions, H hidden, V vocabulary.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from hierbert_tf.layers.gather_positions import GatherPositions
from hierbert_tf.layers.masked_lm_head import MaskedLMHead
from hierbert_tf.models.backbone import HierarchicalBertBackbone

POSITIONS = "masked_lm_positions"
TASKS = ("masked_lm", "next_sentence")
STANDARD_DEVIATION = 0.02


@dataclass(frozen=True)
class Shape:
    """An encoder's dimensions; the feed-forward one is 4 H."""

    layers: int
    hidden: int
    heads: int
    vocabulary: int


SHAPES = {
    "tiny": Shape(2, 32, 2, 8192),
    "L6-H256": Shape(6, 256, 4, 8192),
    "BERT-base": Shape(12, 768, 12, 30_522),
}


def build(shape: Shape, length: int, dropout: float, dtype: str) -> keras.Model:
    """Encoder with masked LM and next sentence at its last layer.

    Args:
        shape: dimensions.
        length: position embeddings, T.
        dropout: rate of all dropouts.
        dtype: dtype policy.

    Returns:
        Model of the encoder's features and `masked_lm_positions` [B, P]; its outputs are the logits
        by task: [B, P, V] and [B, 2]. The weights are those of `set_weights`.
    """
    backbone = HierarchicalBertBackbone(
        vocabulary_size=shape.vocabulary,
        num_layers=shape.layers,
        num_heads=shape.heads,
        hidden_dim=shape.hidden,
        intermediate_dim=4 * shape.hidden,
        dropout=dropout,
        attention_dropout=dropout,
        max_sequence_length=length,
        poolers={"next_sentence": shape.layers},
        dtype=dtype,
    )
    positions = keras.Input((None,), dtype="int32", name=POSITIONS)
    masked = GatherPositions(dtype=dtype)(backbone.output["sequence_output"], positions=positions)
    head = MaskedLMHead(backbone.token_embedding, dtype=dtype, name="masked_lm")
    logits = {
        "masked_lm": head(masked),
        "next_sentence": keras.layers.Dense(2, dtype=dtype, name="next_sentence")(
            backbone.output["pooled_output"]
        ),
    }
    model = keras.Model({**backbone.input, POSITIONS: positions}, logits)
    set_weights(model)
    return model


def set_weights(model: keras.Model) -> None:
    """Gives every weight values by its path: the same on every backend and machine.

    A backend's own initialisers draw other numbers from the same seed. Philox's raw bits, unlike
    NumPy's distributions, never change between versions. Uniform, of BERT's standard deviation.
    """
    for variable in model.trainable_variables:
        key = hashlib.sha256(variable.path.encode()).digest()[:16]
        bits = np.random.Philox(key=int.from_bytes(key, "little"))
        raw = bits.random_raw(int(np.prod(variable.shape)))
        # In place: a gigabyte of BERT-base's embedding passes through here.
        unit = (raw >> np.uint64(40)).astype("float32")
        unit *= np.float32(2 / 2**24)
        unit -= 1
        unit *= np.float32(STANDARD_DEVIATION * 3**0.5)
        if variable.name == "gamma":
            unit += 1
        variable.assign(unit.reshape(variable.shape))


def rows(arrays: dict[str, np.ndarray], prefix: str, count: int) -> dict[str, np.ndarray]:
    """The first `count` rows of the arrays whose names begin so; repeated where they end."""
    chosen = {
        name.removeprefix(prefix): array for name, array in arrays.items() if name[:2] == prefix
    }
    available = len(next(iter(chosen.values())))
    return {name: array[np.arange(count) % available] for name, array in chosen.items()}


def outputs(model: keras.Model, features: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """float32 logits of a few rows, without dropout."""
    logits: dict[str, Any] = model(features, training=False)
    return {
        name: np.asarray(keras.ops.convert_to_numpy(value), "float32")
        for name, value in logits.items()
    }
