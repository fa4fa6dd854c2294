"""The table of a fine-tuning run: each set's scores over the seeds."""

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from hierbert_tf.evaluation.baselines import BaselineScore
from hierbert_tf.storage import write_text

# Of these the smallest is the best.
LOWER_IS_BETTER = frozenset({"log_loss", "expected_calibration_error"})

Scores = Mapping[str, Mapping[str, float]]


def results_table(scores: Mapping[int, Scores], facts: Mapping[str, str]) -> tuple[str, str]:
    """The scores of all seeds as CSV and as Markdown.

    Args:
        scores: seed -> name of the set -> metric -> value.
        facts: what the scores belong to, such as the commit; columns of the CSV, lines above the
            Markdown table.

    Returns:
        CSV and Markdown. A row is one metric of one set: mean, sample standard deviation (empty for
        one seed), best value with its seed, and each seed's value.

    Example:

    >>> scores = {1: {"dev": {"accuracy": 0.5}}, 2: {"dev": {"accuracy": 0.6}}}
    >>> table, markdown = results_table(scores, {"commit": "abc"})
    >>> print(table.strip())
    set,metric,mean,standard_deviation,best,best_seed,seed_1,seed_2,commit
    dev,accuracy,0.55,0.070710678118655,0.6,2,0.5,0.6,abc
    >>> print(markdown.splitlines()[-1])
    | dev | accuracy | 0.5500 | 0.0707 | 0.6000 (2) | 0.5000 | 0.6000 |
    """
    seeds = sorted(scores)
    rows = []
    for name, metrics in scores[seeds[0]].items():
        for metric in metrics:
            values = {seed: float(scores[seed][name][metric]) for seed in seeds}
            choose = min if metric in LOWER_IS_BETTER else max
            best_seed = choose(seeds, key=lambda seed: values[seed])
            spread = statistics.stdev(values.values()) if len(seeds) > 1 else None
            rows.append(
                (name, metric, statistics.fmean(values.values()), spread, best_seed, values)
            )

    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    head = ["set", "metric", "mean", "standard_deviation", "best", "best_seed"]
    writer.writerow([*head, *(f"seed_{seed}" for seed in seeds), *facts])
    for name, metric, mean, spread, best_seed, values in rows:
        numbers = [mean, "" if spread is None else spread, values[best_seed]]
        shown = [format(n, ".14g") if isinstance(n, float) else n for n in numbers]
        each = [format(value, ".14g") for value in values.values()]
        writer.writerow([name, metric, *shown, best_seed, *each, *facts.values()])

    lines = [f"- {key}: {value}" for key, value in facts.items()]
    lines += [
        "",
        "| set | metric | mean | std | best (seed) | "
        + " | ".join(f"seed {seed}" for seed in seeds)
        + " |",
        "|" + "---|" * (5 + len(seeds)),
    ]
    for name, metric, mean, spread, best_seed, values in rows:
        each = [f"{value:.4f}" for value in values.values()]
        deviation = "-" if spread is None else f"{spread:.4f}"
        cells = [name, metric, f"{mean:.4f}", deviation, f"{values[best_seed]:.4f} ({best_seed})"]
        lines.append("| " + " | ".join([*cells, *each]) + " |")
    return file.getvalue(), "\n".join(lines) + "\n"


def baselines_table(baselines: Mapping[str, Sequence[BaselineScore]]) -> str:
    """The baselines of each set as Markdown.

    Args:
        baselines: by set; the scores of a set's baselines have the same names.

    Example:

    >>> from hierbert_tf.evaluation.squad_scores import SquadScores
    >>> scores = SquadScores("1.1", 10.0, 12.5, 40)
    >>> print(baselines_table({"dev": [BaselineScore("most frequent span", scores)]}))
    | set | baseline | exact | f1 | total | missing |
    |---|---|---|---|---|---|
    | dev | most frequent span | 10 | 12.5 | 40 | 0 |
    """
    tables = []
    for name, scores in baselines.items():
        metrics = list(scores[0].scores.as_dict())
        lines = ["| " + " | ".join(["set", "baseline", *metrics]) + " |"]
        lines.append("|" + "---|" * (2 + len(metrics)))
        for one in scores:
            values = [f"{value:.4g}" for value in one.scores.as_dict().values()]
            lines.append("| " + " | ".join([name, one.name, *values]) + " |")
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def write_results(folder: Path, scores: Mapping[int, Scores], facts: Mapping[str, str]) -> str:
    """Writes `results.csv` and `results.md`; returns the Markdown."""
    table, markdown = results_table(scores, facts)
    write_text(folder / "results.csv", table)
    write_text(folder / "results.md", markdown)
    return markdown
