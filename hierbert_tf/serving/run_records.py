"""What a run wrote about itself."""

import contextlib
import json
from pathlib import Path
from typing import Any

from hierbert_tf.config import RunConfig
from hierbert_tf.config_file import load_config
from hierbert_tf.config_finetuning import FinetuningConfig
from hierbert_tf.errors import InputError


def run_record(folder: Path) -> dict[str, Any]:
    """`scores.json` of a fine-tuning run's seed; empty where there is none.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / "scores.json"
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    return record if isinstance(record, dict) else {}


def tuning_settings(folder: Path) -> FinetuningConfig | None:
    """The settings of the fine-tuning run that a seed's folder is in."""
    return _settings(folder.parent / "config.yaml", FinetuningConfig)


def pretraining_settings(folder: Path) -> RunConfig | None:
    """The settings of a pre-training run."""
    return _settings(folder / "config.yaml", RunConfig)


def text_of(path: Path) -> str:
    """A record's text; empty where there is none."""
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def _settings(path: Path, kind: Any) -> Any:
    if path.is_file():
        # Another program's file may have this name, or a run of another kind.
        with contextlib.suppress(InputError):
            return load_config(path, (), kind)
    return None
