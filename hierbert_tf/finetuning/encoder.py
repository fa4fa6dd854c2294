"""The encoder that a fine-tuning starts from."""

from hierbert_tf.config_finetuning import ModelConfig
from hierbert_tf.errors import InputError
from hierbert_tf.models.backbone import HierarchicalBertBackbone
from hierbert_tf.models.freeze import freeze_layers
from hierbert_tf.models.preset_folder import preset_folder
from hierbert_tf.models.rebuild import random_backbone, rebuild_backbone
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer
from hierbert_tf.models.weights_hash import weights_sha256


class StartingEncoder:
    """A pre-trained encoder with its tokenizer, from which every seed begins.

    Args:
        config: `path` and how the encoder is to be changed.
        precision: dtype policy of the fine-tuned models.

    Raises:
        InputError: nothing that can be loaded is at `path`, or a layer is not in it.
    """

    def __init__(self, config: ModelConfig, precision: str = "float32") -> None:
        if not config.path:
            raise InputError("model.path is empty; give a pre-training run, or --model RUN")
        folder = preset_folder(config.path)
        self.config = config
        self.precision = precision
        try:
            self.backbone = HierarchicalBertBackbone.from_preset(folder)
            self.tokenizer = HierarchicalBertTokenizer.from_preset(folder)
        except (ValueError, OSError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"model.path: {folder} cannot be loaded: {reason}") from error
        self.sha256 = weights_sha256(self.backbone)
        layers = self.backbone.num_layers
        if config.layer not in ("last", "mix") and not (
            isinstance(config.layer, int) and 0 <= config.layer <= layers
        ):
            raise InputError(
                f"model.layer is {config.layer!r}, but must be last, mix, or from 0 to {layers}"
            )
        if config.freeze_below > layers:
            raise InputError(f"model.freeze_below is {config.freeze_below}, above {layers}")

    @property
    def head_layer(self) -> int | str | None:
        """The layer as the models' constructors take it: a number, `mix`, None for the last."""
        return None if self.config.layer == "last" else self.config.layer

    def backbone_for(self, seed: int) -> HierarchicalBertBackbone:
        """A backbone of its own for one seed, whose dropout the seed draws.

        With `random_weights` the seed draws the weights as well.
        """
        config = self.config
        changes = {
            "dropout": config.dropout,
            "attention_dropout": config.dropout,
            "seed": seed,
            "dtype": self.precision,
        }
        if not config.keep_transfer:
            changes["transfers"] = ()
        backbone = rebuild_backbone(self.backbone, **changes)
        if config.random_weights:
            backbone = random_backbone(backbone, seed)
        if config.freeze_below >= 0:
            freeze_layers(backbone, config.freeze_below)
        if config.lora_rank:
            backbone.enable_lora(config.lora_rank)
        return backbone
