"""What is exported, from the path of a run."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from hierbert_tf.errors import InputError
from hierbert_tf.models.backbone import HierarchicalBertBackbone
from hierbert_tf.models.loading import check_one_seed, loaded
from hierbert_tf.models.preset_folder import preset_folder
from hierbert_tf.models.preset_task import preset_has_task
from hierbert_tf.models.pretrainer import HierarchicalBertPretrainer
from hierbert_tf.models.question_answering import HierarchicalBertQuestionAnswering
from hierbert_tf.models.text_classifier import HierarchicalBertTextClassifier
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer

KEY = "model"
TUNED: tuple[Any, ...] = (HierarchicalBertTextClassifier, HierarchicalBertQuestionAnswering)


@dataclass(frozen=True)
class LoadedModel:
    """A model and what goes with it.

    Args:
        model: classifier, question answering, pre-trained model, or the encoder alone.
        tokenizer: the encoder's.
        folder: where the run's records are: `scores.json`, `config.yaml`, `summary.md`.
    """

    model: Any
    tokenizer: HierarchicalBertTokenizer
    folder: Path

    @property
    def backbone(self) -> HierarchicalBertBackbone:
        """The encoder."""
        model = self.model
        return model if isinstance(model, HierarchicalBertBackbone) else model.backbone


def load_model(path: str | Path) -> LoadedModel:
    """Loads what a path means, with its weights.

    Args:
        path: a seed's folder of a fine-tuning run (`RUN/seed_1`, or the `model` in it), a
            pre-training run, its `encoder`, another preset of this package's models, or a `.keras`
            file of one, with its tokenizer inside or in `encoder/` beside it.

    Raises:
        InputError: there is no such model, or no tokenizer with it.

    Example:

    >>> load_model("nowhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    hierbert_tf.errors.InputError: model: nothing is at nowhere; give a pre-training run, ...
    """
    if not str(path):
        raise InputError("model is empty; give what is exported, such as --model runs/mine/seed_1")
    path = Path(path)
    if not path.exists():
        raise InputError(
            f"{KEY}: nothing is at {path}; give a pre-training run, a seed's folder of a "
            "fine-tuning run, a preset or a .keras file"
        )
    if path.is_file():
        return _keras_file(path, path.parent)
    if (path / "model" / "config.json").is_file():
        return _preset(path / "model", path)
    if (path / "model.keras").is_file():
        return _keras_file(path / "model.keras", path)
    check_one_seed(KEY, path)
    # `RUN/seed_1/model` has its records above it, a preset of its own has none.
    preset = Path(preset_folder(path))
    return _preset(preset, preset.parent if preset.name in ("model", "encoder") else preset)


def _preset(preset: Path, folder: Path) -> LoadedModel:
    kinds = [kind for kind in TUNED if preset_has_task(preset, kind)]
    kind: Any = kinds[0] if kinds else HierarchicalBertBackbone
    preset = Path(preset_folder(preset))
    model = loaded(KEY, preset, lambda: kind.from_preset(str(preset), dtype="float32"))
    tokenizer = getattr(getattr(model, "preprocessor", None), "tokenizer", None)
    if tokenizer is None:
        tokenizer = loaded(KEY, preset, lambda: HierarchicalBertTokenizer.from_preset(str(preset)))
    return _checked(model, tokenizer, folder, preset)


def _keras_file(path: Path, folder: Path) -> LoadedModel:
    if path.suffix != ".keras":
        raise InputError(f"{KEY}: {path} is no .keras file; give one, or a run's folder")
    with warnings.catch_warnings():
        # A trained model's optimizer has values that are not read here.
        warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
        model: Any = loaded(KEY, path, lambda: keras.saving.load_model(path, compile=False))
    tokenizer = getattr(getattr(model, "preprocessor", None), "tokenizer", None)
    if tokenizer is None:
        encoder = folder / "encoder"
        if not (encoder / "tokenizer.json").is_file():
            raise InputError(
                f"{KEY}: {path} has no tokenizer inside, and {encoder} has none; give the run's "
                "folder, or save the model with its preprocessor"
            )
        tokenizer = loaded(
            KEY, encoder, lambda: HierarchicalBertTokenizer.from_preset(str(encoder))
        )
    return _checked(model, tokenizer, folder, path)


def _checked(model: Any, tokenizer: Any, folder: Path, path: Path) -> LoadedModel:
    kinds = (*TUNED, HierarchicalBertPretrainer, HierarchicalBertBackbone)
    if not isinstance(model, kinds):
        raise InputError(
            f"{KEY}: {path} holds a {type(model).__name__}; a classifier, question answering, a "
            "pre-trained model or an encoder of this package can be exported"
        )
    found = LoadedModel(model, tokenizer, folder)
    if tokenizer.vocabulary_size() != found.backbone.vocabulary_size:
        raise InputError(
            f"{KEY}: {path} has embeddings of {found.backbone.vocabulary_size} token ids, but its "
            f"tokenizer {tokenizer.vocabulary_size()}: give the one that it was trained with"
        )
    return found
