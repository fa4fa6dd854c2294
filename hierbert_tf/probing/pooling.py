"""How the vectors of a layer's tokens become the vector that a probe reads.

Dimension letters: B batch, T sequence, H hidden, W words.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from hierbert_tf.config_probing import CLS, FIRST_TOKEN, MAX, MEAN, SENTENCE_POOLINGS
from hierbert_tf.errors import InputError
from hierbert_tf.layers.mean_pooler import MeanPooler


def pool(sequence: Any, padding_mask: Any, pooling: str, words: Any = None) -> tf.Tensor:
    """Makes one float32 vector a sentence, or one a word.

    The mean and the maximum are over all tokens of the padding mask, [CLS] and [SEP] among them:
    that is what Sentence-BERT's pooling does, with which most published SentEval scores of BERT's
    mean vectors were made, and what `MeanPooler`, the fine-tuned classifier's, does.

    Args:
        sequence: float [B, T, H], a layer's output.
        padding_mask: int32 [B, T], 1 for a token, 0 for padding.
        pooling: `cls`: the first token's vector, as the layer gives it, without a pooler; `mean`;
            `max`, each dimension on its own; `first_token`: of each word.
        words: for `first_token`: int32 [W, 2], row and position of each word's first token.

    Returns:
        float32 [B, H], or [W, H] for `first_token`.

    Example:

    >>> sequence = tf.constant([[[-1.0], [-3.0], [9.0]]])
    >>> mask = tf.constant([[1, 1, 0]])
    >>> [pool(sequence, mask, pooling).numpy().item() for pooling in ("cls", "mean", "max")]
    [-1.0, -2.0, -1.0]
    >>> pool(sequence, mask, "first_token", tf.constant([[0, 1]])).numpy().tolist()
    [[-3.0]]

    Reference: Reimers and Gurevych, 2019, Sentence-BERT.
    """
    # Before any sum: half precision has too few digits for one.
    sequence = tf.cast(sequence, tf.float32)
    return _POOLINGS[pooling](sequence, padding_mask, words)


def _cls(sequence: tf.Tensor, padding_mask: tf.Tensor, words: Any) -> tf.Tensor:
    return sequence[:, 0, :]


def _mean(sequence: tf.Tensor, padding_mask: tf.Tensor, words: Any) -> tf.Tensor:
    return MeanPooler(dtype="float32")(sequence, padding_mask=padding_mask)


def _max(sequence: tf.Tensor, padding_mask: tf.Tensor, words: Any) -> tf.Tensor:
    # Not a product with the mask: a zero would win where all values are negative.
    is_token = tf.cast(padding_mask, tf.bool)[:, :, tf.newaxis]  # [B, T, 1]
    return tf.reduce_max(tf.where(is_token, sequence, sequence.dtype.min), axis=1)


def _first_token(sequence: tf.Tensor, padding_mask: tf.Tensor, words: Any) -> tf.Tensor:
    return tf.gather_nd(sequence, words)


_POOLINGS: dict[str, Callable[[tf.Tensor, tf.Tensor, Any], tf.Tensor]] = {
    CLS: _cls,
    MEAN: _mean,
    MAX: _max,
    FIRST_TOKEN: _first_token,
}


def poolings_for(word_level: bool, poolings: Sequence[str]) -> tuple[str, ...]:
    """The poolings that a task is probed with.

    Args:
        word_level: whether the task's examples are words: then their first tokens are read,
            whatever is set for sentences.
        poolings: of the settings.

    Raises:
        InputError: a pooling is unknown, named twice, or there is none.

    Example:

    >>> poolings_for(False, ("cls", "mean")), poolings_for(True, ("cls", "mean"))
    (('cls', 'mean'), ('first_token',))
    """
    for pooling in poolings:
        if pooling not in SENTENCE_POOLINGS:
            raise InputError(
                f"model.poolings names {pooling!r}; choose from {', '.join(SENTENCE_POOLINGS)}"
            )
    if not poolings or len(set(poolings)) < len(poolings):
        raise InputError(
            f"model.poolings is {list(poolings)}; name each of {', '.join(SENTENCE_POOLINGS)} at "
            "most once, and one at least"
        )
    return (FIRST_TOKEN,) if word_level else tuple(poolings)
