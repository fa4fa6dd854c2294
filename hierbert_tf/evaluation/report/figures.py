"""The figures of a report: SVG inside the page, in the page's own colours, light or dark."""

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from hierbert_tf.evaluation.by_length import LengthGroup
from hierbert_tf.evaluation.calibration import Calibration
from hierbert_tf.evaluation.report.page import Html, element

# Colours that stand for the page's; the drawing names them, `_svg` puts the variables in.
_COLOURS = {
    "#0a0b01": "var(--ink)",
    "#0a0b02": "var(--quiet)",
    "#0a0b03": "var(--line)",
    "#0a0b04": "var(--blue)",
    "#0a0b05": "var(--orange)",
    "#0a0b06": "var(--paper)",
}
INK, QUIET, LINE, BLUE, ORANGE, PAPER = _COLOURS


def calibration_figure(found: Calibration, name: str) -> Html:
    """Accuracy against confidence, with the share of the predictions in each bin below.

    Args:
        found: the reliability bins.
        name: what is right or wrong, for the axis (`accuracy`, `exact match`).
    """
    figure, (curve, counts) = _new(3.9, rows=2, ratios=(3, 1))
    curve.plot([0, 1], [0, 1], color=QUIET, linestyle=(0, (4, 3)), linewidth=1)
    curve.plot(
        [one.confidence for one in found.bins],
        [one.accuracy for one in found.bins],
        color=BLUE,
        marker="o",
        markersize=5,
        linewidth=1.6,
    )
    curve.set_ylim(-0.02, 1.02)
    curve.set_ylabel(name)
    curve.tick_params(labelbottom=False)
    curve.text(0.03, 0.93, "above the line: too cautious", color=QUIET, fontsize=9)
    curve.text(0.97, 0.04, "below: too sure", color=QUIET, fontsize=9, ha="right")
    total = sum(one.count for one in found.bins)
    counts.bar(
        [(one.low + one.high) / 2 for one in found.bins],
        [one.count / total for one in found.bins],
        width=[0.86 * (one.high - one.low) for one in found.bins],
        color=BLUE,
    )
    counts.set_ylabel("share")
    counts.set_xlabel("confidence")
    for axis in (curve, counts):
        axis.set_xlim(-0.02, 1.02)
    text = (
        f"Calibration: mean confidence {found.confidence:.3f}, {name} {found.accuracy:.3f}, "
        f"expected calibration error {found.expected_error:.3f}."
    )
    return _svg(figure, text)


def length_figure(series: Sequence[tuple[str, Sequence[LengthGroup]]], unit: str) -> Html:
    """Mean scores by length, with twice the standard error.

    Args:
        series: name and groups of each score, of the same lengths; at most two.
        unit: what the lengths count, such as `tokens`.
    """
    figure, (axis,) = _new(3.1)
    for (name, groups), colour, shift in zip(series, (BLUE, ORANGE), (-0.06, 0.06), strict=False):
        axis.errorbar(
            [number + shift * (len(series) - 1) for number in range(len(groups))],
            [one.mean for one in groups],
            yerr=[2 * one.error for one in groups],
            color=colour,
            marker="o",
            markersize=5,
            linewidth=1.6,
            elinewidth=1.2,
            capsize=3,
            label=name,
        )
    groups = series[0][1]
    axis.set_xticks(range(len(groups)), [_span(one) for one in groups])
    axis.set_xlim(-0.4, len(groups) - 0.6)
    low, high = axis.get_ylim()
    axis.set_ylim(max(0.0, low - 0.03), min(1.02, high + 0.03))
    axis.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.4g}\N{NO-BREAK SPACE}%")
    axis.set_xlabel(unit)
    if len(series) > 1:
        _legend(axis)
    else:
        axis.set_ylabel(series[0][0])
    words = "; ".join(
        f"{name} " + ", ".join(f"{_span(one)} {unit} {one.mean:.3f}" for one in groups)
        for name, groups in series
    )
    return _svg(figure, f"By length: {words}.")


def null_odds_figure(
    has_answer: Sequence[float], no_answer: Sequence[float], threshold: float | None
) -> Html:
    """How the null odds of questions with and without an answer lie, and the threshold.

    Args:
        has_answer: null odds of the questions that have an answer.
        no_answer: of those that have none.
        threshold: the threshold in use; None: every question is answered.
    """
    figure, (axis,) = _new(3.1)
    finite = np.array([value for value in (*has_answer, *no_answer) if np.isfinite(value)])
    # A few extreme odds must not squeeze the rest into one bar: they count in the outer bars.
    low, high = np.quantile(finite, [0.005, 0.995]) if finite.size else (-1.0, 1.0)
    if high - low < 1e-6:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, 41)
    for values, name, colour in (
        (has_answer, "has an answer", BLUE),
        (no_answer, "has none", ORANGE),
    ):
        axis.hist(
            np.clip(values, low, high),
            edges,
            histtype="stepfilled",
            facecolor=(colour, 0.3),
            edgecolor=colour,
            linewidth=1.4,
            label=name,
        )
    if threshold is not None and low <= threshold <= high:
        axis.axvline(threshold, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label="threshold")
    axis.set_xlabel("null odds (no answer is likelier to the right)")
    axis.set_ylabel("questions")
    _legend(axis)
    text = f"Null odds of {len(has_answer)} questions with an answer and {len(no_answer)} without."
    return _svg(figure, text)


def _span(group: LengthGroup) -> str:
    if group.shortest == group.longest:
        return str(group.shortest)
    return f"{group.shortest}\N{EN DASH}{group.longest}"


def _new(height: float, rows: int = 1, ratios: Sequence[float] = (1,)) -> tuple[Figure, Any]:
    figure = Figure(figsize=(5.2, height), layout="constrained")
    figure.patch.set_visible(False)
    axes = figure.subplots(rows, 1, squeeze=False, height_ratios=ratios)[:, 0]
    for axis in axes:
        axis.patch.set_visible(False)
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color(QUIET)
        axis.grid(True, axis="y", color=LINE, linewidth=0.8)
        axis.set_axisbelow(True)
        axis.tick_params(color=QUIET, labelcolor=INK, labelsize=10)
        axis.xaxis.label.set(color=INK, fontsize=10)
        axis.yaxis.label.set(color=INK, fontsize=10)
    return figure, axes


def _legend(axis: Any) -> None:
    # Above the drawing, so that it hides nothing.
    axis.legend(
        frameon=False,
        labelcolor=INK,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=3,
        borderaxespad=0.2,
    )


def _svg(figure: Figure, text: str) -> Html:
    """The figure as an element of the page; `text` says in words what it shows."""
    FigureCanvasSVG(figure)
    drawn = io.StringIO()
    # Other ids derive from the salt: equal for the same figure, different in two of a page.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": text}):
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    svg = drawn.getvalue()
    # The groups' ids are the same in each figure, and nothing refers to them.
    svg = re.sub(r'<g id="[^"]*"', "<g", svg[svg.index("<svg") :])
    for stand_in, variable in _COLOURS.items():
        svg = svg.replace(stand_in, variable)
    svg = svg.replace("<svg ", '<svg aria-hidden="true" ', 1)
    return element("figure", Html(svg), role="img", aria_label=text)
