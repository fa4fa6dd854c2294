"""Several workers that watch each other, agree, and end together."""

import atexit
import contextlib
import math
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hierbert_tf.errors import InputError, RunStopped
from hierbert_tf.training.cluster import Cluster
from hierbert_tf.training.line_socket import LineSocket
from hierbert_tf.training.shared_interruption import SharedInterruption
from hierbert_tf.training.signal_watch import SignalWatch
from hierbert_tf.training.worker_group import WorkerGroup
from hierbert_tf.training.worker_table import WorkerTable

_END = "the end"
_ADVICE = "start the same command again on every worker: it goes on from the last checkpoint."


@dataclass(frozen=True)
class Patience:
    """How long workers wait for each other, in seconds.

    Args:
        start: for all workers to come up.
        silence: for any report of a worker.
        stall: for the worker that is furthest behind to get on.
        ending: for this process to end by itself after another worker was lost; then it is ended.
        report: between two reports of a worker.
    """

    start: float = 90.0
    silence: float = 60.0
    stall: float = 600.0
    ending: float = 40.0
    report: float = 1.0


class ConnectedWorkers(WorkerGroup):
    """This worker and its connections: on the chief to all others, on the others to the chief.

    Each tells, about once a second, how far it is. One whose connection ends, who is silent or who
    holds up the others is named by the chief to all; a lost chief is named by each. The run then
    stops: the collective operations that wait for the lost worker are aborted, so that the program
    ends through its own error handling, or, where it does not, by `os._exit` after
    `patience.ending`.

    Args:
        cluster: the workers.
        connections: from `hierbert_tf.training.rendezvous.meet`.
        signals: delivers SIGTERM and SIGINT.
        patience: longest waits.
        end_process: ends it with an exit code, whatever it does.
    """

    def __init__(
        self,
        cluster: Cluster,
        connections: dict[int, LineSocket],
        signals: SignalWatch,
        patience: Patience = Patience(),
        end_process: Callable[[int], object] = os._exit,
    ) -> None:
        self.cluster = cluster
        self.size = cluster.size
        self.index = cluster.index
        self.patience = patience
        self.signals = signals
        # Set when there are collectives to abort.
        self.abort_collectives: Callable[[str], None] | None = None
        self._connections = connections
        self._end_process = end_process
        self._said: queue.Queue = queue.Queue()
        self._lost: str | None = None
        self._failed = threading.Event()
        self._told = False
        self._leaving = False
        self._lock = threading.Lock()
        self._own = (0, 0, "starting")
        # Who holds up the others is the chief's to judge, itself included: a worker sees the chief
        # alone, and would name it while it waits for a third. It only notices the chief's silence.
        watched = tuple(range(cluster.size)) if self.is_chief else (0,)
        stall = patience.stall if self.is_chief else math.inf
        self._table = WorkerTable(cluster, watched, time.monotonic(), patience.silence, stall)
        for index in connections:
            self._start(self._receive, index)
        self._start(self._report)
        signals.on_exit = lambda name: self.leave(f"it received {name}")

    def interruption(self) -> SharedInterruption:
        """The context in which all workers stop at the same step."""
        return SharedInterruption(self.signals)

    def at(self, position: int, doing: str) -> None:
        """See `WorkerGroup.at`."""
        self._own = (position, 0, doing)

    def tick(self, doing: str = "") -> None:
        """See `WorkerGroup.tick`."""
        position, ticks, before = self._own
        self._own = (position, ticks + 1, doing or before)
        if self._failed.is_set():
            raise self._stopped()

    def from_chief(self, name: str, value: Any = None) -> Any:
        """See `WorkerGroup.from_chief`."""
        if self.is_chief:
            self._broadcast({"say": name, "value": value})
            return value
        kind, value = self._said.get()
        if kind is None:
            raise self._stopped()
        if kind != name:
            raise RuntimeError(f"the chief says {kind!r} where {name!r} is due")
        return value

    def failure(self, error: BaseException) -> BaseException:
        """See `WorkerGroup.failure`; waits a little, since the error may come before its cause."""
        if not self._failed.wait(min(15.0, self.patience.ending / 2)):
            return error
        return self._stopped()

    def leave(self, reason: str) -> None:
        """See `WorkerGroup.leave`."""
        with self._lock:
            if self._leaving or self._lost:
                return
            self._leaving = True
        if self.is_chief:
            self._broadcast({"stop": f"{self.cluster.name(0)} stopped: {reason}"})
        else:
            self._connections[0].send({"leave": reason})

    def end(self) -> None:
        """See `WorkerGroup.end`."""
        if self._failed.is_set():
            raise self._stopped()
        if self.is_chief:  # before the others end: their connections' ends are no loss any more
            with self._lock:
                self._leaving = True
        self.from_chief(_END)

    def close(self) -> None:
        """Closes the connections; afterwards nobody is watched."""
        with self._lock:
            self._leaving = True
        for connection in self._connections.values():
            connection.close()

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def _broadcast(self, message: Any, but: int | None = None) -> None:
        for index, connection in self._connections.items():
            if index != but:
                connection.send(message)

    def _report(self) -> None:
        """Until the end: says how far this worker is, and looks at the others."""
        while not self._leaving:
            own, now = self._own, time.monotonic()
            self._broadcast({"at": own})
            if self.is_chief:
                self._table.report(0, *own, now)
            trouble = self._table.trouble(now)
            if trouble:
                self._fail(trouble)
                return
            time.sleep(self.patience.report)

    def _receive(self, index: int) -> None:
        """Takes what another worker says, until its connection ends."""
        for message in self._connections[index].messages():
            if "at" in message:
                position, ticks, doing = message["at"]
                self._table.report(index, position, ticks, doing, time.monotonic())
            elif "say" in message:
                self._leaving = self._leaving or message["say"] == _END
                self._said.put((message["say"], message["value"]))
            elif "stop" in message:
                self._fail(message["stop"])
            elif "leave" in message:
                self._fail(f"{self.cluster.name(index)} stopped: {message['leave']}", index)
        self._fail(
            f"{self.cluster.name(index)} is gone: its connection ended "
            f"(last seen at: {self._table.doing(index)})",
            index,
        )

    def _fail(self, sentence: str, lost: int | None = None) -> None:
        """Stops the run; the first reason counts."""
        with self._lock:
            if self._leaving or self._lost:
                return
            self._lost = sentence
        self._failed.set()
        if self.is_chief:
            self._broadcast({"stop": sentence}, but=lost)
        self._said.put((None, None))
        self._start(self._end_the_process)
        # Threads stand still while Python ends, and TensorFlow may wait there for the lost worker.
        atexit.register(self._exit)
        if self.abort_collectives is not None:
            with contextlib.suppress(Exception):  # the process ends one way or the other
                self.abort_collectives(sentence)

    def _stopped(self) -> RunStopped:
        self._told = True
        return RunStopped(f"{(self._lost or '').rstrip('.')}; {_ADVICE}")

    def _end_the_process(self) -> None:
        """The last resort: the main thread may be in code that cannot be interrupted."""
        time.sleep(self.patience.ending)
        if not self._told:
            print(f"stopped: {self._stopped()}", file=sys.stderr)
        self._exit()

    def _exit(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(ValueError):  # closed
                stream.flush()
        self._end_process(1)


def reason_to_leave(error: BaseException) -> str:
    """What the others are told of the error that ends this worker.

    Example:

    >>> reason_to_leave(RunStopped("the disk is full.")), reason_to_leave(KeyError("a"))
    ('the disk is full', "KeyError: 'a'")
    """
    if isinstance(error, InputError | RunStopped):
        return str(error).rstrip(".")
    return f"{type(error).__name__}: {error}"
