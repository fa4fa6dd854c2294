"""Running text to segment pairs: which sentences form A, and where B begins.

Every example anchors at a sentence of its document. A takes whole sentences from there while they
fit a random budget; B takes whole sentences, from where the pair tasks say, while they fit what A
left. True and random continuations go through the same steps, so that neither the lengths nor
the trimming tell them apart.
"""

from typing import NamedTuple

import tensorflow as tf

from hierbert_tf.data.seeds import fold
from hierbert_tf.data.sequences import Relation, Sequences, TokenTable

LONGEST_FIRST_SEGMENT = 0.75
"""Largest share of a sequence that A may ask for, so that B keeps room for a sentence."""


class Text(NamedTuple):
    """The clean text of a window of shards.

    Args:
        token_ids: int32 [tokens].
        sentence_start: int32 [sentences + 1], offsets into `token_ids`, the last is its length.
        first_sentence: int32 [documents].
        sentences: int32 [documents].
        document_id: int64 [documents], equal for the pieces of one document.
        is_pair: int32 [documents].
    """

    token_ids: tf.Tensor
    sentence_start: tf.Tensor
    first_sentence: tf.Tensor
    sentences: tf.Tensor
    document_id: tf.Tensor
    is_pair: tf.Tensor


class Pairs(NamedTuple):
    """N examples before their tokens are gathered. The pair tasks change the last two fields.

    Args:
        document_id: int64 [N].
        is_pair: int32 [N].
        first: int32 [N], first sentence of A.
        own_next: int32 [N], the sentence after A in the text.
        next_sentence: int32 [N], first sentence of B.
        relation: int32 [N], see `Relation`.
    """

    document_id: tf.Tensor
    is_pair: tf.Tensor
    first: tf.Tensor
    own_next: tf.Tensor
    next_sentence: tf.Tensor
    relation: tf.Tensor


def examples_of(tokens: tf.Tensor, sequence_length: int) -> tf.Tensor:
    """Examples a document of `tokens` tokens gives: as many as fill it with full sequences."""
    room = sequence_length - 3
    return tf.maximum(1, (tokens + room - 1) // room)


def anchor(text: Text, sequence_length: int, paired: bool, seed: tf.Tensor) -> Pairs:
    """Chooses where each example of a window begins and where its first segment ends.

    Args:
        text: the window's text.
        sequence_length: T.
        paired: make two segments; documents of one sentence are then left out.
        seed: int32 [2].

    Returns:
        As many examples as the manifest counts, in the order of the text, all `Relation.NEXT`.
    """
    start, first, sentences = text.sentence_start, text.first_sentence, text.sentences
    last = first + sentences - 1
    tokens = tf.gather(start, last + 1) - tf.gather(start, first)
    count = examples_of(tokens, sequence_length)
    if paired:
        count = tf.where(sentences >= 2, count, 0)
        last = last - 1  # A must leave a sentence for B.
    document = tf.repeat(tf.range(tf.size(count)), count)  # [N]
    number = tf.range(tf.size(document)) - tf.gather(tf.cumsum(count, exclusive=True), document)
    uniform = tf.random.stateless_uniform([2, tf.size(document)], seed)

    # Even steps through the document with a jitter of half a step either way: other sentences
    # begin a sequence in each epoch, and a short document's first sentence is not often missed.
    begin = tf.gather(start, tf.gather(first, document))
    end = tf.gather(start, tf.gather(last, document) + 1)
    share = (tf.cast(number, tf.float32) + uniform[0] - 0.5) / tf.cast(
        tf.gather(count, document), tf.float32
    )
    target = begin + tf.cast(tf.maximum(share, 0.0) * tf.cast(end - begin, tf.float32), tf.int32)
    anchored = tf.searchsorted(start, target, side="right") - 1
    anchored = tf.clip_by_value(anchored, tf.gather(first, document), tf.gather(last, document))

    room = sequence_length - (3 if paired else 2)
    budget = tf.fill([tf.size(document)], room)
    if paired:
        longest = float(room) * LONGEST_FIRST_SEGMENT
        budget = 1 + tf.cast(uniform[1] * longest, tf.int32)
    own_next = _sentences_that_fit(start, anchored, budget, tf.gather(last, document) + 1)
    return Pairs(
        document_id=tf.gather(text.document_id, document),
        is_pair=tf.gather(text.is_pair, document),
        first=anchored,
        own_next=own_next,
        next_sentence=own_next,
        relation=tf.fill([tf.size(document)], int(Relation.NEXT)),
    )


def _sentences_that_fit(
    start: tf.Tensor, first: tf.Tensor, budget: tf.Tensor, limit: tf.Tensor
) -> tf.Tensor:
    """The sentence after the last one that fits `budget` tokens from `first`; at least one."""
    after = tf.searchsorted(start, tf.gather(start, first) + budget, side="right") - 1
    return tf.clip_by_value(after, first + 1, limit)


def gather_sequences(
    text: Text, pairs: Pairs, sequence_length: int, paired: bool, table: TokenTable
) -> Sequences:
    """Fills the examples' tokens in: `[CLS] A [SEP] B [SEP]`, padded to T.

    A loses tokens at its front and B at its end where a pair is too long, so that what meets in
    the middle is always the text's own.

    Args:
        text: the window's text.
        pairs: the examples after the pair tasks.
        sequence_length: T.
        paired: two segments.
        table: for the special tokens' ids.

    Returns:
        Sequences with B = N rows.
    """
    start = text.sentence_start
    a_start, a_end = tf.gather(start, pairs.first), tf.gather(start, pairs.own_next)
    if paired:
        room = sequence_length - 3
        after = pairs.next_sentence
        b_start = tf.gather(start, after)
        first_of_b = tf.gather(start, after + 1) - b_start
        # Whatever A's length, B's first sentence keeps its place up to half of the sequence.
        a_start = tf.maximum(a_start, a_end - room + tf.minimum(first_of_b, room // 2))
        left = room - (a_end - a_start)
        document = tf.searchsorted(text.first_sentence, after, side="right") - 1
        limit = tf.gather(text.first_sentence + text.sentences, document)
        b_end = tf.gather(start, _sentences_that_fit(start, after, left, limit))
        b_end = tf.minimum(b_end, b_start + left)
        exchanged = pairs.relation == Relation.REVERSED
        a_start, b_start = _exchange(exchanged, a_start, b_start)
        a_end, b_end = _exchange(exchanged, a_end, b_end)
    else:
        a_end = tf.minimum(a_end, a_start + sequence_length - 2)
        b_start = b_end = tf.zeros_like(a_start)
    return _fill(text, pairs, (a_start, a_end - a_start), (b_start, b_end - b_start),
                 sequence_length, paired, table)  # fmt: skip


def _exchange(where: tf.Tensor, one: tf.Tensor, other: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.where(where, other, one), tf.where(where, one, other)


def _fill(
    text: Text,
    pairs: Pairs,
    segment_a: tuple[tf.Tensor, tf.Tensor],
    segment_b: tuple[tf.Tensor, tf.Tensor],
    sequence_length: int,
    paired: bool,
    table: TokenTable,
) -> Sequences:
    position = tf.range(sequence_length)[tf.newaxis, :]  # [1, T]
    a_start, a_length = (value[:, tf.newaxis] for value in segment_a)  # [N, 1]
    b_start, b_length = (value[:, tf.newaxis] for value in segment_b)
    in_b = position > a_length + 1
    end = a_length + (b_length + 3 if paired else 2)
    index = tf.where(in_b, b_start + position - a_length - 2, a_start + position - 1)
    ids = tf.gather(text.token_ids, tf.clip_by_value(index, 0, tf.size(text.token_ids) - 1))
    ids = tf.where(position == 0, table.cls_id, ids)
    ids = tf.where((position == a_length + 1) | (position == end - 1), table.sep_id, ids)
    real = position < end
    ids = tf.where(real, ids, table.pad_id)
    return Sequences(
        token_ids=ids,
        segment_ids=tf.cast(in_b & real, tf.int32),
        padding_mask=tf.cast(real, tf.int32),
        shifted=tf.zeros_like(ids),
        relation=pairs.relation,
        is_pair=pairs.is_pair,
    )


def shuffle_into_batches(
    sequences: Sequences,
    batch_size: int,
    length_multiple: int,
    drop_remainder: bool,
    seed: tf.Tensor,
) -> tf.Tensor:
    """A random order of the examples in which the rows of a batch are of like length.

    The examples are permuted, then sorted by length in units of `length_multiple` (the sort is
    stable, so equals stay in random order), cut into batches, and the batches are permuted.

    Args:
        sequences: N examples.
        batch_size: rows a batch.
        length_multiple: 0: do not sort.
        drop_remainder: leave out examples that do not fill a batch (a random few of each window).
        seed: int32 [2].

    Returns:
        int32 [batches, batch_size], rows of `sequences`; -1 fills up a last batch that is short.
    """
    total = tf.shape(sequences.token_ids)[0]
    order = tf.argsort(tf.random.stateless_uniform([total], fold(seed, 0)))
    if drop_remainder:
        order = order[: total // batch_size * batch_size]
    if length_multiple:
        lengths = tf.reduce_sum(tf.gather(sequences.padding_mask, order), axis=1)
        units = (lengths + length_multiple - 1) // length_multiple
        order = tf.gather(order, tf.argsort(units, stable=True))
    order = tf.pad(order, [[0, -tf.size(order) % batch_size]], constant_values=-1)
    batches = tf.reshape(order, [-1, batch_size])
    shuffled = tf.argsort(tf.random.stateless_uniform([tf.shape(batches)[0]], fold(seed, 1)))
    return tf.gather(batches, shuffled)
