"""What a preset's files say of its model: the task it was fine-tuned for, its precision."""

import json
from pathlib import Path
from typing import Any


def preset_has_task(folder: str | Path, task: type) -> bool:
    """Says whether a preset holds a task's head, and not another task's or none.

    Args:
        folder: a preset's folder.
        task: class of the task.

    Example:

    >>> preset_has_task("nowhere", dict)
    False
    """
    path = Path(folder) / "task.json"
    return path.is_file() and json.loads(path.read_text())["class_name"] == task.__name__


def with_precision(folder: str | Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings for loading a preset, with the precision that it was saved with.

    keras-hub 0.32 takes the name of a mixed policy for a dtype if none is given, and fails.

    Args:
        folder: a preset's folder, or an address.
        settings: of `from_preset`; a `dtype` among them stays.

    Example:

    >>> with_precision("nowhere", {"name": "a"})
    {'name': 'a'}
    """
    path = Path(folder) / "config.json"
    if settings.get("dtype") is not None or not path.is_file():
        return settings
    saved = json.loads(path.read_text()).get("config", {}).get("dtype") or {}
    name = saved.get("config", {}).get("name") if isinstance(saved, dict) else saved
    return {**settings, "dtype": name} if str(name).startswith("mixed_") else settings
