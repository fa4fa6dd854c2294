"""The same encoder with other dropouts, seeds, poolers, transfers or precision."""

from typing import Any

import keras

from hierbert_tf.models.backbone import HierarchicalBertBackbone

CHANGEABLE = (
    "dropout", "attention_dropout", "seed", "poolers", "transfers", "dtype", "name",
)  # fmt: skip


def rebuild_backbone(
    backbone: HierarchicalBertBackbone, **changes: Any
) -> HierarchicalBertBackbone:
    """Makes a backbone with the weights of another, and other settings around them.

    A pooler's weights are kept where its name stays, also at another layer; a transfer's where its
    source and its form stay. What is new is drawn from the new backbone's seed. LoRA's updates are
    merged into the kernels, so that rebuilding without changes is the way to merge them. Everything
    is trainable again.

    Args:
        backbone: is left as it is.
        **changes: of the constructor's arguments, `dropout`, `attention_dropout`, `seed`,
            `poolers`, `transfers`, `dtype` and `name`.

    Returns:
        A new backbone that shares nothing with the old one.

    Raises:
        TypeError: another argument.
        ValueError: poolers and transfers that do not go together.

    Example:

    >>> backbone = HierarchicalBertBackbone(
    ...     20, num_layers=2, num_heads=2, hidden_dim=4, intermediate_dim=8,
    ...     poolers={"next_sentence": 1}, transfers=[{"source": "next_sentence"}])
    >>> plain = rebuild_backbone(backbone, transfers=(), dropout=0.0)
    >>> bool((plain.embeddings.token_embedding.embeddings.numpy()
    ...       == backbone.embeddings.token_embedding.embeddings.numpy()).all())
    True
    """
    unknown = [name for name in changes if name not in CHANGEABLE]
    if unknown:
        raise TypeError(
            f"{', '.join(unknown)} cannot be changed with the weights kept; only "
            f"{', '.join(CHANGEABLE)} can"
        )
    config = {**backbone.get_config(), "trainable": True, **changes}
    rebuilt = type(backbone).from_config(config)
    values = {weight.path: weight for weight in backbone.weights}
    for layer in backbone._flatten_layers():
        if getattr(layer, "lora_enabled", False):
            # `kernel` is the sum of the kept kernel and the update.
            values[f"{layer.path}/kernel"] = layer.kernel
    fresh = _changed_transfers(backbone, rebuilt)
    for weight in rebuilt.weights:
        if weight.path in values and weight.path.split("/")[0] not in fresh:
            weight.assign(keras.ops.convert_to_numpy(values[weight.path]))
    return rebuilt


def random_backbone(backbone: HierarchicalBertBackbone, seed: int) -> HierarchicalBertBackbone:
    """Makes a backbone of the same architecture with fresh weights.

    It is the other side of a comparison that says what pre-training was worth.

    Args:
        backbone: is left as it is.
        seed: seed of the weights and dropouts.
    """
    config = {**backbone.get_config(), "trainable": True, "seed": seed}
    return type(backbone).from_config(config)


def _changed_transfers(old: HierarchicalBertBackbone, new: HierarchicalBertBackbone) -> set[str]:
    """Names of the layers whose weights mean something else in the new backbone."""
    forms = {item["source"]: (item["by"], item["num_classes"]) for item in old.transfers}
    return {
        f"{item['source']}_{layer}"
        for item in new.transfers
        if forms.get(item["source"]) != (item["by"], item["num_classes"])
        for layer in ("transfer", "classifier")
    }
