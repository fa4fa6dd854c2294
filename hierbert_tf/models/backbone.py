"""The hierarchical BERT encoder.

Dimension letters: B batch, T sequence, H hidden, L layers, C classes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_hub

from hierbert_tf.data.features import ENCODER_FEATURES, PADDING_MASK, SEGMENT_IDS, TOKEN_IDS
from hierbert_tf.layers.embeddings import BertEmbeddings
from hierbert_tf.layers.encoder_block import EncoderBlock
from hierbert_tf.layers.pooler import ClsPooler
from hierbert_tf.layers.seeds import derived_seed, kernel_initializer
from hierbert_tf.layers.transfer import Transfer
from hierbert_tf.models.preset_task import with_precision


@keras.saving.register_keras_serializable(package="hierbert_tf")
class HierarchicalBertBackbone(keras_hub.models.Backbone):
    """BERT's encoder with every layer's output, poolers at chosen layers, and transfers.

    Without poolers and transfers it is BERT's encoder exactly. A pooler reads the [CLS] vector of
    its layer. A transfer gives a pooled vector to every token of the stream that enters the block
    after the pooler's layer; a layer's own output is named and returned as it is before a transfer.

    Every weight's initial value and every dropout's seed derives from `seed` and the layer's name:
    two backbones with the same seed start equal in all the layers that they share.

    Args:
        vocabulary_size: number of token ids.
        num_layers: encoder blocks L.
        num_heads: attention heads; must divide `hidden_dim`.
        hidden_dim: hidden dimension H.
        intermediate_dim: feed-forward dimension.
        dropout: rate after the embeddings, the attention output and the feed-forward output.
        attention_dropout: rate on the attention probabilities.
        max_sequence_length: position embeddings, the longest T.
        num_segments: number of segment ids.
        poolers: layer (0 embeddings .. L) of each pooler, by name.
        transfers: dicts with `source` (a pooler's name, each at most once), and as options `by`
            (see `Transfer`), `stop_gradient`, and `num_classes` with `by="label_embedding"`, where
            the vector given is the logits [B, C] of a classifier on the pooled vector.
        seed: seed of all initial weights and dropouts.
        dtype: dtype or dtype policy of all layers.
        **kwargs: `name`, `trainable`.

    Call arguments:
        inputs: dict of int32 [B, T]: `token_ids`, `segment_ids`, `padding_mask` (1 for a token).

    Returns:
        Dict of floats: `layer_0` .. `layer_L` and `sequence_output` (the last of them) [B, T, H],
        `{name}_pooled` [B, H] for each pooler, `pooled_output` (the pooler at the highest layer),
        and `{name}_logits` [B, C] for each source by label embedding.

    Raises:
        ValueError: a pooler outside 0 .. L, a transfer from an unknown pooler or from layer L.

    Example:

    >>> import numpy as np
    >>> backbone = HierarchicalBertBackbone(
    ...     vocabulary_size=20, num_layers=2, num_heads=2, hidden_dim=4, intermediate_dim=8,
    ...     max_sequence_length=16, poolers={"next_sentence": 1},
    ...     transfers=[{"source": "next_sentence", "by": "concat"}])
    >>> ids = np.array([[2, 7, 8, 3]], "int32")
    >>> outputs = backbone({"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": 0 * ids + 1})
    >>> sorted(outputs)  # doctest: +NORMALIZE_WHITESPACE
    ['layer_0', 'layer_1', 'layer_2', 'next_sentence_pooled', 'pooled_output', 'sequence_output']

    Reference: Devlin et al., 2019, BERT; Aksoy et al., 2020, Hierarchical multitask learning
    approach for BERT.
    """

    def __init__(
        self,
        vocabulary_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        intermediate_dim: int,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        max_sequence_length: int = 512,
        num_segments: int = 2,
        poolers: Mapping[str, int] | None = None,
        transfers: Sequence[Mapping[str, Any]] = (),
        seed: int = 0,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        poolers = dict(poolers or {})
        transfers = [_with_defaults(transfer) for transfer in transfers]
        _validate(num_layers, poolers, transfers)

        # === Layers ===
        self.embeddings = BertEmbeddings(
            vocabulary_size,
            hidden_dim,
            max_sequence_length=max_sequence_length,
            num_segments=num_segments,
            dropout=dropout,
            seed=derived_seed(seed, "embeddings"),
            dtype=dtype,
            name="embeddings",
        )
        self.token_embedding = self.embeddings.token_embedding
        self.encoder_blocks = [
            EncoderBlock(
                num_heads,
                intermediate_dim,
                dropout=dropout,
                attention_dropout=attention_dropout,
                seed=derived_seed(seed, f"encoder_block_{number}"),
                dtype=dtype,
                name=f"encoder_block_{number}",
            )
            for number in range(1, num_layers + 1)
        ]

        # === Functional model ===
        inputs = {
            feature.name: keras.Input(shape=(None,), dtype=feature.dtype, name=feature.name)
            for feature in ENCODER_FEATURES
        }
        outputs = {}
        stream = self.embeddings(inputs[TOKEN_IDS], segment_ids=inputs[SEGMENT_IDS])
        for number in range(num_layers + 1):
            if number > 0:
                block = self.encoder_blocks[number - 1]
                stream = block(stream, padding_mask=inputs[PADDING_MASK])
            outputs[f"layer_{number}"] = stream
            for name in [name for name, layer in poolers.items() if layer == number]:
                pooler = ClsPooler(
                    seed=derived_seed(seed, f"{name}_pooler"), dtype=dtype, name=f"{name}_pooler"
                )
                outputs[f"{name}_pooled"] = pooler(outputs[f"layer_{number}"])
                for transfer in [item for item in transfers if item["source"] == name]:
                    stream = _transfer(transfer, stream, outputs, seed, dtype)
        outputs["sequence_output"] = outputs[f"layer_{num_layers}"]
        if poolers:
            highest = max(poolers, key=lambda name: poolers[name])
            outputs["pooled_output"] = outputs[f"{highest}_pooled"]
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, **kwargs)

        # === Config ===
        self.vocabulary_size = vocabulary_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.intermediate_dim = intermediate_dim
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.max_sequence_length = max_sequence_length
        self.num_segments = num_segments
        self.poolers = poolers
        self.transfers = transfers
        self.seed = seed

    @classmethod
    def from_preset(
        cls, preset: str | Path, load_weights: bool = True, **kwargs: Any
    ) -> "HierarchicalBertBackbone":
        """Loads an encoder.

        Args:
            preset: a preset's folder or address.
            load_weights: False: architecture alone.
            **kwargs: `dtype`; as it was saved, if it is not given.
        """
        return super().from_preset(str(preset), load_weights, **with_precision(preset, kwargs))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "hidden_dim": self.hidden_dim,
            "intermediate_dim": self.intermediate_dim,
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "max_sequence_length": self.max_sequence_length,
            "num_segments": self.num_segments,
            "poolers": dict(self.poolers),
            "transfers": [dict(transfer) for transfer in self.transfers],
            "seed": self.seed,
        }


def _with_defaults(transfer: Mapping[str, Any]) -> dict[str, Any]:
    """Fills in a transfer's options."""
    known = {"by": "concat", "stop_gradient": False, "num_classes": None}
    unknown = set(transfer) - {*known, "source"}
    if unknown or "source" not in transfer:
        raise ValueError(
            f"a transfer is a dict of source, {', '.join(known)}; not {dict(transfer)!r}"
        )
    return {**known, **transfer}


def _validate(
    num_layers: int, poolers: Mapping[str, int], transfers: Sequence[Mapping[str, Any]]
) -> None:
    """Raises `ValueError` where poolers and transfers cannot be built."""
    for name, layer in poolers.items():
        if not 0 <= layer <= num_layers:
            raise ValueError(f"pooler {name!r} is at layer {layer}, outside 0 to {num_layers}")
    sources = [transfer["source"] for transfer in transfers]
    for source in sources:
        if source not in poolers:
            raise ValueError(f"a transfer's source {source!r} is none of the poolers {[*poolers]}")
        if poolers[source] == num_layers:
            raise ValueError(
                f"a transfer from {source!r} at the last layer {num_layers} enters no block; "
                "put its pooler lower"
            )
        if sources.count(source) > 1:
            raise ValueError(f"two transfers have the source {source!r}; keep one")


def _transfer(
    transfer: Mapping[str, Any], stream: Any, outputs: dict[str, Any], seed: int, dtype: Any
) -> Any:
    """Applies a transfer to the stream [B, T, H]; adds the source's logits to the outputs."""
    source = transfer["source"]
    vector = outputs[f"{source}_pooled"]
    if transfer["by"] == "label_embedding":
        classifier = keras.layers.Dense(
            transfer["num_classes"],
            kernel_initializer=kernel_initializer(seed, f"{source}_classifier"),
            dtype=dtype,
            name=f"{source}_classifier",
        )
        vector = outputs[f"{source}_logits"] = classifier(vector)
    layer = Transfer(
        transfer["by"],
        num_classes=transfer["num_classes"],
        stop_gradient=transfer["stop_gradient"],
        seed=derived_seed(seed, f"{source}_transfer"),
        dtype=dtype,
        name=f"{source}_transfer",
    )
    return layer(stream, vector=vector)
