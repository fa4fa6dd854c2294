"""A run to a folder that TensorFlow Serving takes: SavedModel, warmup requests, model card."""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from hierbert_tf.config_export import ExportConfig
from hierbert_tf.config_file import dump_config
from hierbert_tf.errors import InputError
from hierbert_tf.models.text_classifier import HierarchicalBertTextClassifier
from hierbert_tf.serving.archive import write_saved_model
from hierbert_tf.serving.batching import BATCHING_FILE, BATCHING_PARAMETERS
from hierbert_tf.serving.check_export import check_export
from hierbert_tf.serving.endpoints_for import endpoints_for
from hierbert_tf.serving.load_model import LoadedModel, load_model
from hierbert_tf.serving.model_card import model_card
from hierbert_tf.serving.run_records import run_record
from hierbert_tf.serving.warmup import WARMUP_FILE, write_warmup_requests
from hierbert_tf.serving.weights import compute_in_float32, reduce_weights
from hierbert_tf.storage import storage_error

EXTRA = "assets.extra"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        folder: the version's folder.
        signatures: the names of the signatures, the default first.
        checked: requests on which the export was compared with the model in memory.
        largest_difference: of a float, on those.
        megabytes: size of all files, in 1e6 bytes.
    """

    folder: Path
    signatures: tuple[str, ...]
    checked: int
    largest_difference: float
    megabytes: float


def export(config: ExportConfig) -> Exported:
    """Exports a model, and compares the export in a fresh process with the model in memory.

    The folder appears when all of it is there: a server that watches the model's folder never sees
    a half-written version.

    Args:
        config: the settings.

    Returns:
        What was written.

    Raises:
        InputError: a setting does not fit, the version exists, or the folder cannot be written.
        RunStopped: the export does not give what the model gives, or the disk is full.
    """
    target = _target(config.to)
    found = load_model(config.model)
    config = _with_text_fields(config, found)
    compute_in_float32(found.model)
    reduce_weights(found.model, config.weights)
    endpoints = endpoints_for(found, config)
    beside = target.with_name(f"{target.name}.tmp-{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_saved_model(beside, endpoints)
        extra = beside / EXTRA
        extra.mkdir()
        write_warmup_requests(extra / WARMUP_FILE, target.parent.name, endpoints)
        (beside / BATCHING_FILE).write_text(BATCHING_PARAMETERS, encoding="utf-8")
        (extra / "export.yaml").write_text(dump_config(config), encoding="utf-8")
        card = model_card(target.parent.name, found, config, endpoints)
        (extra / "MODEL_CARD.md").write_text(card, encoding="utf-8")
        checked, largest = check_export(beside, endpoints)
        size = sum(file.stat().st_size for file in beside.rglob("*") if file.is_file())
        beside.rename(target)
    except OSError as error:
        raise storage_error(error, target) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    names = tuple(endpoint.name for endpoint in endpoints)
    return Exported(target, names, checked, largest, size / 1e6)


def _target(to: str) -> Path:
    if not to:
        raise InputError("to is empty; give a version's folder, such as --to saved_models/mine/1")
    target = Path(to)
    if not target.name.isdecimal() or int(target.name) < 1:
        raise InputError(
            f"to: {to} does not end in a version's number, as TensorFlow Serving needs it; give "
            f"{target / '1'}"
        )
    if target.exists():
        numbers = [int(path.name) for path in target.parent.iterdir() if path.name.isdecimal()]
        raise InputError(
            f"to: {to} exists, and a version that may be served is not changed; give "
            f"{target.parent / str(max(numbers) + 1)}"
        )
    return target


def _with_text_fields(config: ExportConfig, found: LoadedModel) -> ExportConfig:
    """The settings with the number of texts that a classifier reads."""
    if not isinstance(found.model, HierarchicalBertTextClassifier) or config.text_fields:
        return config
    number = run_record(found.folder).get("text_fields")
    if number is None:
        raise InputError(
            f"{found.folder} does not say how many texts an example had; give text_fields=1, or "
            "text_fields=2 for pairs such as premise and hypothesis"
        )
    return replace(config, text_fields=number)
