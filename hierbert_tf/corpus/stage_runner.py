"""Runs the stages of one preparation, each when the one before it is done."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hierbert_tf.corpus.runner import Runner
from hierbert_tf.corpus.stage_progress import StageProgress, Watch
from hierbert_tf.corpus.task import Task, run_stage


class StageRunner:
    """Makes tasks in one work folder, has them done, and says how far they are.

    Args:
        work: the folder, which all processes share.
        runner: does the tasks.
        tell: called with a stage's name and the documents done.
        watch: called with a `StageProgress` after each task; None: nobody.
    """

    def __init__(
        self,
        work: Path,
        runner: Runner,
        tell: Callable[[str, int], None],
        watch: Watch | None = None,
    ):
        self.work = work
        self.tell = tell
        self.bytes_read = 0
        self._runner = runner
        self._watch = watch

    def task(
        self, stage: str, index: int, function: Any, arguments: dict[str, Any], identity: Any = None
    ) -> Task:
        """A task of a stage, see `Task`."""
        return Task(self.work, stage, index, function, arguments, identity)

    def run(self, tasks: list[Task], told: str = "") -> list[dict[str, Any]]:
        """Does the tasks of a stage that are not done; returns the results of all, in order.

        Args:
            tasks: all tasks of the stage.
            told: the stage's name for `tell`; empty: it is not told.

        Raises:
            InputError: of a task.
            RunStopped: of a task.
        """
        start = time.perf_counter()
        done = documents = size = 0
        old = {task.index for task in tasks if task.result() is not None}

        def note(task: Task, result: dict[str, Any]) -> None:
            nonlocal done, documents, size
            done += 1
            documents += result.get("documents", 0)
            # What an earlier run read says nothing about the speed of this one.
            size += 0 if task.index in old else result.get("bytes", 0)
            if task.stage == "read":
                self.bytes_read += result["bytes"]
            if told and (task.index not in old or done == len(tasks)):
                self.tell(told, documents)
            if self._watch and (task.index not in old or done == len(old)):
                seconds = time.perf_counter() - start
                self._watch(StageProgress(task.stage, done, len(tasks), documents, size, seconds))

        return run_stage(tasks, self._runner.run, note)
