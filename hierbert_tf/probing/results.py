"""The tables and files of a probing run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from hierbert_tf.probing.figures import probing_figures
from hierbert_tf.probing.layer_scores import (
    APART,
    LayerScores,
    Spread,
    by_task,
    heads_by_layer,
    mean_spread,
    poolings_of,
)
from hierbert_tf.probing.scores import ENCODERS, PRE_TRAINED, RANDOM_WEIGHTS, ProbeScore, scores_csv
from hierbert_tf.storage import write_text
from hierbert_tf.training.monitor.figure_image import write_figure

Tasks = Mapping[str, Mapping[str, LayerScores]]
# A column: its head, and its value by seed for one task with the layer it was read at.
Column = tuple[str, Callable[[Mapping[str, LayerScores]], tuple[Mapping[int, float], int | None]]]


def scores_markdown(
    scores: Sequence[ProbeScore],
    facts: Mapping[str, str],
    heads: Sequence[tuple[str, int]] = (),
) -> str:
    """The scores as Markdown: for each pooling a summary and the tables of every layer.

    Accuracies are in percent, mean and standard deviation over the seeds (`-` for one seed). The
    best layer is the one of the best mean validation accuracy; its *test* accuracy is shown.
    `bigram_shift` is left out of the mean of the tasks.

    Args:
        scores: of one pooling or several.
        facts: what they belong to: lines above the tables.
        heads: name and layer of each pre-training task, which the tables of all layers then name.

    Raises:
        ValueError: no scores, or two of the same task, encoder, pooling, layer and seed.

    Example:

    >>> score = ProbeScore(
    ...     "tree_depth", PRE_TRAINED, "cls", 4, "mlp", 1, "hidden 50", 8, 200, 0.25, 0.5, 0.375)
    >>> print(scores_markdown([score], {"commit": "abc"}).splitlines()[7])
    | tree_depth | 200 | 25.0 | - | 37.5 ± - (4) | 37.5 ± - (4) | - |
    """
    if not scores:
        raise ValueError("no scores")
    names = sorted({score.classifier for score in scores})
    seeds = sorted({score.seed for score in scores})
    lines = [f"- {key}: {_cell(value)}" for key, value in facts.items()]
    lines += [f"- classifier: {', '.join(names)}; seeds: {', '.join(map(str, seeds))}"]
    for pooling in poolings_of(scores):
        tasks = by_task(scores, pooling)
        lines += ["", f"## Pooling: {pooling}", "", *_summary(tasks), "", _note(tasks, heads)]
        for encoder in ENCODERS:
            some = {task: found[encoder] for task, found in tasks.items() if encoder in found}
            if some:
                lines += [
                    "",
                    f"### Every layer, {encoder}",
                    "",
                    *_layers(some, heads if encoder == PRE_TRAINED else ()),
                ]
    return "\n".join(lines) + "\n"


def write_probing_results(
    folder: Path,
    scores: Sequence[ProbeScore],
    facts: Mapping[str, str],
    heads: Sequence[tuple[str, int]],
) -> str:
    """Writes the tables and the figures; each file is whole or not there.

    The files are `scores.csv`, `scores.md`, and for each pooling `heat_map_<pooling>.png`,
    `lines_<pooling>.png` and, where control tasks were probed, `selectivity_<pooling>.png`.

    Args:
        folder: made if missing.
        scores: all scores of the run.
        facts: what they belong to, such as the commit.
        heads: name and layer of each pre-training task; () where it is not known.

    Returns:
        The Markdown.

    Raises:
        ValueError: as `scores_markdown` and `scores_csv` say.
        InputError: the folder cannot be written.
        RunStopped: the disk is full.
    """
    markdown = scores_markdown(scores, facts, heads)
    table = scores_csv(scores, facts)
    for pooling in poolings_of(scores):
        for name, figure in probing_figures(scores, heads, pooling):
            write_figure(figure, folder / f"{name}_{pooling}.png")
    write_text(folder / "scores.md", markdown)
    write_text(folder / "scores.csv", table)
    return markdown


def _summary(tasks: Tasks) -> list[str]:
    """The rows of the table that compares the tasks."""
    columns = _columns(tasks)
    lines = _head(["task", "test examples", "majority", *(name for name, _ in columns)])
    others = [task for task in tasks if task != APART]
    for task, found in tasks.items():
        if task == APART and len(others) > 1:
            lines.append(_mean_row([tasks[other] for other in others], columns, "other"))
        scores = next(iter(found.values()))
        cells = [_cell(task), f"{scores.test_examples:,}", _percent(scores.majority)]
        for name, value in columns:
            values, layer = value(found)
            cells.append(_shown(name, Spread.of(values.values()), layer))
        lines.append(_row(cells))
    if APART not in tasks and len(others) > 1:
        lines.append(_mean_row([tasks[other] for other in others], columns, "listed"))
    return lines


def _columns(tasks: Tasks) -> list[Column]:
    """The columns of the summary, those of measures that were taken."""

    def at(encoder: str, name: str, last: bool = False) -> Callable:
        def value(found: Mapping[str, LayerScores]) -> tuple[Mapping[int, float], int | None]:
            if encoder not in found:
                return {}, None
            scores = found[encoder]
            layer = scores.layers[-1] if last else scores.best_layer
            return scores.values(layer, name), layer

        return value

    def difference(found: Mapping[str, LayerScores]) -> tuple[Mapping[int, float], int | None]:
        ours, random = (at(encoder, "test")(found)[0] for encoder in ENCODERS)
        if set(ours) == set(random):  # paired by seed
            return {seed: ours[seed] - random[seed] for seed in ours}, None
        means = [Spread.of(values.values()) for values in (ours, random)]
        first, second = means
        # Other seeds make no pairs: one value, without a deviation.
        return ({} if first is None or second is None else {-1: first.mean - second.mean}), None

    columns: list[Column] = [
        ("random weights, best layer", at(RANDOM_WEIGHTS, "test")),
        ("pre-trained, last layer", at(PRE_TRAINED, "test", last=True)),
        ("pre-trained, best layer", at(PRE_TRAINED, "test")),
        ("difference to random", difference),
    ]
    for name in ("selectivity", "compression"):
        if any(scores.has(name) for found in tasks.values() for scores in found.values()):
            columns.append((name, at(PRE_TRAINED, name)))
    return columns


def _mean_row(
    tasks: Sequence[Mapping[str, LayerScores]], columns: Iterable[Column], kind: str
) -> str:
    majority = sum(next(iter(found.values())).majority for found in tasks) / len(tasks)
    cells = [f"mean of the {len(tasks)} {kind} tasks", "", _percent(majority)]
    for name, value in columns:
        cells.append(_shown(name, mean_spread(value(found)[0] for found in tasks), None))
    return _row(f"**{cell}**" if cell not in ("", "-") else cell for cell in cells)


def _layers(tasks: Mapping[str, LayerScores], heads: Sequence[tuple[str, int]]) -> list[str]:
    """The rows of the table of every layer of one encoder."""
    others = [scores for task, scores in tasks.items() if task != APART]
    mean = [f"mean of the {len(others)} {'other' if APART in tasks else 'listed'} tasks"]
    mean = mean if len(others) > 1 else []
    names = [task for task in tasks if task != APART]
    apart = [APART] if APART in tasks else []
    lines = _head(["layer", *map(_cell, names), *mean, *apart])
    at = heads_by_layer(heads)
    for layer in sorted({layer for scores in tasks.values() for layer in scores.layers}):
        head = f"{layer} ({', '.join(map(_cell, at[layer]))})" if layer in at else str(layer)
        cells = [head]
        for task in [*names, *mean, *apart]:
            if task in tasks:
                cell = _plain(tasks[task].spread(layer, "test"))
                cells.append(f"**{cell}**" if layer == tasks[task].best_layer else cell)
            else:
                cells.append(_plain(mean_spread(one.values(layer, "test") for one in others)))
        lines.append(_row(cells))
    return lines


def _note(tasks: Tasks, heads: Sequence[tuple[str, int]]) -> str:
    text = (
        "Test accuracy in %, mean ± standard deviation over the seeds; in brackets the layer, the"
        " best of them chosen on validation (below in bold). Difference and selectivity in points."
    )
    if APART in tasks:
        layer = dict(heads).get(APART)
        trained = "" if layer is None else f", here at layer {layer}"
        text += f" {APART} stands apart: it can be a pre-training task as well{trained}."
    return text


def _head(names: Sequence[str]) -> list[str]:
    return [_row(names), "|---|" + "---:|" * (len(names) - 1)]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return str(text).replace("|", r"\|").replace("\n", " ")


def _percent(share: float, sign: str = "") -> str:
    return f"{100 * share:{sign}.1f}"


def _plain(spread: Spread | None) -> str:
    """A cell of the tables of all layers: one seed needs no sign that there is no deviation."""
    if spread is None:
        return "-"
    deviation = "" if spread.deviation is None else f" ± {_percent(spread.deviation)}"
    return _percent(spread.mean) + deviation


def _shown(name: str, spread: Spread | None, layer: int | None) -> str:
    """A cell of the summary."""
    if spread is None:
        return "-"
    if name == "compression":
        number, deviation = f"{spread.mean:.2f}", f"{spread.deviation or 0:.2f}"
    else:
        sign = "+" if name in ("difference to random", "selectivity") else ""
        number, deviation = _percent(spread.mean, sign), _percent(spread.deviation or 0)
    deviation = "-" if spread.deviation is None else deviation
    at = "" if layer is None or name in ("selectivity", "compression") else f" ({layer})"
    return f"{number} ± {deviation}{at}"
