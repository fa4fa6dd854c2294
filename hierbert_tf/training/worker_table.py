"""Who was heard of when, and how far each worker is: finds the one that holds up the others."""

from dataclasses import dataclass

from hierbert_tf.training.cluster import Cluster


@dataclass
class _Entry:
    heard: float
    changed: float
    position: int = 0
    ticks: int = 0
    doing: str = "starting"


class WorkerTable:
    """Judges the workers' reports; knows no clock and no network.

    Two things are wrong: a worker is silent (its process is stopped, or its machine cannot be
    reached), or it reports, but is behind the others and has not got on for long (its disk hangs).

    Args:
        cluster: the workers.
        watched: numbers of the workers that report here.
        now: seconds, of any clock.
        silence: seconds without a report after which a worker is named.
        stall: seconds without progress after which the workers that are behind are named.

    Example:

    >>> table = WorkerTable(Cluster(("a:1", "b:1"), 0), (0, 1), now=0, silence=5, stall=60)
    >>> table.report(0, 2, 0, "step 1", now=6)
    >>> print(table.trouble(now=6))
    worker 1 (b:1) has not reported for 6 s (last seen at: starting)
    """

    def __init__(
        self,
        cluster: Cluster,
        watched: tuple[int, ...],
        now: float,
        silence: float,
        stall: float,
    ) -> None:
        self.cluster = cluster
        self.silence = silence
        self.stall = stall
        self._entries = {index: _Entry(now, now) for index in watched}

    def report(self, index: int, position: int, ticks: int, doing: str, now: float) -> None:
        """Takes a worker's report.

        Args:
            index: the worker.
            position: how far it is; the same numbers on all workers.
            ticks: grows with its progress within a position.
            doing: for people.
            now: seconds.
        """
        entry = self._entries[index]
        if (position, ticks) != (entry.position, entry.ticks):
            entry.changed = now
        entry.heard, entry.position, entry.ticks, entry.doing = now, position, ticks, doing

    def doing(self, index: int) -> str:
        """What a worker did when it was last heard of."""
        return self._entries[index].doing

    def trouble(self, now: float) -> str | None:
        """Names the workers that hold up the run, with what they did last; None if all is well."""
        silent = [i for i, e in self._entries.items() if now - e.heard > self.silence]
        if silent:
            entry = self._entries[silent[0]]
            return (
                f"{self.cluster.name(silent[0])} has not reported for {now - entry.heard:.0f} s "
                f"(last seen at: {entry.doing})"
            )
        least = min(entry.position for entry in self._entries.values())
        behind = [i for i, entry in self._entries.items() if entry.position == least]
        idle = now - max(self._entries[i].changed for i in behind)
        if idle <= self.stall:
            return None
        names = " and ".join(self.cluster.name(i) for i in behind)
        doing = self._entries[behind[0]].doing
        others = ", which holds up the others" if len(behind) < len(self._entries) else ""
        return f"{names} made no progress for {idle:.0f} s (at: {doing}){others}"
