"""Questions in, answers out, for any number of texts of any length.

Dimension letters: B examples, W windows, T sequence.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from hierbert_tf.data.features import PADDING_MASK, SEGMENT_IDS, TOKEN_IDS
from hierbert_tf.errors import InputError
from hierbert_tf.models.answer_extraction import ExtractedAnswers, extract_answers
from hierbert_tf.models.question_texts import ANSWER_END, ANSWER_START

# Candidates among which a probability is shared, however few of them are asked for.
CANDIDATES = 20


def answer_questions(
    model: Any,
    questions: Sequence[str],
    contexts: Sequence[str],
    *,
    n_best: int = 1,
    batch_size: int = 32,
    verbose: Any = 0,
) -> list[ExtractedAnswers]:
    """Makes windows, runs the model on them and merges what it finds.

    Memory grows with `batch_size` and the longest context, not with the number of questions.

    Args:
        model: a `HierarchicalBertQuestionAnswering` with a preprocessor.
        questions: B questions.
        contexts: their B contexts.
        n_best: candidates of each.
        batch_size: questions at once, and windows at once.
        verbose: 0 for no progress bar.

    Returns:
        B `ExtractedAnswers`.

    Raises:
        InputError: not as many contexts as questions, or `n_best` or `batch_size` below 1.
    """
    if len(questions) != len(contexts):
        raise InputError(
            f"{len(questions)} questions and {len(contexts)} contexts: give one context for each "
            "question."
        )
    if n_best < 1 or batch_size < 1:
        raise InputError(f"n_best {n_best} and batch_size {batch_size} must be at least 1.")
    # Texts of like length together: less padding.
    lengths = [len(q) + len(c) for q, c in zip(questions, contexts, strict=True)]
    order = np.argsort(lengths, kind="stable").tolist()
    answers: dict[int, ExtractedAnswers] = {}
    bar = keras.utils.Progbar(len(order)) if verbose and order else None
    for first in range(0, len(order), batch_size):
        numbers = order[first : first + batch_size]
        texts = [contexts[number] for number in numbers]
        tensors = model.preprocessor.windows(
            # A lone surrogate has no UTF-8; `extract_answers` counts it as the same one byte.
            [questions[number].encode("utf-8", "replace") for number in numbers],
            [text.encode("utf-8", "replace") for text in texts],
        )
        windows = {name: np.asarray(value) for name, value in tensors.items()}
        starts, ends = _logits(model, windows, batch_size)
        found = extract_answers(
            starts,
            ends,
            windows,
            texts,
            max_answer_length=model.max_answer_length,
            n_best=max(n_best, CANDIDATES),
        )
        answers.update(zip(numbers, (item.first(n_best) for item in found), strict=True))
        if bar:
            bar.update(len(answers))
    return [answers[number] for number in range(len(questions))]


def answer_arrays(
    answers: Sequence[ExtractedAnswers], null_threshold: float | None
) -> dict[str, np.ndarray]:
    """The best answers as arrays [B].

    Args:
        answers: B of them.
        null_threshold: no answer where its odds are above; None: always answer.

    Returns:
        `answer`, the texts (`""`: no answer); `start` and `end`, their characters (-1: no answer);
        `score` of the best span, minus infinity without one; `null_score`.
    """
    chosen = [item.chosen(null_threshold) for item in answers]
    scores = [item.best.score if item.best else -np.inf for item in answers]
    return {
        "answer": np.array([best.text if best else "" for best in chosen], object),
        "start": np.array([best.start if best else -1 for best in chosen], np.int64),
        "end": np.array([best.end if best else -1 for best in chosen], np.int64),
        "score": np.array(scores, np.float32),
        "null_score": np.array([item.null_score for item in answers], np.float32),
    }


def _logits(
    model: Any, windows: Mapping[str, np.ndarray], batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Start and end logits [W, T]; a long context's windows are not all run at once."""
    features = {name: windows[name] for name in (TOKEN_IDS, SEGMENT_IDS, PADDING_MASK)}
    parts = [
        model.predict_on_batch(
            {name: values[first : first + batch_size] for name, values in features.items()}
        )
        for first in range(0, len(features[TOKEN_IDS]), batch_size)
    ]
    starts, ends = (
        np.concatenate([part[name] for part in parts]) for name in (ANSWER_START, ANSWER_END)
    )
    return starts, ends
