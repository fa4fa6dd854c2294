"""The figures of a probing run: a heat map, layer by task, and a panel of lines for each task."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from hierbert_tf.probing.head_names import HeadNames
from hierbert_tf.probing.layer_scores import APART, LayerScores, by_task, heads_by_layer
from hierbert_tf.probing.scores import PRE_TRAINED, RANDOM_WEIGHTS, ProbeScore
from hierbert_tf.training.monitor.plots import (
    BLUE,
    GREY,
    ORANGE,
    draw_heat_map,
    heat_limit,
    panels,
    words,
)

Heads = Sequence[tuple[str, int]]

POOLINGS = {
    "cls": "vector of [CLS]",
    "mean": "mean over the tokens",
    "max": "maximum over the tokens",
    "first_token": "first token of the word",
    "given": "given vectors",
}
PURPLE = "#8358a8"
# What a panel shows of each encoder, drawn in this order.
LINES = (
    (RANDOM_WEIGHTS, "test", "random weights", GREY, "s"),
    (PRE_TRAINED, "control", "pre-trained, on random labels", PURPLE, "^"),
    (PRE_TRAINED, "test", "pre-trained", BLUE, "o"),
)
MOST_PANELS_A_ROW = 5
# Inches; a character's width is that of the labels, generously.
PANEL_HEIGHT, CELL, CHARACTER = 2.1, (0.62, 0.35), 0.085
LEGEND_WIDTH = 7.8  # of the legend in one row
ANGLE = 35  # of the tasks' names, degrees


def probing_figures(
    scores: Sequence[ProbeScore], heads: Heads, pooling: str
) -> Iterator[tuple[str, Figure]]:
    """The figures of one pooling by name: `heat_map`, `lines` and, if measured, `selectivity`.

    Args:
        scores: of the run.
        heads: name and layer of each pre-training task.
        pooling: which to draw.
    """
    yield "heat_map", heat_map(scores, heads, pooling)
    yield "lines", layer_lines(scores, heads, pooling)
    if any(score.selectivity is not None for score in scores if score.pooling == pooling):
        yield "selectivity", selectivity_map(scores, heads, pooling)


def heat_map(scores: Sequence[ProbeScore], heads: Heads, pooling: str) -> Figure:
    """Test accuracy of every layer and task, mean over the seeds.

    Layers go upward, tasks rightward, `bigram_shift` last behind a gap. The colour is what the
    accuracy has above the majority's. Below the layers stand the best layer of the encoder with
    random weights, chosen on validation, and the majority; at the right the pre-training heads.

    Args:
        scores: of the run; those of other poolings are left out.
        heads: name and layer of each pre-training task.
        pooling: which to draw.

    Raises:
        ValueError: no score of this pooling.
    """
    return _heat_map(
        scores, heads, pooling, "test", "Test accuracy, %", "points above the majority"
    )


def selectivity_map(scores: Sequence[ProbeScore], heads: Heads, pooling: str) -> Figure:
    """Selectivity of every layer and task: accuracy above the one on random labels.

    Args:
        scores: of the run; those of other poolings are left out.
        heads: name and layer of each pre-training task.
        pooling: which to draw.

    Raises:
        ValueError: no score of this pooling.
    """
    return _heat_map(
        scores, heads, pooling, "selectivity", "Selectivity, points", "points above random labels"
    )


def layer_lines(scores: Sequence[ProbeScore], heads: Heads, pooling: str) -> Figure:
    """Test accuracy over the layers, a panel a task, with the deviation over the seeds.

    Args:
        scores: of the run; those of other poolings are left out.
        heads: name and layer of each pre-training task, drawn as upright lines.
        pooling: which to draw.

    Raises:
        ValueError: no score of this pooling.
    """
    tasks = _tasks(scores, pooling)
    columns = min(MOST_PANELS_A_ROW, len(tasks))
    rows = -(-len(tasks) // columns)
    layers = {one for found in tasks.values() for some in found.values() for one in some.layers}
    names = HeadNames(heads, layers, PANEL_HEIGHT)
    width = max(5.2, 0.7 + (names.width + 0.5) * columns)
    height = (0.9 if width >= LEGEND_WIDTH else 1.15) + (PANEL_HEIGHT + 0.6) * rows
    figure, axes = panels(width, height, columns, rows, "layer")
    for axis, (task, found) in zip(axes, tasks.items(), strict=False):
        low, high = _draw_task(axis, found)
        names.draw(axis, low, high)
        axis.set_title(words(task), fontsize=10, loc="left")
        axis.set_xlabel("layer")
    for axis in axes[len(tasks) :]:
        axis.remove()
    for axis in axes[: len(tasks) : columns]:
        axis.set_ylabel("test accuracy, %")
    named: dict[str, Any] = {}
    for axis in axes[: len(tasks)]:
        handles, labels = axis.get_legend_handles_labels()
        named.update(zip(labels, handles, strict=True))
    figure.legend(
        named.values(),
        named,
        frameon=False,
        fontsize=9,
        loc="outside lower center",
        ncols=4 if width >= LEGEND_WIDTH else 2,
    )
    seeds = {score.seed for score in scores if score.pooling == pooling}
    bars = f" (bars: standard deviation over {len(seeds)} seeds)" if len(seeds) > 1 else ""
    figure.suptitle(f"Probes of every layer: {_shown(pooling)}{bars}", fontsize=11)
    return figure


def _draw_task(axis: Any, found: Mapping[str, LayerScores]) -> tuple[float, float]:
    """Draws the lines of one task; returns the lowest and the highest accuracy drawn, in %."""
    majority = 100 * next(iter(found.values())).majority
    low = high = majority
    for encoder, name, label, colour, marker in LINES:
        scores = found.get(encoder)
        if scores is None or not scores.has(name):
            continue
        spreads = [(layer, scores.spread(layer, name)) for layer in scores.layers]
        points = [
            (layer, 100 * one.mean, 100 * (one.deviation or 0.0)) for layer, one in spreads if one
        ]
        layers, means, deviations = np.array(points).T
        axis.errorbar(
            layers,
            means,
            yerr=deviations if deviations.any() else None,
            color=colour,
            marker=marker,
            markersize=3.5,
            linewidth=1.6,
            elinewidth=1.1,
            capsize=2.5,
            label=label,
        )
        low, high = min(low, *(means - deviations)), max(high, *(means + deviations))
    axis.axhline(majority, color=GREY, linestyle=(0, (4, 3)), linewidth=1.2, label="majority")
    return low, high


def _heat_map(
    scores: Sequence[ProbeScore], heads: Heads, pooling: str, name: str, title: str, bar: str
) -> Figure:
    """Draws a field of the pre-trained encoder's scores; an accuracy with its baselines below."""
    tasks = _tasks(scores, pooling)
    found = [encoders.get(PRE_TRAINED) for encoders in tasks.values()]
    at = heads_by_layer(heads)
    # A head's layer has a row even where it was not probed.
    layers = sorted({layer for one in found if one for layer in one.layers} | set(at))
    rows = [(str(layer), [_mean(one, layer, name) for one in found]) for layer in layers]
    base = np.zeros(len(tasks))
    below = 0
    if name == "test":
        base = np.array([next(iter(one.values())).majority for one in tasks.values()])
        random = [_best(one.get(RANDOM_WEIGHTS)) for one in tasks.values()]
        if not np.isnan(random).all():
            rows.insert(0, ("random weights,\nbest layer", random))
        rows.insert(0, ("majority", list(base)))
        below = len(rows) - len(layers)
    labels, values = [label for label, _ in rows], np.array([row for _, row in rows])
    sign = "" if name == "test" else "+"
    texts = [["" if np.isnan(one) else f"{100 * one:{sign}.1f}" for one in row] for row in values]
    shown = [words(task) for task in tasks]
    named = ["\N{BLACK LEFT-POINTING TRIANGLE} " + ", ".join(map(words, at[one])) for one in at]
    title = f"{title}: {_shown(pooling)}"

    figure = Figure(figsize=_size(shown, labels, named, title), dpi=130)
    # Wider than its default: one pass of the layout can miss a turned name by some pixels.
    figure.set_layout_engine("constrained", w_pad=0.12)
    axis = figure.subplots()
    colours = values - base
    limit = heat_limit(colours.ravel())
    image = draw_heat_map(axis, colours, limit, texts)
    if below:
        axis.axhline(below - 0.5, color="white", linewidth=5)
    if APART in tasks and len(tasks) > 1:
        axis.axvline(len(tasks) - 1.5, color="white", linewidth=5)
    axis.set_xticks(range(len(tasks)), shown, rotation=ANGLE, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(labels)), labels)
    axis.set_ylabel("layer", y=(below + len(labels)) / (2 * len(labels)))
    if at:
        right = axis.secondary_yaxis("right")
        right.set_yticks(
            [below + layers.index(layer) for layer in at], named, color=ORANGE, fontsize=9
        )
        right.tick_params(length=0)
        right.spines[:].set_visible(False)
    colour_bar = figure.colorbar(image, ax=axis, shrink=0.9, pad=0.02)
    colour_bar.ax.set_ylim(min(0.0, float(np.nanmin(colours))), limit)
    colour_bar.ax.yaxis.set_major_formatter(
        lambda value, _: f"{100 * value:+.0f}" if abs(value) > 1e-9 else "0"
    )
    colour_bar.set_label(bar, fontsize=9)
    colour_bar.outline.set_visible(False)  # type: ignore[operator]
    figure.suptitle(title, fontsize=11)
    return figure


def _size(
    tasks: Sequence[str], rows: Sequence[str], heads: Sequence[str], title: str
) -> tuple[float, float]:
    """Width and height of a heat map, inches, by the longest of its labels."""
    long = [CHARACTER * len(task) for task in tasks]
    slope = np.deg2rad(ANGLE)
    reach = max(
        length * np.cos(slope) - CELL[0] * (place + 0.5) for place, length in enumerate(long)
    )
    left = max(0.3 + CHARACTER * max(len(line) for row in rows for line in row.split("\n")), reach)
    right = CHARACTER * max(map(len, heads), default=0) + 1.2  # with the colour bar
    width = max(left + CELL[0] * len(tasks) + right, CHARACTER * 1.1 * len(title))
    return width, 0.7 + CELL[1] * max(4, len(rows)) + max(long) * np.sin(slope)


def _tasks(scores: Sequence[ProbeScore], pooling: str) -> dict[str, dict[str, LayerScores]]:
    tasks = by_task(scores, pooling)
    if not tasks:
        raise ValueError(f"no score of pooling {pooling!r}")
    return tasks


def _shown(pooling: str) -> str:
    return POOLINGS.get(pooling, words(pooling))


def _mean(scores: LayerScores | None, layer: int, name: str) -> float:
    spread = None if scores is None else scores.spread(layer, name)
    return float("nan") if spread is None else spread.mean


def _best(scores: LayerScores | None) -> float:
    return float("nan") if scores is None else _mean(scores, scores.best_layer, "test")
