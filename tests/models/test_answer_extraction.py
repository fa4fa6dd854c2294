"""Spans out of logits, against a brute-force search written without NumPy's tricks."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierbert_tf.errors import InputError
from hierbert_tf.models import answer_extraction
from hierbert_tf.models.answer_extraction import Candidate, ExtractedAnswers, extract_answers


def cut(words: list[str], spaces: list[int], sizes: list[int], question: int, room: int):
    """A context of words, and its windows: `sizes` windows cover it with overlaps."""
    context, spans = "", []
    for word, space in zip(words, spaces, strict=True):
        first = len(context.encode())
        context += word
        spans.append((first, len(context.encode())))
        context += " " * space
    rows = []
    start = 0
    for step in sizes:
        rows.append([None] * (question + 2) + spans[start : start + room] + [None])
        if start + room >= len(spans):
            break
        start += min(step, room)
    return context, rows


def as_windows(rows_by_example):
    width = max(len(row) for rows in rows_by_example for row in rows)
    flat = [
        (number, [*row, *[None] * (width - len(row))])
        for number, rows in enumerate(rows_by_example)
        for row in rows
    ]
    return {
        "example": np.array([number for number, _ in flat]),
        "first_byte": np.array([[span[0] if span else -1 for span in row] for _, row in flat]),
        "end_byte": np.array([[span[1] if span else -1 for span in row] for _, row in flat]),
    }


def brute_force(start_logits, end_logits, windows, contexts, longest, n_best):
    answers = []
    for number, context in enumerate(contexts):
        data = context.encode()
        scores, null_score = {}, math.inf
        for row in np.flatnonzero(windows["example"] == number):
            null_score = min(null_score, float(start_logits[row, 0] + end_logits[row, 0]))
            first, after = windows["first_byte"][row], windows["end_byte"][row]
            for i in range(len(first)):
                for j in range(i, min(i + longest, len(first))):
                    if first[i] < 0 or first[j] < 0:
                        continue
                    span = (
                        len(data[: first[i]].decode()),
                        len(data[: after[j]].decode()),
                    )
                    score = float(start_logits[row, i] + end_logits[row, j])
                    scores[span] = max(score, scores.get(span, -math.inf))
        best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:n_best]
        answers.append((best, null_score))
    return answers


WORDS = st.text(st.sampled_from("abé語😀\u0301ß"), min_size=1, max_size=4)


@st.composite
def problems(draw):
    contexts, rows = [], []
    for _ in range(draw(st.integers(1, 3))):
        words = draw(st.lists(WORDS, max_size=9))
        spaces = draw(st.lists(st.integers(0, 3), min_size=len(words), max_size=len(words)))
        context, windows = cut(
            words, spaces, draw(st.lists(st.integers(1, 3), min_size=12, max_size=12)), 2, 4
        )
        contexts.append(context)
        rows.append(windows)
    windows = as_windows(rows)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = random.normal(size=[2, *windows["first_byte"].shape]).astype("float32")
    if draw(st.booleans()):  # ties
        logits = np.round(logits)
    return contexts, windows, logits[0], logits[1]


@settings(max_examples=150, deadline=None)
@given(problems(), st.integers(1, 6))
def test_all_equals_a_brute_force_search(problem, longest):
    contexts, windows, start, end = problem
    # More candidates than there are spans: also the order of ties is decided.
    found = extract_answers(start, end, windows, contexts, max_answer_length=longest, n_best=200)
    expected = brute_force(start, end, windows, contexts, longest, 200)
    for context, answers, (best, null_score) in zip(contexts, found, expected, strict=True):
        assert [((c.start, c.end), c.score) for c in answers.candidates] == best
        assert answers.null_score == null_score
        assert all(c.text == context[c.start : c.end] for c in answers.candidates)
        if best:
            assert answers.null_odds == null_score - best[0][1]
            np.testing.assert_allclose(sum(c.probability for c in answers.candidates), 1.0)
        else:
            assert answers.best is None and answers.null_odds == math.inf


@settings(max_examples=50, deadline=None)
@given(problems(), st.integers(1, 5))
def test_few_best_have_the_brute_force_scores(problem, n_best):
    contexts, windows, start, end = problem
    found = extract_answers(start, end, windows, contexts, max_answer_length=4, n_best=n_best)
    expected = brute_force(start, end, windows, contexts, 4, n_best)
    for answers, (best, _) in zip(found, expected, strict=True):
        assert [c.score for c in answers.candidates] == [score for _, score in best]


def test_windows_are_scored_in_parts(monkeypatch):
    random = np.random.default_rng(3)
    windows = {
        "example": np.arange(7) % 3,
        "first_byte": np.tile([-1, 0, 2, 4], [7, 1]),
        "end_byte": np.tile([-1, 1, 3, 5], [7, 1]),
    }
    start, end = random.normal(size=[2, 7, 4])
    contexts = ["a b c"] * 3
    whole = extract_answers(start, end, windows, contexts)
    monkeypatch.setattr(answer_extraction, "_SPANS_AT_ONCE", 1)
    assert extract_answers(start, end, windows, contexts) == whole


def test_the_same_span_in_two_windows_counts_once_with_its_best_score():
    windows = as_windows([[[None, (0, 1), (2, 3)], [None, (2, 3), (4, 5)]]])
    start = np.array([[4.0, 0.0, 1.0], [3.0, 2.0, 0.0]])
    end = np.array([[0.0, 0.0, 1.0], [2.0, 5.0, 0.0]])
    (answers,) = extract_answers(start, end, windows, ["a b c"], max_answer_length=1)
    assert [(c.text, c.score) for c in answers.candidates] == [("b", 7.0), ("a", 0.0), ("c", 0.0)]
    assert answers.null_score == 4.0  # the least of the windows
    assert answers.null_odds == -3.0


def test_probabilities_are_the_softmax_of_the_scores():
    windows = as_windows([[[None, (0, 1), (2, 3)]]])
    start = np.array([[0.0, 1.0, 2.0]])
    (answers,) = extract_answers(start, 0 * start, windows, ["a b"], max_answer_length=1)
    expected = np.exp([2.0, 1.0]) / np.exp([2.0, 1.0]).sum()
    np.testing.assert_allclose([c.probability for c in answers.candidates], expected, rtol=1e-12)
    kept = answers.first(1)
    assert kept.candidates == answers.candidates[:1] and kept.null_score == answers.null_score


def test_two_pieces_of_one_character_are_one_candidate():
    # "ß" becomes two pieces, and both own the whole character.
    windows = as_windows([[[None, (0, 2), (0, 2)]]])
    start = np.array([[0.0, 1.0, 2.0]])
    (answers,) = extract_answers(start, start, windows, ["ß"])
    assert [(c.text, c.start, c.end, c.score) for c in answers.candidates] == [("ß", 0, 1, 4.0)]


def test_a_piece_inside_a_character_and_an_empty_piece():
    windows = as_windows([[[None, (1, 2), (3, 3)]]])
    (answers,) = extract_answers(np.ones([1, 3]), np.ones([1, 3]), windows, ["éa"])
    assert [c.text for c in answers.candidates] == ["é", "éa"]


def test_a_lone_surrogate_keeps_its_place():
    windows = as_windows([[[None, (2, 3), (3, 4)]]])
    start = np.array([[0.0, 0.0, 1.0]])
    (answers,) = extract_answers(start, start, windows, ["é\ud800b"], max_answer_length=1)
    assert [(c.text, c.start) for c in answers.candidates] == [("b", 2), ("\ud800", 1)]


def test_thresholds():
    answers = ExtractedAnswers((Candidate("x", 0, 1, 3.0, 1.0),), null_score=5.0)
    assert answers.text() == "x"
    assert answers.text(2.0) == "x"  # not above
    assert answers.text(1.5) == "" and answers.chosen(1.5) is None
    empty = ExtractedAnswers((), 1.0)
    assert empty.text() == "" and empty.text(1e9) == "" and empty.best is None


def test_what_does_not_belong_together_is_refused():
    windows = as_windows([[[None, (0, 1)]]])
    logits = np.zeros([1, 2])
    with pytest.raises(InputError, match="context 1 has none"):
        extract_answers(logits, logits, windows, ["a", "b"])
    with pytest.raises(InputError, match="more contexts"):
        extract_answers(logits, logits, {**windows, "example": np.array([1])}, [])
    with pytest.raises(InputError, match="do not belong together"):
        extract_answers(logits, np.zeros([1, 3]), windows, ["a"])
    with pytest.raises(InputError, match="not a number"):
        extract_answers(logits, logits * np.nan, windows, ["a"])
    with pytest.raises(InputError, match="at least 1"):
        extract_answers(logits, logits, windows, ["a"], n_best=0)
