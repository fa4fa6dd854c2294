"""Signals that stop all workers at the same step, whichever of them received one."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any

import numpy as np

from hierbert_tf.training.interruption import Interruption
from hierbert_tf.training.signal_watch import SignalWatch


class SharedInterruption(Interruption):
    """An interruption that counts only when every worker knows of it.

    Each worker puts its own signals into the step as flags (`flags`), the step adds them up over
    the workers with its losses, and each hears the sums (`hear`): so all stop after the same step
    without a word more between them. What is heard is one step old, so that no worker waits for the
    step that it has just begun.

    Args:
        watch: delivers the signals.
    """

    names = tuple(f"signal/{number.name}" for number in Interruption.SIGNALS)

    def __init__(self, watch: SignalWatch) -> None:
        super().__init__()
        self._watch = watch
        self._noted: int | None = None
        self._pending: dict[str, Any] = {}

    def flags(self) -> np.ndarray:
        """This worker's flags, float32 `[number of signals]`."""
        return np.array([number == self._noted for number in self.SIGNALS], np.float32)

    def hear(self, sums: Mapping[str, Any]) -> None:
        """Takes the sums of all workers' flags, by name; they count at the next call."""
        for number, name in zip(self.SIGNALS, self.names, strict=True):
            if name in self._pending and float(self._pending[name]) and self.signal is None:
                self.signal = number
        self._pending = {name: sums[name] for name in self.names}

    def __enter__(self) -> "SharedInterruption":
        """Signals are noted from here on."""
        self._watch.on_signal = self._note_signal
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Signals end the process again; so does one that the others have not heard of."""
        self._watch.on_signal = None
        if self._noted is not None and not self.requested and kind is None:
            self._watch.exit(self._noted)

    def _note_signal(self, number: int) -> None:
        self._noted = number
