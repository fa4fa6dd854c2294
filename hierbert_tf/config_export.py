"""Every setting of an export, with its default.

A YAML file or dotted overrides (`embed.layer=2`) replace them; `hierbert_tf.config_file` reads
those into `ExportConfig`.
"""

from dataclasses import dataclass, field

FLOAT32, BFLOAT16, INT8 = "float32", "bfloat16", "int8"


@dataclass(frozen=True)
class EmbedConfig:
    """The `embed` signature.

    Args:
        layer: `last`, or a layer's number from 0 (the embeddings).
        pooling: how a layer's tokens become one vector: `cls`, `mean`, `max`.
        sequence_length: texts are cut to so many tokens; 0: as many as the encoder has positions.
    """

    layer: int | str = "last"
    pooling: str = "mean"
    sequence_length: int = 0


@dataclass(frozen=True)
class ExportConfig:
    """A whole export.

    Args:
        model: a pre-training run, a seed of a fine-tuning run, a preset's folder or a `.keras`
            file.
        to: the folder of a version, `saved_models/NAME/1`; the last part is a number.
        weights: `float32`, `bfloat16` or `int8`: what the weights are kept in.
        text_fields: for a classifier: 1 or 2 texts an example; 0: as it was fine-tuned.
        top_k: for `fill_mask`: so many tokens for each [MASK].
        text_licence: licence of the text that the model was trained on, for the model card.
        embed: the `embed` signature.

    Example:

    >>> ExportConfig().embed.pooling
    'mean'
    """

    model: str = ""
    to: str = ""
    weights: str = FLOAT32
    text_fields: int = 0
    top_k: int = 5
    text_licence: str = ""
    embed: EmbedConfig = field(default_factory=EmbedConfig)
