"""SIGTERM (pre-emption) and Ctrl-C: end after the current step instead of in the middle of it."""

import signal
from collections.abc import Mapping
from types import FrameType, TracebackType
from typing import Any

import numpy as np


class Interruption:
    """Context in which SIGTERM and SIGINT are only noted; a second one acts at once.

    Enter it *after* a `tf.distribute` strategy is made, because making one replaces the handlers.
    The handlers found at entry are put back at exit.

    Example:

    >>> with Interruption() as interruption:
    ...     signal.raise_signal(signal.SIGTERM)
    ...     print(interruption.requested, interruption.exit_code)
    True 143
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)
    # Names of the flags that other workers must hear of; see `SharedInterruption`.
    names: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.signal: int | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        """Installs the handlers; outside the main thread, where Python has none, does nothing."""
        try:
            for number in self.SIGNALS:
                self._previous[number] = signal.signal(number, self._note)
        except ValueError:
            self._previous = {}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Puts the earlier handlers back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous = {}

    @property
    def requested(self) -> bool:
        """A signal has come."""
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as a shell reports it; 0 without a signal."""
        return 0 if self.signal is None else 128 + self.signal

    def flags(self) -> np.ndarray:
        """What the other workers must hear of: nothing, there are none. Float32 `[0]`."""
        return np.zeros([0], np.float32)

    def hear(self, sums: Mapping[str, Any]) -> None:
        """Takes the sums of all workers' flags, by name."""

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        # The next one of either kind: KeyboardInterrupt, or the end of the process.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
