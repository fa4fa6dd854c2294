"""The table at the end of a pre-training run."""

from collections.abc import Mapping, Sequence

from hierbert_tf.evaluation.chance import Chance

# A held-out accuracy must lie this many standard errors above chance to be called better.
STANDARD_ERRORS = 3.0


def summary_table(
    tasks: Sequence[str],
    start: Mapping[str, float],
    end: Mapping[str, float],
    chance: Mapping[str, Chance],
) -> str:
    """Each task's held-out loss and accuracy at the start and the end, against chance.

    A task beats chance when its loss is below, and its accuracy above by more than three standard
    errors of as many labelled items.

    Args:
        tasks: names, in the order of the rows.
        start: metrics of the untrained model, as `EvaluationStep.evaluate` gives them; what is
            missing is shown as -.
        end: of the trained one.
        chance: levels by task.

    Returns:
        A Markdown table and, for each task that does not beat chance, a sentence that says so.

    Example:

    >>> metrics = {"a/loss": 0.5, "a/accuracy": 0.8, "a/weight": 900.0}
    >>> table = summary_table(["a"], metrics, metrics, {"a": Chance(0.69, 0.5, "majority class")})
    >>> print(table.splitlines()[-1])
    | a | 0.500 | 0.500 | 0.690 | 80.0 % | 80.0 % | 50.0 % (majority class) | yes |
    """
    lines = [
        "| task | loss, start | loss, end | loss, chance | accuracy, start | accuracy, end "
        "| accuracy, chance | beats chance |",
        "|---|---|---|---|---|---|---|---|",
    ]
    remarks = []

    def shown(metrics: Mapping[str, float], name: str, form: str) -> str:
        return format(metrics[name], form) if name in metrics else "-"

    for task in tasks:
        if task not in chance:
            remarks.append(
                f"{task}: no labelled item in the held-out documents, nothing to compare."
            )
            continue
        level = chance[task]
        loss, accuracy = end[f"{task}/loss"], end[f"{task}/accuracy"]
        items = max(1.0, end[f"{task}/weight"])
        margin = STANDARD_ERRORS * (level.accuracy * (1 - level.accuracy) / items) ** 0.5
        beats = loss < level.loss and accuracy > level.accuracy + margin
        lines.append(
            f"| {task} | {shown(start, f'{task}/loss', '.3f')} | {loss:.3f} | {level.loss:.3f} "
            f"| {shown(start, f'{task}/accuracy', '.1%')} | {accuracy:.1%} "
            f"| {level.accuracy:.1%} ({level.rule}) | {'yes' if beats else 'NO'} |".replace(
                "%", " %"
            )
        )
        if not beats:
            remarks.append(
                f"{task} does NOT clearly beat chance: accuracy {accuracy:.1%} on "
                f"{items:.0f} held-out items against {level.accuracy:.1%}, loss {loss:.3f} "
                f"against {level.loss:.3f}."
            )
    return "\n".join(lines + (["", *remarks] if remarks else []))
