"""How far a stage of preparation is, and how fast."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class StageProgress:
    """How far a stage is.

    Args:
        stage: `read`, `duplicates`, `remove`, `sample`, `vocabulary`, `tokens` or `shards`.
        tasks_done: finished tasks, those of an earlier run too.
        tasks: all of them.
        documents: documents in the finished ones.
        bytes: what the tasks of this run have read (or, of shards, written).
        seconds: since the stage began in this run.

    Example:

    >>> StageProgress("read", 1, 4, 1234, 50_000_000, 10.0).to_text()
    'read: 1 of 4, 1,234 documents, 5.0 MB/s'
    """

    stage: str
    tasks_done: int
    tasks: int
    documents: int
    bytes: int
    seconds: float

    def to_text(self) -> str:
        """One line for a person."""
        documents = f", {self.documents:,} documents" if self.documents else ""
        speed = f", {self.bytes / 1e6 / max(self.seconds, 1e-9):.1f} MB/s" if self.bytes else ""
        return f"{self.stage}: {self.tasks_done} of {self.tasks}{documents}{speed}"


Watch = Callable[[StageProgress], None]
"""Called after each task."""
