"""Which task a preset was fine-tuned for."""

import json
from pathlib import Path


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
