"""SIGTERM and Ctrl-C, also while the main thread is deep in TensorFlow and runs no Python."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType


class SignalWatch:
    """Takes SIGTERM and SIGINT in a thread of its own.

    Python runs a signal's handler in the main thread, between two of its instructions; while that
    thread waits in TensorFlow for another worker, never. Here the signal's number comes through a
    pipe to a thread, at once. A signal ends the process, or is noted by the one who asked for it;
    a second one always ends it.

    To be made in the main thread.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.on_signal: Callable[[int], None] | None = None
        self.on_exit: Callable[[str], None] | None = None
        self._noted = False
        self._lock = threading.Lock()
        self._read, write = os.pipe()
        os.set_blocking(write, False)
        self._previous = {number: signal.signal(number, _nothing) for number in self.SIGNALS}
        self._wakeup = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, daemon=True).start()

    def exit(self, number: int) -> None:
        """Ends the process as this signal would, after it told the others."""
        name = signal.Signals(number).name
        if self.on_exit is not None:
            self.on_exit(name)
        print(f"stopped: {name}; nothing that was saved is lost", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(128 + number)

    def close(self) -> None:
        """Puts the earlier handlers back."""
        os.close(signal.set_wakeup_fd(self._wakeup))
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _watch(self) -> None:
        while data := os.read(self._read, 1):
            number = data[0]
            if number not in self.SIGNALS:
                continue
            with self._lock:
                noted_by = None if self._noted else self.on_signal
                self._noted = self._noted or noted_by is not None
            if noted_by is None:
                self.exit(number)
            else:
                noted_by(number)
        os.close(self._read)


def _nothing(number: int, frame: FrameType | None) -> None:
    """A handler in Python is what makes the number go into the pipe."""
