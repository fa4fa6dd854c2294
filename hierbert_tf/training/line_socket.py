"""Messages between two workers: one JSON value a line."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

# The settings of a run are a few kB; a stranger must not fill the memory.
LONGEST_LINE = 1 << 20


class LineSocket:
    """A connected socket that sends and receives JSON values.

    Args:
        connection: connected TCP socket; it is closed with this object.

    Example:

    >>> one, other = map(LineSocket, socket.socketpair())
    >>> one.send({"step": 3})
    True
    >>> other.receive(seconds=5)
    {'step': 3}
    >>> one.close(); other.receive(seconds=5) is None
    True
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._stream = connection.makefile("rb")
        self._sending = threading.Lock()

    def send(self, message: Any) -> bool:
        """Sends a value; False where the other side is gone."""
        line = json.dumps(message).encode() + b"\n"
        try:
            with self._sending:
                self.connection.sendall(line)
        except (OSError, ValueError):
            return False
        return True

    def receive(self, seconds: float | None = None) -> Any:
        """The next value; None if the other side is gone, sent no JSON, or is too slow.

        Args:
            seconds: longest wait; afterwards nothing more can be received. None: no bound.
        """
        try:
            self.connection.settimeout(seconds)
            line = self._stream.readline(LONGEST_LINE)
            self.connection.settimeout(None)
            return json.loads(line) if line.endswith(b"\n") else None
        except (OSError, ValueError):
            return None

    def messages(self) -> Iterator[Any]:
        """The values that come, until the other side is gone."""
        while (message := self.receive()) is not None:
            yield message

    def close(self) -> None:
        """Ends the connection; a thread that receives from it gets None."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()
        self._stream.close()
