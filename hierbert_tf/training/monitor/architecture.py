"""The diagram of a model: the stack of blocks, the tasks at their layers, the transfers."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from hierbert_tf.config import EncoderConfig, TaskConfig

INK, LINE = "#1f2933", "#7b8794"
BLOCK_FACE, BLOCK_EDGE = "#e3edf8", "#5b8db8"
EMBEDDINGS_FACE, EMBEDDINGS_EDGE = "#e8eaee", "#8a94a3"
TRANSFER = "#c2410c"
TASK_COLOURS = (
    ("#fdf0d9", "#c98a1b"),
    ("#e2f3e6", "#4a9a5f"),
    ("#efe6f7", "#8358a8"),
    ("#fbe4e6", "#b8505c"),
)
STACK_LEFT, STACK_WIDTH, BLOCK_HEIGHT = 0.6, 3.2, 0.62
TASK_LEFT, TASK_WIDTH, TASK_HEIGHT, TASK_GAP = 5.6, 3.1, 0.74, 0.2


def _box(
    axis: Axes, left: float, middle: float, width: float, height: float, colours: Sequence[str]
) -> None:
    axis.add_patch(
        FancyBboxPatch(
            (left, middle - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor=colours[0],
            edgecolor=colours[1],
            linewidth=1.4,
            zorder=3,
        )
    )


def _arrow(
    axis: Axes, points: Sequence[tuple[float, float]], colour: str = LINE, width: float = 1.4
) -> None:
    """A line through the points with a head at the last."""
    xs, ys = zip(*points, strict=True)
    axis.plot(xs, ys, color=colour, linewidth=width, solid_joinstyle="round", zorder=2)
    axis.add_patch(
        FancyArrowPatch(
            points[-2],
            points[-1],
            arrowstyle="-|>,head_length=5,head_width=3",
            color=colour,
            linewidth=width,
            shrinkA=0,
            shrinkB=0,
            zorder=2,
        )
    )


def spread(wanted: Sequence[float], distance: float) -> list[float]:
    """Places as near as possible to the wanted ones, in order, at least `distance` apart.

    Args:
        wanted: ascending numbers.
        distance: smallest difference between neighbours.

    Example:

    >>> spread([1.0, 1.0, 5.0], 1.0)
    [0.5, 1.5, 5.0]
    """
    groups: list[list[float]] = []  # of wanted places, each group laid out around its mean
    for place in wanted:
        groups.append([place])
        while len(groups) > 1 and _first(groups[-1], distance) < (
            _first(groups[-2], distance) + distance * len(groups[-2])
        ):
            last = groups.pop()
            groups[-1] += last
    return [
        _first(group, distance) + distance * index
        for group in groups
        for index in range(len(group))
    ]


def _first(group: Sequence[float], distance: float) -> float:
    return sum(group) / len(group) - distance * (len(group) - 1) / 2


def architecture_figure(encoder: EncoderConfig, tasks: Sequence[TaskConfig]) -> Figure:
    """Draws the encoder with its tasks.

    Args:
        encoder: the encoder's settings.
        tasks: the tasks; several may be at one layer.

    Returns:
        A figure: the blocks upward from the text; each task's head to the right, at its layer; an
        arrow for what a task receives, into the next block or into the head.

    Example:

    >>> figure = architecture_figure(EncoderConfig(layers=2), [TaskConfig("masked_lm", layer=2)])
    >>> [text.get_text() for text in figure.axes[0].texts][:2]
    ['[CLS]  A  [SEP]  B  [SEP]', 'token + segment + position embeddings']
    """
    layers = encoder.layers
    givers = {task.receives.source for task in tasks if task.receives is not None}
    # A giving task stands above its neighbours: its arrow then crosses no other.
    order = sorted(
        range(len(tasks)),
        key=lambda index: (tasks[index].layer, tasks[index].name in givers, index),
    )
    places = spread([float(tasks[index].layer) for index in order], TASK_HEIGHT + TASK_GAP)
    middles = {tasks[index].name: place for index, place in zip(order, places, strict=True)}
    bottom = min(-1.35, min(places, default=0.0) - 0.8)
    top = max(layers + 1.25, max(places, default=0.0) + 0.9)
    into_head = any(t.receives is not None and t.receives.into == "head" for t in tasks)
    width = TASK_LEFT + TASK_WIDTH + (2.3 if into_head else 0.6)
    figure = Figure(figsize=(0.85 * width, 0.85 * (top - bottom)), dpi=140)
    axis = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axis.set_xlim(0, width)
    axis.set_ylim(bottom, top)
    axis.set_aspect("equal")
    axis.set_axis_off()
    _draw_stack(axis, encoder)
    _draw_heads(axis, tasks, order, middles)
    _draw_transfers(axis, tasks, middles)
    axis.text(
        STACK_LEFT,
        top - 0.45,
        f"{layers} layers, hidden {encoder.hidden}, {encoder.heads} attention heads",
        fontsize=11,
        fontweight="bold",
        color=INK,
        va="center",
    )
    return figure


def _draw_stack(axis: Axes, encoder: EncoderConfig) -> None:
    centre = STACK_LEFT + STACK_WIDTH / 2
    axis.text(
        centre, -1.0, "[CLS]  A  [SEP]  B  [SEP]", ha="center", va="center", fontsize=9, color=INK
    )
    _arrow(axis, [(centre, -0.82), (centre, -BLOCK_HEIGHT / 2)])
    for layer in range(encoder.layers + 1):
        colours = (BLOCK_FACE, BLOCK_EDGE) if layer else (EMBEDDINGS_FACE, EMBEDDINGS_EDGE)
        _box(axis, STACK_LEFT, layer, STACK_WIDTH, BLOCK_HEIGHT, colours)
        axis.text(
            centre,
            layer,
            f"encoder block {layer}" if layer else "token + segment + position embeddings",
            ha="center",
            va="center",
            fontsize=10 if layer else 7.6,
            color=INK,
            zorder=4,
        )
        if layer:
            below = layer - 1 + BLOCK_HEIGHT / 2
            _arrow(axis, [(centre, below), (centre, layer - BLOCK_HEIGHT / 2)])


def _draw_heads(
    axis: Axes, tasks: Sequence[TaskConfig], order: Sequence[int], middles: dict[str, float]
) -> None:
    right = STACK_LEFT + STACK_WIDTH
    for index in order:
        task = tasks[index]
        middle = middles[task.name]
        colours = TASK_COLOURS[index % len(TASK_COLOURS)]
        corner = TASK_LEFT - 0.45
        path = [(right, float(task.layer)), (corner, float(task.layer)), (corner, middle)]
        _arrow(axis, [*path, (TASK_LEFT, middle)])
        _box(axis, TASK_LEFT, middle, TASK_WIDTH, TASK_HEIGHT, colours)
        centre = TASK_LEFT + TASK_WIDTH / 2
        name = task.name.replace("_", " ").replace("lm", "LM")
        detail = f"layer {task.layer}  ·  weight {task.weight:g}"
        style: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 4}
        axis.text(centre, middle + 0.14, name, fontsize=10.5, color=INK, **style)
        axis.text(centre, middle - 0.18, detail, fontsize=7.6, color="#52606d", **style)


def _draw_transfers(axis: Axes, tasks: Sequence[TaskConfig], middles: dict[str, float]) -> None:
    by_name = {task.name: task for task in tasks}
    channel = STACK_LEFT + STACK_WIDTH + 0.62
    for task in tasks:
        received = task.receives
        if received is None or received.source not in by_name:
            continue
        source = by_name[received.source]
        start = middles[source.name]
        label = received.by.replace("_", " ")
        if received.stop_gradient:
            label += "\n(no gradient back)"
        if received.into == "head":
            edge = TASK_LEFT + TASK_WIDTH
            end = middles[task.name] - 0.12
            corner = edge + 0.4
            path = [(edge, start), (corner, start), (corner, end), (edge, end)]
            place = (corner + 0.12, (start + end) / 2)
        else:
            end = source.layer + 1 - 0.14
            edge = STACK_LEFT + STACK_WIDTH
            start += 0.22
            if abs(start - source.layer - 1) < BLOCK_HEIGHT / 2 - 0.05:
                path = [(TASK_LEFT, start), (edge, start)]  # the block is beside the head
            else:
                path = [(TASK_LEFT, start), (channel, start), (channel, end), (edge, end)]
            place = (channel + 0.1, start + 0.16 + 0.13 * label.count("\n"))
        _arrow(axis, path, TRANSFER, 1.9)
        style: dict[str, Any] = {"ha": "left", "va": "center", "style": "italic", "zorder": 5}
        axis.text(*place, label, fontsize=8.5, color=TRANSFER, **style)
        channel += 0.14  # several transfers side by side
