"""Layers that fine-tuning leaves as pre-training made them."""

from hierbert_tf.errors import InputError
from hierbert_tf.models.backbone import HierarchicalBertBackbone


def freeze_layers(backbone: HierarchicalBertBackbone, below: int) -> None:
    """Makes the embeddings and the blocks up to a layer untrainable.

    The poolers at those layers and the transfers from them are frozen as well: they read frozen
    layers. What lies above is left as it is.

    Args:
        backbone: is changed; models that hold it train what is left.
        below: number of blocks to freeze, 0 (the embeddings alone) .. L.

    Raises:
        InputError: `below` is outside 0 .. L.

    Example:

    >>> backbone = HierarchicalBertBackbone(
    ...     20, num_layers=2, num_heads=2, hidden_dim=4, intermediate_dim=8)
    >>> freeze_layers(backbone, 1)
    >>> sorted({weight.path.split("/")[0] for weight in backbone.trainable_weights})
    ['encoder_block_2']

    Reference: Howard and Ruder, 2018, Universal language model fine-tuning.
    """
    if not 0 <= below <= backbone.num_layers:
        raise InputError(
            f"{below} layers cannot be frozen: give 0 (the embeddings) to {backbone.num_layers}."
        )
    backbone.embeddings.trainable = False
    for block in backbone.encoder_blocks[:below]:
        block.trainable = False
    for name, layer in layers_beside_blocks(backbone).items():
        if layer <= below:
            backbone.get_layer(name).trainable = False


def layers_beside_blocks(backbone: HierarchicalBertBackbone) -> dict[str, int]:
    """Names of the poolers, transfers and their classifiers, with the number of their layer."""
    found = {f"{name}_pooler": layer for name, layer in backbone.poolers.items()}
    for transfer in backbone.transfers:
        source = transfer["source"]
        found[f"{source}_transfer"] = backbone.poolers[source]
        if transfer["by"] == "label_embedding":
            found[f"{source}_classifier"] = backbone.poolers[source]
    return found
