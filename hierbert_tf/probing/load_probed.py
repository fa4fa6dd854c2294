"""What is probed, from a path."""

import contextlib
import warnings
from pathlib import Path
from typing import Any

import keras
import keras_hub

# Imported for their classes' names, by which presets and `.keras` files call them.
import hierbert_tf.models.pretrainer
import hierbert_tf.models.question_answering
import hierbert_tf.models.text_classifier  # noqa: F401
from hierbert_tf.config import RunConfig
from hierbert_tf.config_file import load_config
from hierbert_tf.config_probing import ProbedConfig
from hierbert_tf.errors import InputError
from hierbert_tf.models.backbone import HierarchicalBertBackbone
from hierbert_tf.models.loading import check_one_seed, loaded
from hierbert_tf.models.preset_folder import preset_folder
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer
from hierbert_tf.probing.pooling import poolings_for
from hierbert_tf.probing.precomputed import PrecomputedVectors
from hierbert_tf.probing.probed_encoder import ProbedEncoder

KEY = "model.path"


def load_probed(config: ProbedConfig) -> ProbedEncoder | PrecomputedVectors:
    """Loads a model, or finds its vectors.

    `path` may be a pre-training run, its `model.keras`, a fine-tuned model (`RUN/seed_1`, or the
    `model` in it), a preset of this package or of keras-hub's BERT, a name or address that
    keras-hub knows (`bert_tiny_en_uncased`, `hf://user/name`), a `.keras` file with a backbone or a
    model on one, or a folder of `TASK.npy`.

    The tokenizer is the one at `vocabulary` if that is set; else the preset's or the task model's;
    else `encoder/` beside a `.keras` file, or `vocab.txt` beside it or in the preset's folder.

    Args:
        config: `path`, `vocabulary`, `lowercase`; the other settings are checked against it.

    Raises:
        InputError: nothing that can be probed is there, its tokenizer is not, or a setting does not
            fit it.

    Example:

    >>> load_probed(ProbedConfig(path="nowhere"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    hierbert_tf.errors.InputError: model.path: nothing is at nowhere, and keras-hub has no such...
    """
    poolings_for(False, config.poolings)
    if config.batch_tokens < 1:
        raise InputError(f"model.batch_tokens is {config.batch_tokens}; give 1 or more")
    if not config.path:
        raise InputError("model.path is empty; give what is probed, such as --model RUN")
    path = Path(config.path)
    if path.is_dir() and not _holds_model(path) and any(path.glob("*.npy")):
        return PrecomputedVectors(path, config.layers)
    if path.is_file() or (path.is_dir() and _only_keras_file(path)):
        file = path if path.is_file() else path / "model.keras"
        backbone, tokenizer = _keras_file(file, config)
        beside = file.parent
    else:
        preset = _preset(config.path)
        load = keras_hub.models.Backbone.from_preset
        # Vectors of full precision, also of an encoder that was trained in mixed precision.
        backbone = loaded(KEY, preset, lambda: load(preset, dtype="float32"))
        tokenizer = _tokenizer(preset, Path(preset), backbone, config)
        # The run's folder has `config.yaml`, its preset is in `encoder`.
        beside = Path(preset).parent
    heads = _heads(beside, backbone) if isinstance(backbone, HierarchicalBertBackbone) else ()
    encoder = ProbedEncoder(backbone, tokenizer, config.path, heads)
    encoder.sequence_length(config.sequence_length)
    wrong = [layer for layer in config.layers if not 0 <= layer <= encoder.num_layers]
    if wrong:
        raise InputError(
            f"model.layers names {wrong[0]}, but {config.path} has layers 0 (the embeddings) to "
            f"{encoder.num_layers}"
        )
    return encoder


def _holds_model(path: Path) -> bool:
    names = ("config.json", "encoder/config.json", "model/config.json", "model.keras")
    return any((path / name).is_file() for name in names)


def _only_keras_file(path: Path) -> bool:
    """Whether a run's folder has its model, but not the preset of its encoder."""
    presets = ("config.json", "encoder/config.json", "model/config.json")
    return (path / "model.keras").is_file() and not any((path / p).is_file() for p in presets)


def _preset(path: str) -> str:
    """What keras-hub's `from_preset` takes for a path that is no file."""
    folder = Path(path)
    if (folder / "model" / "config.json").is_file():
        return str(folder / "model")
    if folder.is_dir():
        if not _holds_model(folder):
            check_one_seed(KEY, folder)
        return preset_folder(path, needs_tokenizer=False)
    if "://" in path or path in keras_hub.models.BertBackbone.presets:
        return path
    raise InputError(f"model.path: nothing is at {path}, and keras-hub has no such preset")


def _keras_file(path: Path, config: ProbedConfig) -> tuple[Any, Any]:
    """Backbone and tokenizer of a `.keras` file."""
    if path.suffix != ".keras":
        raise InputError(
            f"model.path: {path} is no .keras file; give one, a run, a preset's folder or a folder "
            "of .npy files"
        )
    with warnings.catch_warnings():
        # A trained model's optimizer has values that are not read here.
        warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
        model: Any = loaded(KEY, path, lambda: keras.saving.load_model(path, compile=False))
    is_backbone = isinstance(model, keras_hub.models.Backbone)
    backbone = model if is_backbone else getattr(model, "backbone", None)
    if backbone is None:
        raise InputError(
            f"model.path: {path} holds a {type(model).__name__} without a backbone, whose layers "
            "cannot be read"
        )
    tokenizer = getattr(getattr(model, "preprocessor", None), "tokenizer", None)
    if tokenizer is None or config.vocabulary:
        tokenizer = _tokenizer(path.parent / "encoder", path.parent, backbone, config)
    return backbone, tokenizer


def _tokenizer(preset: str | Path, folder: Path, backbone: Any, config: ProbedConfig) -> Any:
    """The tokenizer that the settings name, or a preset's, or the one of a folder's vocabulary."""
    place = Path(preset)
    named = "://" in str(preset) or str(preset) in keras_hub.models.BertBackbone.presets
    if not config.vocabulary and (named or (place / "tokenizer.json").is_file()):
        return loaded(KEY, preset, lambda: keras_hub.models.Tokenizer.from_preset(str(preset)))
    if config.vocabulary:
        path, lowercase = Path(config.vocabulary), config.lowercase
    else:
        path, lowercase = folder / "vocab.txt", config.lowercase
        if not path.is_file():
            raise InputError(
                f"model.path: {config.path} has no tokenizer: neither tokenizer.json nor vocab.txt "
                "is there; give model.vocabulary=, the vocabulary it was trained with, and "
                "model.lowercase="
            )
        if (run := _run_config(folder)) is not None:
            lowercase = run.vocabulary.lowercase
    tokenizer = HierarchicalBertTokenizer(path, lowercase=lowercase)
    if tokenizer.vocabulary_size() != backbone.vocabulary_size:
        raise InputError(
            f"{path} has {tokenizer.vocabulary_size()} entries, but {config.path} was trained with "
            f"{backbone.vocabulary_size}: give model.vocabulary=, the one it was trained with"
        )
    return tokenizer


def _run_config(folder: Path) -> RunConfig | None:
    """The settings of a pre-training run; None where the folder is none."""
    path = folder / "config.yaml"
    if path.is_file():
        # Another program's file may have this name.
        with contextlib.suppress(InputError):
            return load_config(path)
    return None


def _heads(folder: Path, backbone: HierarchicalBertBackbone) -> tuple[tuple[str, int], ...]:
    """Where the heads of the run in a folder sat."""
    run = _run_config(folder)
    if run is None or run.encoder.layers != backbone.num_layers:
        return ()
    return tuple((task.name, task.layer) for task in run.tasks)
