"""The progress bar."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from tqdm.auto import tqdm

SHORT = {
    "masked_lm": "mlm",
    "next_sentence": "nsp",
    "bigram_shift": "shift",
    "sentence_order": "sop",
}


class Progress:
    """One line: steps done, time left, tokens a second and each task's loss.

    In a file instead of a terminal it writes a whole line at each log, not one a step.

    Args:
        steps: steps of the run.
        start_step: steps done before.
        stream: where to write; None: standard error.
        shown: False: write nothing.
        clock: seconds, for the time left in a file.
    """

    def __init__(
        self,
        steps: int,
        start_step: int = 0,
        stream: Any = None,
        shown: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream = stream or sys.stderr
        self.shown = shown
        self.terminal = bool(getattr(self.stream, "isatty", lambda: False)())
        self.bar = tqdm(
            total=steps,
            initial=start_step,
            file=self.stream,
            disable=not (shown and self.terminal),
            unit="step",
            dynamic_ncols=True,
            smoothing=0.05,
            bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}, {remaining} left{postfix}]",
        )
        self.steps = steps
        self._clock = clock
        # After the first step, which also builds the graph: no speed to judge the rest by.
        self._first: tuple[int, float] | None = None

    def step(self, step: int) -> None:
        """Moves the bar to `step`."""
        if self._first is None:
            self._first = (step, self._clock())
        self.bar.update(step - self.bar.n)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Shows the numbers of a log.

        Args:
            step: steps done.
            values: as `MetricWindow.means` gives them.
        """
        text = summary(values)
        if self.terminal:
            self.bar.set_postfix_str(text)
        elif self.shown:
            left = self._seconds_left(step)
            if left is not None:
                text += f", {tqdm.format_interval(left)} left"
            print(f"step {step}/{self.steps}: {text}", file=self.stream, flush=True)

    def close(self) -> None:
        """Ends the line."""
        self.bar.close()

    def _seconds_left(self, step: int) -> float | None:
        """At the speed since the first step, evaluations and checkpoints included."""
        if self._first is None or step <= self._first[0]:
            return None
        first, started = self._first
        return (self._clock() - started) / (step - first) * (self.steps - step)


def summary(values: Mapping[str, float]) -> str:
    """Speed and losses in a few characters.

    Example:

    >>> summary({"masked_lm/loss": 6.5, "total/loss": 7.0, "tokens_per_second": 15300.0})
    '15.3k tokens/s, mlm 6.500'
    """
    parts = []
    if "tokens_per_second" in values:
        parts.append(f"{values['tokens_per_second'] / 1000:.1f}k tokens/s")
    for name, value in values.items():
        task, _, kind = name.rpartition("/")
        if kind == "loss" and task != "total":
            parts.append(f"{SHORT.get(task, task)} {value:.3f}")
    return ", ".join(parts)
