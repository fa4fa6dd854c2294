"""A context with the gold and the predicted answer marked in it, cut around them when long."""

from collections.abc import Sequence
from itertools import pairwise

from hierbert_tf.evaluation.report.page import Html, element, to_html

Span = tuple[int, int]


def highlight(
    context: str,
    gold: Sequence[Span],
    predicted: Span | None,
    *,
    whole: int = 900,
    around: int = 220,
) -> Html:
    """The context as HTML, with exactly the characters of the answers marked.

    Args:
        context: the text.
        gold: first character and end of each gold answer; they may overlap.
        predicted: likewise of the predicted answer; None: no answer.
        whole: characters of the longest context that is shown whole.
        around: characters shown before and after each answer of a longer one, up to the next white
            space.

    Returns:
        A paragraph, marks of class `gold`, `predicted` or `both`.

    Example:

    >>> highlight("In Paris, 1900.", [(3, 8)], (3, 14))[27:]
    'In <mark class="both">Paris</mark><mark class="predicted">, 1900</mark>.</p>'
    """
    spans = [*gold, *([predicted] if predicted else [])]
    pieces: list[Html] = []
    end = 0
    for first, last in _shown(context, spans, whole, around):
        if first > end:
            pieces.append(_cut(" " if end else "", " "))
        pieces += _marked(context, first, last, gold, predicted)
        end = last
    if end < len(context):
        pieces.append(_cut(" ", ""))
    return element("p", *pieces, class_="text", dir="auto")


def _cut(before: str, after: str) -> Html:
    return element("span", f"{before}[\N{HORIZONTAL ELLIPSIS}]{after}", class_="cut")


def _shown(context: str, spans: Sequence[Span], whole: int, around: int) -> list[Span]:
    """The parts of the context to show, in order, apart from each other."""
    if len(context) <= whole:
        return [(0, len(context))]
    wanted = sorted(
        (_before(context, first - around), _after(context, last + around)) for first, last in spans
    ) or [(0, _after(context, 2 * around))]
    parts = [wanted[0]]
    for first, last in wanted[1:]:
        if first <= parts[-1][1] + 1:
            parts[-1] = parts[-1][0], max(parts[-1][1], last)
        else:
            parts.append((first, last))
    return parts


# How far a cut may move to reach white space; scripts without it are cut where they are.
_SEARCH = 40


def _before(context: str, place: int) -> int:
    if place <= 0:
        return 0
    found = [n for n in range(place, max(0, place - _SEARCH), -1) if context[n - 1].isspace()]
    return found[0] if found else place


def _after(context: str, place: int) -> int:
    if place >= len(context):
        return len(context)
    found = [n for n in range(place, min(len(context), place + _SEARCH)) if context[n].isspace()]
    return found[0] if found else place


def _marked(
    context: str, first: int, last: int, gold: Sequence[Span], predicted: Span | None
) -> list[Html]:
    """The characters first..last, with a mark around each run of the same kind."""
    edges = {first, last}
    for span in (*gold, *([predicted] if predicted else [])):
        edges.update(min(max(edge, first), last) for edge in span)
    places = sorted(edges)
    runs: list[tuple[str, int, int]] = []
    for begin, end in pairwise(places):
        is_gold = any(start <= begin and end <= stop for start, stop in gold)
        is_predicted = predicted is not None and predicted[0] <= begin and end <= predicted[1]
        kind = {(1, 1): "both", (1, 0): "gold", (0, 1): "predicted"}.get(
            (int(is_gold), int(is_predicted)), ""
        )
        if runs and runs[-1][0] == kind:
            begin = runs.pop()[1]
        runs.append((kind, begin, end))
    return [
        element("mark", context[begin:end], class_=kind) if kind else to_html(context[begin:end])
        for kind, begin, end in runs
    ]
