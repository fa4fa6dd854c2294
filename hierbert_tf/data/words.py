"""Whole words inside token sequences: where each begins, how long it is."""

from typing import NamedTuple

import tensorflow as tf

from hierbert_tf.data.sequences import Sequences, TokenTable


class Words(NamedTuple):
    """The runs that a sequence falls into: each word is one, and each token that is no text.

    W, the number of slots for runs, equals T; slots past a row's last run begin at T and are empty.

    Args:
        start: int32 [B, W], position of each run's first token.
        length: int32 [B, W], its tokens; 0 in empty slots.
        is_word: bool [B, W], the run is a word of the text.
        of_token: int32 [B, T], the run that holds each token.
    """

    start: tf.Tensor
    length: tf.Tensor
    is_word: tf.Tensor
    of_token: tf.Tensor


def find_words(sequences: Sequences, table: TokenTable, unit: str = "word") -> Words:
    """Finds the words of each sequence.

    Args:
        sequences: a batch.
        table: the vocabulary's facts.
        unit: `"word"` joins a piece and its `##` continuations; `"piece"` takes each alone.

    Returns:
        The runs, in the order of the text.
    """
    content = table.content(sequences)
    if unit == "word":
        continues = tf.gather(table.is_continuation, sequences.token_ids)
        # A segment's first piece begins a word even where trimming left it a "##" piece.
        after_content = tf.pad(content[:, :-1], [[0, 0], [1, 0]])
        begins = ~(continues & content & after_content)
    else:
        begins = tf.ones_like(content)
    length = tf.shape(content)[1]
    run = tf.cumsum(tf.cast(begins, tf.int32), axis=1)  # [B, T], counted from 1
    slots = tf.broadcast_to(tf.range(1, length + 2), [tf.shape(content)[0], length + 1])
    edges = tf.searchsorted(run, slots)  # [B, W + 1], T where a row has no such run
    start = edges[:, :-1]
    is_word = (start < length) & tf.gather(
        content, tf.minimum(start, length - 1), axis=1, batch_dims=1
    )
    return Words(start, edges[:, 1:] - start, is_word, run - 1)
