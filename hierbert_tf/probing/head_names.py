"""The layers of the pre-training heads as named, upright lines in a panel."""

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.ticker import MaxNLocator

from hierbert_tf.probing.layer_scores import heads_by_layer
from hierbert_tf.training.monitor.plots import ORANGE, words


class HeadNames:
    """Where the lines and names of the heads stand in a panel whose x axis counts layers.

    The names have the top of the panel for themselves, and the layers have the room that the names
    of neighbouring heads need: nothing overlaps.

    Args:
        heads: name and layer of each head.
        layers: the layers that the panel shows.
        height: of the panel, inches.

    Attributes:
        width: inches that the panel needs.

    Example:

    >>> HeadNames([("next_sentence", 2), ("bigram_shift", 2)], range(5), height=2.0).width
    2.0
    >>> HeadNames([("next_sentence", 6), ("bigram_shift", 7)], range(13), height=2.0).width > 2.0
    True
    """

    LINE, CHARACTER = 0.12, 0.056  # inches, at 7 points

    def __init__(
        self, heads: Sequence[tuple[str, int]], layers: Iterable[int], height: float
    ) -> None:
        self._at = heads_by_layer(heads)
        shown = {*layers, *self._at}
        self._first, self._last = min(shown), max(shown)
        # A name stands left of its line, and must not reach the line of the head below it.
        space = {layer: self.LINE * len(names) + 0.05 for layer, names in self._at.items()}
        below = zip(self._at, list(self._at)[1:], strict=False)
        a_layer = max((space[layer] / (layer - other) for other, layer in below), default=0.0)
        self._margin = max(0.15, space.get(self._first, 0.0))
        self.width = max(2.0, a_layer * (self._last - self._first) + self._margin + 0.15)
        longest = max((len(words(name)) for name, _ in heads), default=0)
        self._share = min(0.6, self.CHARACTER * longest / height)

    def draw(self, axis: Any, low: float, high: float) -> None:
        """Draws the lines and names, and sets the panel's limits and ticks.

        Args:
            axis: the panel.
            low: lowest accuracy that it shows, in %.
            high: highest.
        """
        # A difference inside the noise must not fill the panel.
        middle, span = (low + high) / 2, max(high - low, 10.0)
        low, high = middle - 0.55 * span, middle + 0.55 * span
        axis.set_ylim(low, low + (high - low) / (1 - self._share))
        ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)
        axis.set_yticks([tick for tick in ticks if max(0, low) <= tick <= min(100, high)])
        a_layer = max(1, self._last - self._first) / (self.width - self._margin - 0.15)
        axis.set_xlim(self._first - self._margin * a_layer, self._last + 0.15 * a_layer)
        axis.set_xticks(range(self._first, self._last + 1, -(-(self._last - self._first + 1) // 7)))
        for layer, name in self._names():
            axis.axvline(layer, color=ORANGE, linewidth=1.0, zorder=1.5)
            axis.annotate(
                name,
                (layer, 1.0),
                (-2, 0),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                rotation=90,
                ha="right",
                va="top",
                fontsize=7,
                color=ORANGE,
            )

    def _names(self) -> list[tuple[int, str]]:
        return [(layer, "\n".join(map(words, names))) for layer, names in self._at.items()]
