"""A run's plots: loss and accuracy a task, learning rate, gradient cosines."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

Series = Mapping[int, Mapping[str, float]]

BLUE, ORANGE, GREY, PALE = "#1f5fa8", "#d1642b", "#8a8f98", "#e6e8eb"
MOST_COLUMNS = 40  # of a heat map: more are narrower than a label


def words(name: str) -> str:
    """A task's name as a figure shows it.

    Example:

    >>> words("masked_lm")
    'masked LM'
    """
    return name.replace("_", " ").replace("masked lm", "masked LM")


def panels(
    width: float, height: float, columns: int, rows: int = 1, x_label: str = "step"
) -> tuple[Figure, Any]:
    """A figure of panels with a pale grid.

    Args:
        width: of the figure, inches.
        height: likewise.
        columns: of panels.
        rows: of panels.
        x_label: below each column.

    Returns:
        The figure and its `rows * columns` axes, row by row.
    """
    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(True, color=PALE, linewidth=0.8)
        axis.set_axisbelow(True)
    for axis in axes[-columns:]:
        axis.set_xlabel(x_label)
    return figure, axes


def heat_limit(values: Iterable[float]) -> float:
    """The end of a heat map's scale, which goes as far below 0: a tenth or more, at most 1.

    Gradients of different tasks are often nearly orthogonal, and few probes come far above the
    majority: a scale to 1 would show white only.

    Example:

    >>> heat_limit([0.02, -0.31, float("nan")]), heat_limit([])
    (0.4, 0.1)
    """
    largest = max((abs(value) for value in values if not np.isnan(value)), default=0.0)
    return min(1.0, max(0.1, float(np.ceil(10 * largest) / 10)))


def draw_heat_map(
    axis: Any, table: np.ndarray, limit: float, texts: Sequence[Sequence[str]] | None = None
) -> Any:
    """Draws a table in colours, red below 0 and blue above; NaN is grey.

    Args:
        axis: where to.
        table: float `[rows, columns]`; the first row is drawn lowest.
        limit: the value of the full colours.
        texts: what to write into each cell.

    Returns:
        The image, for a colour bar.
    """
    image = axis.imshow(
        table,
        cmap="RdBu",
        vmin=-limit,
        vmax=limit,
        aspect="auto",
        origin="lower",
        interpolation="none",
    )
    if texts is not None:
        for (row, column), value in np.ndenumerate(table):
            colour = "white" if abs(value) > 0.6 * limit else "#222222"
            shown = texts[row][column]
            axis.text(column, row, shown, ha="center", va="center", fontsize=9, color=colour)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_facecolor(PALE)
    return image


def _points(series: Series, name: str) -> tuple[list[int], list[float]]:
    steps = [step for step, values in series.items() if name in values]
    return steps, [series[step][name] for step in steps]


def task_plot(
    task: str, train: Series, held_out: Series, chance: Mapping[str, float] | None = None
) -> Figure:
    """Loss and accuracy of one task over the steps, with the level that chance reaches.

    Args:
        task: the task's name.
        train: `{step: {"<task>/loss": ..., "<task>/accuracy": ...}}`.
        held_out: likewise, on held-out documents.
        chance: `loss` and `accuracy` of a guess without reading, where known.
    """
    figure, axes = panels(9.0, 3.4, 2)
    for axis, kind in zip(axes, ("loss", "accuracy"), strict=True):
        name = f"{task}/{kind}"
        steps, values = _points(train, name)
        axis.plot(steps, values, color=BLUE, linewidth=1.2, alpha=0.75, label="train")
        steps, values = _points(held_out, name)
        axis.plot(steps, values, color=ORANGE, linewidth=2, marker="o", ms=4, label="held out")
        level = (chance or {}).get(kind)
        if level is not None:
            axis.axhline(level, color=GREY, linestyle=(0, (4, 3)), linewidth=1.2, label="chance")
        axis.set_ylabel("loss (nats)" if kind == "loss" else "accuracy")
        axis.set_title(kind, fontsize=11, loc="left")
    axes[0].legend(frameon=False, fontsize=9)
    figure.suptitle(words(task), fontsize=13, fontweight="bold")
    return figure


def optimizer_plot(train: Series) -> Figure:
    """Learning rate and gradient norm over the steps."""
    figure, axes = panels(9.0, 3.0, 2)
    for axis, name in zip(axes, ("learning_rate", "gradient_norm"), strict=True):
        axis.plot(*_points(train, name), color=BLUE, linewidth=1.5)
        axis.set_title(name.replace("_", " "), fontsize=11, loc="left")
        axis.set_ylim(bottom=0)
    axes[0].ticklabel_format(axis="y", style="sci", scilimits=(-3, 3))
    return figure


def cosine_name(pair: Sequence[str], layer: str) -> str:
    """Name of one cosine among a run's metrics.

    Example:

    >>> cosine_name(("next_sentence", "masked_lm"), "encoder_block_1")
    'next_sentence~masked_lm/encoder_block_1'
    """
    return f"{pair[0]}~{pair[1]}/{layer}"


def _thin(steps: list[int], most: int) -> list[int]:
    """At most `most` of the steps, evenly chosen, the first and the last among them."""
    if len(steps) <= most:
        return steps
    return [steps[index] for index in np.linspace(0, len(steps) - 1, most).round().astype(int)]


def cosine_plot(history: Series) -> Figure:
    """Heat maps of the gradient cosines: a panel a pair of tasks, layers upward, steps rightward.

    Args:
        history: `{step: {"<task>~<other>/<layer>": cosine}}`; NaN is drawn grey. Of more than
            `MOST_COLUMNS` steps that many are drawn.
    """
    steps = _thin(sorted(history), MOST_COLUMNS)
    names = list(dict.fromkeys(name for step in steps for name in history[step]))
    pairs = list(dict.fromkeys(name.partition("/")[0] for name in names))
    layers = list(dict.fromkeys(name.partition("/")[2] for name in names))
    columns = max(1, len(pairs))
    figure = Figure(
        figsize=(1.6 + 3.4 * columns, 1.3 + 0.36 * max(3, len(layers))),
        dpi=130,
        layout="constrained",
    )
    axes = figure.subplots(1, columns, squeeze=False, sharey=True)[0]
    limit = heat_limit(value for step in steps for value in history[step].values())
    image = None
    for axis, pair in zip(axes, pairs, strict=False):
        table = np.array(
            [[history[s].get(f"{pair}/{layer}", np.nan) for s in steps] for layer in layers]
        )
        texts = [["" if np.isnan(value) else f"{value:+.2f}" for value in row] for row in table]
        few_enough_to_read = len(steps) <= 3
        image = draw_heat_map(axis, table, limit, texts if few_enough_to_read else None)
        ticks = np.unique(np.linspace(0, len(steps) - 1, min(5, len(steps))).round().astype(int))
        axis.set_xticks(ticks, [str(steps[tick]) for tick in ticks])
        axis.set_yticks(range(len(layers)), [layer.replace("_", " ") for layer in layers])
        axis.set_xlabel("step")
        axis.set_title(words(pair).replace("~", " and "), fontsize=10)
    if image is not None:
        bar = figure.colorbar(image, ax=list(axes), shrink=0.9, pad=0.02)
        bar.set_label("cosine of gradients\n(grey: not reached by both)", fontsize=8)
        bar.outline.set_visible(False)  # type: ignore[operator]
    return figure
