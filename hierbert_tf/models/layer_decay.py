"""Learning rates that fall from the head to the embeddings."""

from typing import Any

from hierbert_tf.errors import InputError
from hierbert_tf.models.freeze import layers_beside_blocks


def layer_decay_multipliers(model: Any, decay: float) -> dict[str, float]:
    """Factor of the learning rate of each weight of a fine-tuned model.

    The head has 1, the block that it reads `decay`, the block below `decay**2` and so on; the
    embeddings below block 1 have the smallest. Blocks above the head's layer, which it does not
    read, have 1. Poolers and transfers of the encoder go with the block of their layer.

    Args:
        model: a task model with `backbone` and, where its head reads another layer than the last,
            `layer`.
        decay: factor from a layer to the one below, in (0, 1].

    Returns:
        Weight's path -> factor, for `AdamW(learning_rate_multipliers=...)`.

    Raises:
        InputError: `decay` is outside (0, 1].

    Example:

    >>> from hierbert_tf.models.backbone import HierarchicalBertBackbone
    >>> from hierbert_tf.models.text_classifier import HierarchicalBertTextClassifier
    >>> model = HierarchicalBertTextClassifier(
    ...     HierarchicalBertBackbone(
    ...         20, num_layers=2, num_heads=2, hidden_dim=4, intermediate_dim=8), num_classes=2)
    >>> factors = layer_decay_multipliers(model, 0.5)
    >>> factors["logits/kernel"], factors["encoder_block_2/query/kernel"]
    (1.0, 0.5)
    >>> factors["encoder_block_1/query/kernel"], factors["embeddings/layer_norm/gamma"]
    (0.25, 0.125)

    Reference: Clark et al., 2020, ELECTRA; Howard and Ruder, 2018, ULMFiT.
    """
    if not 0 < decay <= 1:
        raise InputError(f"the decay of the learning rate a layer is {decay}: give 0 < decay <= 1.")
    backbone = model.backbone
    layer = getattr(model, "layer", None)
    top = layer if isinstance(layer, int) else backbone.num_layers
    levels = {"embeddings": 0, **layers_beside_blocks(backbone)}
    levels |= {block.name: number for number, block in enumerate(backbone.encoder_blocks, 1)}
    factors = {weight.path: 1.0 for weight in model.weights}
    for name, level in levels.items():
        for weight in backbone.get_layer(name).weights:
            factors[weight.path] = decay ** max(0, top + 1 - level)
    return factors
