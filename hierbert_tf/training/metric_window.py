"""What happened between two lines of a log."""

import time
from typing import Any

import numpy as np


class MetricWindow:
    """Collects the metrics of steps without waiting for them, and averages them at the end.

    The time that a caller spends elsewhere (evaluation, checkpoints) does not count: it calls
    `pause` before and `resume` after.

    Example:

    >>> window = MetricWindow()
    >>> window.add(1, {"a/loss": 2.0, "a/weight": 1.0, "tokens": 10.0}, waited=0.0)
    >>> window.add(2, {"a/loss": 5.0, "a/weight": 2.0, "tokens": 10.0}, waited=0.0)
    >>> window.means()["a/loss"]  # weighted by the labels, as if it were one batch
    4.0
    """

    def __init__(self) -> None:
        self.steps: list[tuple[int, dict[str, Any]]] = []
        self.waited = 0.0
        self._seconds = 0.0
        self._started: float | None = None
        self._uncounted = 0

    def resume(self) -> None:
        """Lets the clock run."""
        self._started = time.perf_counter()

    def pause(self) -> None:
        """Stops the clock."""
        if self._started is not None:
            self._seconds += time.perf_counter() - self._started
        self._started = None

    def restart_clock(self) -> None:
        """Forgets the time and the tokens so far, such as those of tracing the first step."""
        self.waited = self._seconds = 0.0
        self._started = time.perf_counter()
        self._uncounted = len(self.steps)

    def add(self, step: int, metrics: dict[str, Any], waited: float) -> None:
        """Takes a step's metrics (tensors or numbers) and the seconds it waited for its data."""
        self.steps.append((step, metrics))
        self.waited += waited

    def first_failure(self) -> tuple[int, dict[str, Any]] | None:
        """Number and metrics of the first step whose `ok` is 0; waits for the device."""
        for step, metrics in self.steps:
            if not float(metrics.get("ok", 1.0)):
                return step, metrics
        return None

    def means(self) -> dict[str, float]:
        """Means over the window; waits for the device.

        Returns:
            `<task>/loss` and `<task>/accuracy` weighted by `<task>/weight`; `<task>/weight` summed;
            the last `learning_rate` and `loss_scale`; plain means of the rest; and, if the clock
            ran, `tokens_per_second` and `waiting_share` (0 to 1).
        """
        names = [name for name in self.steps[0][1] if name not in ("ok", "tokens")]
        values = {name: np.array([float(m[name]) for _, m in self.steps]) for name in names}
        tokens = [float(metrics.get("tokens", 0.0)) for _, metrics in self.steps]
        means = {}
        for name, series in values.items():
            task, _, kind = name.rpartition("/")
            weights = values.get(f"{task}/weight")
            if kind == "weight":
                means[name] = float(series.sum())
            elif name in ("learning_rate", "loss_scale"):
                means[name] = float(series[-1])
            elif weights is not None and kind in ("loss", "accuracy"):
                total = weights.sum()
                means[name] = float((series * weights).sum() / total) if total else float("nan")
            else:
                means[name] = float(series.mean())
        self.pause()
        counted = sum(tokens[self._uncounted :])
        if self._seconds > 0.0 and counted:
            means["tokens_per_second"] = counted / self._seconds
            means["waiting_share"] = min(1.0, self.waited / self._seconds)
        return means
