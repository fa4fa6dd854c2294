"""What the training loop asks of the other workers; here: there are none."""

from typing import Any

from hierbert_tf.training.interruption import Interruption


class WorkerGroup:
    """The workers of a run, seen from one of them. This class is a run of one worker.

    `hierbert_tf.training.connected_workers.ConnectedWorkers` is a run of several.

    Example:

    >>> group = WorkerGroup()
    >>> group.is_chief, group.from_chief("start", 200)
    (True, 200)
    """

    size = 1
    index = 0

    @property
    def is_chief(self) -> bool:
        """This worker prepares the text and writes everything."""
        return self.index == 0

    def interruption(self) -> Interruption:
        """The context that notes signals while training."""
        return Interruption()

    def at(self, position: int, doing: str) -> None:
        """Says how far this worker is; one that stays behind the others is named after a while.

        Args:
            position: grows along the run, and counts the same on every worker.
            doing: for people, such as `step 12`.
        """

    def tick(self, doing: str = "") -> None:
        """Says that there is progress within a position.

        Raises:
            RunStopped: another worker is gone or stuck.
        """

    def from_chief(self, name: str, value: Any = None) -> Any:
        """The chief's value, on every worker; all of them call this in the same order.

        Args:
            name: what it is, for people.
            value: the chief's, as JSON can hold it; that of the others is not looked at.

        Raises:
            RunStopped: another worker is gone or stuck.
        """
        return value

    def failure(self, error: BaseException) -> BaseException:
        """The error to raise for one that a lost worker may have caused; as it is, if none did."""
        return error

    def leave(self, reason: str) -> None:
        """Tells the others why this worker stops early."""

    def end(self) -> None:
        """Waits until the chief has written everything; the last thing that a whole run does.

        Raises:
            RunStopped: another worker is gone.
        """
