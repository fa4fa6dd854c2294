"""What does the tasks of preparation: this process, or several on this machine."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, Protocol

from hierbert_tf.corpus.task import Task, run_task
from hierbert_tf.errors import InputError, RunStopped

Done = Callable[[Task, dict[str, Any]], None]


class Runner(Protocol):
    """Does tasks that do not depend on each other, in any order and place."""

    def run(self, tasks: list[Task], done: Done) -> None:
        """Does the tasks; calls `done` in this process for each.

        Raises:
            InputError: of a task, or no way to run any.
            RunStopped: of a task, or a process was killed.
        """


class LocalRunner:
    """Does tasks in this process, or in several on this machine.

    Args:
        processes: 1: this process, one task after the other.

    Raises:
        InputError: less than one process.

    Example:

    >>> import pathlib, tempfile
    >>> root = pathlib.Path(tempfile.mkdtemp())
    >>> tasks = [Task(root, "a", i, lambda *_: {"bytes": 1}, {"i": i}) for i in range(3)]
    >>> with LocalRunner() as runner:
    ...     runner.run(tasks, lambda task, result: print(task.index, result))
    0 {'bytes': 1}
    1 {'bytes': 1}
    2 {'bytes': 1}
    """

    def __init__(self, processes: int = 1):
        if processes < 1:
            raise InputError(f"{processes} processes cannot prepare anything: give 1 or more.")
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "LocalRunner":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            # After an error or Ctrl-C what still runs is of no use any more.
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def run(self, tasks: list[Task], done: Done) -> None:
        """Does the tasks; of several errors the first task's is raised."""
        if self._processes == 1 or (len(tasks) == 1 and self._pool is None):
            for task in tasks:
                done(task, run_task(task))
            return
        if self._pool is None:
            # Not forked: TensorFlow's threads do not survive a fork.
            self._pool = ProcessPoolExecutor(
                self._processes, multiprocessing.get_context("spawn"), _end_with_parent
            )
        futures = [(task, self._pool.submit(run_task, task)) for task in tasks]
        try:
            # In order, so that of several errors the first task's is raised.
            for task, future in futures:
                done(task, future.result())
        except BrokenProcessPool as error:
            self._pool = None
            raise RunStopped(
                "a process of the preparation was killed, for want of memory perhaps: start again, "
                "with fewer processes; what was finished is kept."
            ) from error
        except BaseException:
            for _, future in futures:
                future.cancel()
            raise


def _end_with_parent() -> None:
    """Ends this process when the one that started it is gone: a killed run leaves none behind."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
