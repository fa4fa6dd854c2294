"""A task of preparation: a pure function with files in and out, done once."""

import hashlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hierbert_tf.errors import InputError
from hierbert_tf.storage import storage_error

DONE = "done.json"

# Raised when a task's function would give other files than before.
_VERSION = 1


@dataclass(frozen=True)
class Task:
    """Some of the work of a stage.

    Its function writes files into a folder of its own and returns a small record. The folder gets
    its name when all of them are on the disk, and the name holds a hash of all that decides what
    they hold: a task whose folder is there needs not run again, whoever ran it.

    Args:
        root: the preparation's work folder, which all processes share.
        stage: the folder in it.
        index: position in the stage.
        function: called with `(arguments, root, folder)`; returns values that JSON can hold.
        arguments: values that JSON can hold; files of earlier tasks by their path below `root`.
        identity: what the hash is made of; None: the arguments.

    Example:

    >>> def write(arguments, root, folder):
    ...     return {"size": (folder / "a.txt").write_text(arguments["text"])}
    >>> task = Task(Path(tempfile.mkdtemp()), "write", 0, write, {"text": "abc"})
    >>> run_task(task), (task.folder / "a.txt").read_text(), task.result()
    ({'size': 3}, 'abc', {'size': 3})
    """

    root: Path
    stage: str
    index: int
    function: Callable[[dict[str, Any], Path, Path], dict[str, Any]]
    arguments: dict[str, Any]
    identity: Any = field(default=None)

    @property
    def name(self) -> str:
        """Path below the root."""
        identity = self.arguments if self.identity is None else self.identity
        text = json.dumps([_VERSION, self.stage, identity], sort_keys=True)
        return f"{self.stage}/{self.index:06d}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"

    @property
    def folder(self) -> Path:
        """Where its files are once it is done."""
        return self.root / self.name

    def result(self) -> dict[str, Any] | None:
        """What the function returned; None: it is not done."""
        try:
            record = json.loads((self.folder / DONE).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return dict(record)


def run_task(task: Task) -> dict[str, Any]:
    """Does a task, unless it is done.

    Args:
        task: the task.

    Returns:
        What its function returned, now or in an earlier run.

    Raises:
        InputError: wrong input, or the folder cannot be written.
        RunStopped: the disk is full.
    """
    # Imported here: reading needs no TensorFlow.
    import tensorflow as tf

    if (result := task.result()) is not None:
        return result
    folder = task.folder
    beside = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Two machines may do the same task: some of Beam's runners give a slow one to another, too.
        beside = Path(
            tempfile.mkdtemp(prefix=f"{folder.name}.tmp-{socket.gethostname()}-", dir=folder.parent)
        )
        result = task.function(task.arguments, task.root, beside)
        (beside / DONE).write_text(json.dumps(result), encoding="utf-8")
        for path in beside.iterdir():
            _to_disk(path)
        try:
            os.rename(beside, folder)
        except OSError:
            if task.result() is None:
                raise
    except (OSError, tf.errors.OpError) as error:
        raise storage_error(error, task.root) from error
    finally:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)
    return result


def _to_disk(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def run_stage(
    tasks: list[Task],
    run: Callable[[list[Task], Callable[[Task, dict[str, Any]], None]], None],
    done: Callable[[Task, dict[str, Any]], None],
) -> list[dict[str, Any]]:
    """Does the tasks of a stage that are not done, and clears away what is no part of it.

    Args:
        tasks: all tasks of one stage, in order.
        run: does tasks, in any order, and calls its second argument for each.
        done: called with each task and its result, of the earlier ones first.

    Returns:
        The results, in order.

    Raises:
        InputError: of a task.
        RunStopped: of a task.
    """
    if not tasks:
        return []
    stage = tasks[0].root / tasks[0].stage
    wanted = {task.folder.name for task in tasks}
    for path in stage.iterdir() if stage.is_dir() else ():
        if path.name not in wanted:
            shutil.rmtree(path, ignore_errors=True)
    results = {task.index: task.result() for task in tasks}
    for task in tasks:
        if (result := results[task.index]) is not None:
            done(task, result)

    def note(task: Task, result: dict[str, Any]) -> None:
        results[task.index] = result
        done(task, result)

    if waiting := [task for task in tasks if results[task.index] is None]:
        run(waiting, note)
    found = [result for task in tasks if (result := results[task.index]) is not None]
    if len(found) < len(tasks):
        raise InputError(f"{str(stage)!r}: some parts were not made: is the folder shared by all?")
    return found
