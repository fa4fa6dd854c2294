"""Saved models read back, and what went wrong in one sentence."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hierbert_tf.errors import InputError

Loaded = TypeVar("Loaded")

# What the libraries raise for files that are damaged or of another kind.
_LOAD_ERRORS = (
    ValueError, OSError, KeyError, TypeError, AttributeError, RuntimeError, ImportError,
    zipfile.BadZipFile,
)  # fmt: skip


def loaded(key: str, what: str | Path, load: Callable[[], Loaded]) -> Loaded:
    """Loads something, or says that it cannot be loaded.

    Args:
        key: the setting that names it.
        what: the file or folder.
        load: does it.

    Raises:
        InputError: the libraries could not load it.

    Example:

    >>> loaded("model", "a.keras", lambda: 1)
    1
    """
    try:
        return load()
    except InputError:
        raise
    except _LOAD_ERRORS as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{key}: {what} cannot be loaded: {reason}") from error


def check_one_seed(key: str, folder: Path) -> None:
    """Raises `InputError` if a folder is that of a fine-tuning run, with a model for each seed."""
    tuned = sorted(folder.glob("seed_*/model/config.json"))
    if tuned:
        raise InputError(
            f"{key}: {folder} is a run of fine-tuning, with a model for each seed; give one of "
            f"them, such as {tuned[0].parent.parent}"
        )
