"""From an answer's characters to its bytes, and on to its tokens in windows.

Dimension letters: B examples, W windows, T sequence.
"""

from collections.abc import Mapping

import tensorflow as tf

from hierbert_tf.models.question_texts import ANSWER_END, ANSWER_START

# Of a window: the example it is of, and each token's bytes in that example's context.
EXAMPLE, FIRST_BYTE, END_BYTE = "example", "first_byte", "end_byte"


def answer_bytes(
    contexts: tf.Tensor, start: tf.Tensor, text: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Where answers stand in the UTF-8 of their contexts, by graph ops.

    Args:
        contexts: strings [B].
        start: int32 [B], the first character (Unicode code point) of each answer.
        text: strings [B], the answers, `""` for none.

    Returns:
        int32 [B] first bytes and ends (one past the last byte), the same twice without an answer;
        bool [B], whether the answer stands where it should, true without one.

    Example:

    >>> first, end, stands = answer_bytes(
    ...     tf.constant(["Café ici", "a b"]), tf.constant([5, 1]), tf.constant(["ici", "b"]))
    >>> first.numpy().tolist(), end.numpy().tolist(), stands.numpy().tolist()
    ([6, 1], [9, 1], [True, False])
    """
    before = tf.strings.substr(
        contexts, tf.zeros_like(start), tf.maximum(start, 0), unit="UTF8_CHAR"
    )
    first = tf.strings.length(before)
    length = tf.strings.length(text)
    stands = tf.equal(tf.strings.substr(contexts, first, length), text) & (start >= 0)
    stands |= tf.equal(length, 0)
    return first, first + tf.where(stands, length, 0), stands


def answer_labels(
    windows: Mapping[str, tf.Tensor], first_byte: tf.Tensor, end_byte: tf.Tensor
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Token positions of answers in windows, by graph ops.

    Args:
        windows: int32 `example` [W], `first_byte` and `end_byte` [W, T], as the preprocessor's.
        first_byte: int32 [B], of each answer.
        end_byte: int32 [B], one past its last byte.

    Returns:
        Dict of int32 [W], `answer_start` and `answer_end`: the first and the last token that the
        answer has a part of, both 0 unless the window holds all such tokens of its context; and
        bool [B], whether an answer has any token.

    Example:

    >>> windows = {"example": tf.constant([0]), "first_byte": tf.constant([[-1, 0, 2, 4]]),
    ...            "end_byte": tf.constant([[-1, 1, 3, 5]])}
    >>> labels, has_token = answer_labels(windows, tf.constant([2]), tf.constant([5]))
    >>> int(labels["answer_start"][0]), int(labels["answer_end"][0]), bool(has_token[0])
    (2, 3, True)
    """
    example, first, end = windows[EXAMPLE], windows[FIRST_BYTE], windows[END_BYTE]
    # Outside the context `end` is -1, and never above the answer's first byte.
    in_answer = end > tf.gather(first_byte, example)[:, tf.newaxis]
    in_answer &= first < tf.gather(end_byte, example)[:, tf.newaxis]  # [W, T]
    start = tf.argmax(in_answer, axis=1, output_type=tf.int32)
    backward = tf.argmax(tf.reverse(in_answer, axis=[1]), axis=1, output_type=tf.int32)
    # The whole answer is in a window that has its first and its last token of all windows.
    examples = tf.size(first_byte)
    begins = tf.reduce_min(tf.where(in_answer, first, first.dtype.max), axis=1)
    begins_first = tf.math.unsorted_segment_min(begins, example, examples)
    ends = tf.reduce_max(tf.where(in_answer, end, -1), axis=1)
    ends_last = tf.math.unsorted_segment_max(ends, example, examples)
    is_whole = tf.reduce_any(in_answer, axis=1)
    is_whole &= tf.equal(begins, tf.gather(begins_first, example))
    is_whole &= tf.equal(ends, tf.gather(ends_last, example))
    labels = {
        ANSWER_START: tf.where(is_whole, start, 0),
        ANSWER_END: tf.where(is_whole, tf.shape(first)[1] - 1 - backward, 0),
    }
    return labels, ends_last >= 0
