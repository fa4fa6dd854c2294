"""Answers out of span logits: exact spans of the original text, n-best over an example's windows.

Dimension letters: B examples, W windows, T sequence, D longest answer in tokens.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hierbert_tf.errors import InputError

# Spans [W, T, D] scored at once, so that memory does not grow with the number of windows.
_SPANS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Candidate:
    """One possible answer.

    Args:
        text: `context[start:end]`, character for character.
        start: first character in the original context (Python's code points).
        end: character after the last.
        score: start logit + end logit.
        probability: softmax of the scores over the candidates of the question.
    """

    text: str
    start: int
    end: int
    score: float
    probability: float


@dataclass(frozen=True)
class ExtractedAnswers:
    """What a model answers to one question.

    Args:
        candidates: n-best different spans, best first; empty where the context has no token.
        null_score: score of "no answer": the least start[CLS] + end[CLS] of the windows, so that
            one window which sees the answer is enough to answer.

    Example:

    >>> answers = ExtractedAnswers((Candidate("1920", 3, 7, score=5.0, probability=1.0),), 2.0)
    >>> answers.null_odds, answers.text(), answers.text(null_threshold=-4.0)
    (-3.0, '1920', '')
    """

    candidates: tuple[Candidate, ...]
    null_score: float

    @property
    def best(self) -> Candidate | None:
        """The best span; None where there is none."""
        return self.candidates[0] if self.candidates else None

    @property
    def null_odds(self) -> float:
        """`null_score` minus the best span's score; infinite where there is no span."""
        return self.null_score - self.best.score if self.best else math.inf

    def chosen(self, null_threshold: float | None = None) -> Candidate | None:
        """The best span, or None for "no answer".

        Args:
            null_threshold: no answer where `null_odds` is above it; None: answer where possible.
        """
        if null_threshold is not None and self.null_odds > null_threshold:
            return None
        return self.best

    def text(self, null_threshold: float | None = None) -> str:
        """Text of `chosen`, `""` for "no answer"."""
        candidate = self.chosen(null_threshold)
        return candidate.text if candidate else ""

    def first(self, count: int) -> "ExtractedAnswers":
        """The same with only the best `count` candidates, their probabilities as they are."""
        return replace(self, candidates=self.candidates[:count])


def extract_answers(
    start_logits: np.ndarray,
    end_logits: np.ndarray,
    windows: Mapping[str, np.ndarray],
    contexts: Sequence[str],
    *,
    max_answer_length: int = 30,
    n_best: int = 20,
) -> list[ExtractedAnswers]:
    """The best spans of each context, over all its windows.

    A span starts and ends at context tokens of one window and has at most `max_answer_length`
    tokens; all such spans are compared. A span that lies in several windows counts once, with its
    best score. Equal scores are ordered by place.

    Args:
        start_logits: float [W, T].
        end_logits: float [W, T].
        windows: of the preprocessor's `windows`: `example` int [W], the context of each window;
            `first_byte` and `end_byte` int [W, T], each token's bytes in the UTF-8 of its context,
            -1 outside the context.
        contexts: the original texts [B].
        max_answer_length: tokens D of the longest answer.
        n_best: candidates of an example.

    Returns:
        One for each context.

    Raises:
        InputError: a context without a window, a logit that is not a number, shapes that disagree,
            a count below 1.

    Example:

    >>> windows = {"example": np.array([0]),
    ...            "first_byte": np.array([[-1, -1, -1, 0, 6, -1]]),
    ...            "end_byte": np.array([[-1, -1, -1, 5, 7, -1]])}
    >>> start = np.array([[0.5, 0.0, 0.0, 1.0, 3.0, 0.0]])
    >>> end = np.array([[0.5, 0.0, 0.0, 1.0, 2.0, 0.0]])
    >>> answers, = extract_answers(start, end, windows, ["Café 5"])
    >>> [(candidate.text, candidate.score) for candidate in answers.candidates]
    [('5', 5.0), ('Café 5', 3.0), ('Café', 2.0)]
    >>> answers.null_odds
    -4.0

    Reference: Devlin et al., 2019, BERT, section 4.2 and 4.3 (n-best and null score of SQuAD).
    """
    example = np.asarray(windows["example"])
    first_byte, end_byte = np.asarray(windows["first_byte"]), np.asarray(windows["end_byte"])
    start_logits = np.asarray(start_logits, np.float32)
    end_logits = np.asarray(end_logits, np.float32)
    _check(start_logits, end_logits, example, first_byte, len(contexts))
    if max_answer_length < 1 or n_best < 1:
        raise InputError(
            "max_answer_length and n_best must be at least 1, "
            f"not {max_answer_length} and {n_best}."
        )

    null_scores = np.full(len(contexts), np.inf, np.float32)
    np.minimum.at(null_scores, example, start_logits[:, 0] + end_logits[:, 0])

    found: list[dict[tuple[int, int], float]] = [{} for _ in contexts]
    length = start_logits.shape[1]
    step = max(1, _SPANS_AT_ONCE // (length * min(max_answer_length, length)))
    for begin in range(0, len(example), step):
        part = slice(begin, begin + step)
        window, start, end, score = _best_spans(
            start_logits[part], end_logits[part], first_byte[part] >= 0, max_answer_length, n_best
        )
        window = window + begin
        spans = zip(
            example[window].tolist(),
            first_byte[window, start].tolist(),
            end_byte[window, end].tolist(),
            score.tolist(),
            strict=True,
        )
        for number, first, after, value in spans:
            scores = found[number]
            if value > scores.get((first, after), -math.inf):
                scores[first, after] = value
    return [
        ExtractedAnswers(_candidates(context, scores, n_best), float(null_score))
        for context, scores, null_score in zip(contexts, found, null_scores, strict=True)
    ]


def _check(
    start_logits: np.ndarray,
    end_logits: np.ndarray,
    example: np.ndarray,
    first_byte: np.ndarray,
    contexts: int,
) -> None:
    shapes = {start_logits.shape, end_logits.shape, first_byte.shape}
    if len(shapes) > 1 or start_logits.shape[:1] != example.shape:
        raise InputError(
            f"start logits {start_logits.shape}, end logits {end_logits.shape} and windows "
            f"{first_byte.shape} with {len(example)} examples do not belong together."
        )
    missing = np.setdiff1d(np.arange(contexts), example)
    if missing.size or (example >= contexts).any():
        raise InputError(
            f"the windows do not fit the {contexts} contexts: "
            + (f"context {missing[0]} has none." if missing.size else "they are of more contexts.")
        )
    if np.isnan(start_logits).any() or np.isnan(end_logits).any():
        raise InputError("a span logit is not a number: the model's weights are not usable.")


def _best_spans(
    start_logits: np.ndarray,
    end_logits: np.ndarray,
    is_context: np.ndarray,
    max_answer_length: int,
    n_best: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The best spans of each window: window, start and end position, score; each [number]."""
    rows, length = start_logits.shape
    longest = min(max_answer_length, length)
    start_logits = np.where(is_context, start_logits, -np.inf)
    padded = np.full([rows, length + longest - 1], -np.inf, np.float32)
    padded[:, :length] = np.where(is_context, end_logits, -np.inf)
    # The end logits of the next D positions at each position, without a copy.
    ends = np.lib.stride_tricks.sliding_window_view(padded, longest, axis=1)  # [W, T, D]
    scores = (start_logits[:, :, None] + ends).reshape(rows, length * longest)  # [W, T * D]
    kept = min(n_best, scores.shape[1])
    best = np.argpartition(scores, -kept, axis=1)[:, -kept:]  # [W, n_best]
    score = np.take_along_axis(scores, best, axis=1)
    window = np.broadcast_to(np.arange(rows)[:, None], best.shape)
    start, further = np.divmod(best, longest)
    possible = score > -np.inf
    return window[possible], start[possible], (start + further)[possible], score[possible]


def _candidates(
    context: str, scores: Mapping[tuple[int, int], float], n_best: int
) -> tuple[Candidate, ...]:
    """Byte spans with their scores to candidates of the text, best first."""
    if not scores:
        return ()
    characters = _characters_before(context)
    spans: dict[tuple[int, int], float] = {}
    for (first_byte, end_byte), score in scores.items():
        if first_byte >= end_byte:
            continue
        span = (first_byte, end_byte)
        if characters is not None:
            # A byte inside a character belongs to the whole of it.
            span = int(characters[first_byte + 1]) - 1, int(characters[end_byte])
        spans[span] = max(score, spans.get(span, -math.inf))
    best = sorted(spans.items(), key=lambda item: (-item[1], item[0]))[:n_best]
    if not best:
        return ()
    weights = [math.exp(score - best[0][1]) for _, score in best]
    total = sum(weights)
    return tuple(
        Candidate(context[start:end], start, end, score, weight / total)
        for ((start, end), score), weight in zip(best, weights, strict=True)
    )


def _characters_before(context: str) -> np.ndarray | None:
    """Number of characters that begin in the first n bytes [bytes + 1]; None: one byte each."""
    if context.isascii():
        return None
    # A lone surrogate has no UTF-8: one "?" for it, as in what the preprocessor is given.
    data = np.frombuffer(context.encode("utf-8", "replace"), np.uint8)
    begins = (data & 0xC0) != 0x80
    return np.concatenate([[0], np.cumsum(begins)])
