"""Questions and contexts as people give them: lists, arrays, tensors, data sets.

Dimension letters: B examples.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hierbert_tf.errors import InputError

QUESTION, CONTEXT = "question", "context"
# Of a gold answer: its first character and its text. Of a window: its first and last token.
ANSWER_START, ANSWER_END, ANSWER_TEXT = "answer_start", "answer_end", "answer_text"


def as_strings(values: Any) -> list[str]:
    """Strings of a list, an array or a tensor [B]; what is no UTF-8 becomes U+FFFD.

    Raises:
        InputError: one string, or something else than strings.

    Example:

    >>> as_strings(np.array(["café".encode(), "tea"], object))
    ['café', 'tea']
    """
    if isinstance(values, str | bytes):
        raise InputError("a single text was given: put it into a list.")
    if isinstance(values, tf.Tensor):
        values = values.numpy()
    if isinstance(values, np.ndarray):
        values = values.ravel().tolist()
    texts = [
        value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values
    ]
    if wrong := [text for text in texts if not isinstance(text, str)]:
        raise InputError(f"a text is expected, not {wrong[0]!r}.")
    return texts


def questions_and_contexts(x: Any) -> tuple[list[str], list[str]] | None:
    """The texts of what a model is given.

    Args:
        x: dict of strings `question` and `context` [B], or a dataset of batches of such, alone or
            with labels.

    Returns:
        Questions and contexts; None: `x` holds something else, such as features.

    Example:

    >>> x = {"question": ["a", "b"], "context": ["c", "d"]}
    >>> questions_and_contexts(tf.data.Dataset.from_tensor_slices(x).batch(1))
    (['a', 'b'], ['c', 'd'])
    """
    if isinstance(x, tf.data.Dataset):
        element = x.element_spec[0] if isinstance(x.element_spec, tuple) else x.element_spec
        if not _has_texts(element):
            return None
        batches = [batch[0] if isinstance(batch, tuple) else batch for batch in x]
    elif _has_texts(x):
        batches = [x]
    else:
        return None
    questions = [text for batch in batches for text in as_strings(batch[QUESTION])]
    return questions, [text for batch in batches for text in as_strings(batch[CONTEXT])]


def _has_texts(x: Any) -> bool:
    return isinstance(x, Mapping) and QUESTION in x and CONTEXT in x


def check_answers(contexts: Sequence[str], starts: Sequence[int], texts: Sequence[str]) -> None:
    """Raises `InputError` unless each answer stands in its context where it should.

    Args:
        contexts: B texts.
        starts: first character of each answer.
        texts: the answers; `""` for none.
    """
    if not len(contexts) == len(starts) == len(texts):
        raise InputError(
            f"{len(contexts)} contexts, {len(starts)} answer_start and {len(texts)} answer_text: "
            "give one of each for an example."
        )
    wrong = [
        number
        for number, (context, start, text) in enumerate(zip(contexts, starts, texts, strict=True))
        if text and (start < 0 or not context.startswith(text, start))
    ]
    if wrong:
        first = wrong[0]
        raise InputError(
            f"{len(wrong)} of {len(texts)} answers are not where answer_start says; the first is "
            f"example {first}: {texts[first][:60]!r} does not begin at character {starts[first]} "
            "of its context. Put them right or leave them out."
        )
