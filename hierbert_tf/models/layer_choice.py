"""What a head reads of the encoder: a layer, and no more tokens than it has positions.

Dimension letters: B batch, T sequence, H hidden, L layers.
"""

from typing import Any

from hierbert_tf.errors import InputError
from hierbert_tf.layers.layer_mix import LayerMix
from hierbert_tf.models.backbone import HierarchicalBertBackbone

MIX = "mix"


def chosen_layer(
    backbone: HierarchicalBertBackbone, layer: int | str | None
) -> tuple[Any, LayerMix | None]:
    """Finds the output of a layer, for the functional model of a task.

    Args:
        backbone: the encoder.
        layer: 0 (the embeddings) .. L, None for L, or `"mix"` for a learned mean of all.

    Returns:
        Keras tensor [B, T, H], and the layer `layer_mix` if there is one.

    Raises:
        InputError: there is no such layer.

    Example:

    >>> backbone = HierarchicalBertBackbone(
    ...     20, num_layers=2, num_heads=2, hidden_dim=4, intermediate_dim=8)
    >>> chosen_layer(backbone, 1)[0] is backbone.output["layer_1"]
    True
    """
    top = backbone.num_layers
    if layer == MIX:
        mix = LayerMix(dtype=backbone.dtype_policy, name="layer_mix")
        return mix([backbone.output[f"layer_{number}"] for number in range(top + 1)]), mix
    number = top if layer is None else layer
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= top:
        raise InputError(
            f"the head cannot read layer {layer!r}: give 0 (the embeddings) to {top}, None for the "
            f"last, or {MIX!r}."
        )
    return backbone.output[f"layer_{number}"], None


def check_positions(backbone: HierarchicalBertBackbone, preprocessor: Any) -> None:
    """Raises `InputError` if a preprocessor makes longer sequences than an encoder can read.

    Args:
        backbone: the encoder.
        preprocessor: one with `sequence_length`, or None.
    """
    length = getattr(preprocessor, "sequence_length", 0)
    if length > backbone.max_sequence_length:
        raise InputError(
            f"the preprocessor's sequence_length is {length}, but the encoder has "
            f"{backbone.max_sequence_length} positions: make it shorter."
        )
