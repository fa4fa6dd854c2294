"""Bigram shift: were two adjacent words exchanged? (Aksoy et al., 2020).

The construction carries the name of SentEval's probing task (Conneau et al., 2018).
"""

from typing import Any

import tensorflow as tf

from hierbert_tf.config import ReceivesConfig
from hierbert_tf.data.seeds import fold
from hierbert_tf.data.sequences import Sequences, TokenTable
from hierbert_tf.data.words import Words, find_words
from hierbert_tf.tasks.task import (
    Corruption,
    HeadInputs,
    PretrainingTask,
    Stage,
    classify_pooled,
    project,
)


class BigramShift(PretrainingTask):
    """In some sequences a pair of adjacent whole words of one segment is exchanged.

    Never moved: special tokens, padding, punctuation, a segment's first word, and two equal
    words. A sequence without any pair that may be exchanged stays as it is, labelled so.

    Args:
        rate: share of the sequences that are shifted.
        swaps: pairs exchanged in a shifted sequence (fewer where it has not so many); pairs never
            touch one another.
        labels: `"sequence"`: one label a sequence, read from [CLS], 1 = shifted; `"token"`: a label
            for each token of the text, 1 = its word was moved.
        unit: `"word"`, or `"piece"` to exchange WordPieces.

    Raises:
        InputError: an option outside what is listed.
    """

    task_name = "bigram_shift"
    stage = Stage.ORDER

    def __init__(
        self,
        name: str,
        layer: int,
        weight: float = 1.0,
        receives: ReceivesConfig | None = None,
        *,
        rate: float = 0.5,
        swaps: int = 1,
        labels: str = "sequence",
        unit: str = "word",
    ):
        super().__init__(name, layer, weight, receives)
        self.check_option("rate", rate, 0 < rate <= 1, "above 0 and at most 1")
        self.check_option("swaps", swaps, isinstance(swaps, int) and swaps >= 1, "at least 1")
        self.check_option("labels", labels, labels in ("sequence", "token"), "sequence or token")
        self.check_option("unit", unit, unit in ("word", "piece"), "word or piece")
        self.rate = rate
        self.swaps = swaps
        self.unit = unit
        self.pools = labels == "sequence"

    def corrupt(self, sequences: Sequences, table: TokenTable, seed: tf.Tensor) -> Corruption:
        """Exchanges words and labels what it did."""
        words = find_words(sequences, table, self.unit)
        movable = self._movable(sequences, words, table)
        rows = tf.shape(movable)[0]
        score = tf.random.stateless_uniform(tf.shape(movable), fold(seed, 0))
        shifted_rows = tf.random.stateless_uniform([rows, 1], fold(seed, 1)) < self.rate
        movable &= shifted_rows

        position = tf.range(tf.shape(sequences.token_ids)[1])[tf.newaxis]  # [1, T]
        slot = tf.range(tf.shape(movable)[1])[tf.newaxis]  # [1, W]
        source = tf.broadcast_to(position, tf.shape(sequences.token_ids))
        shifted = tf.zeros_like(sequences.token_ids, tf.bool)
        for _ in range(self.swaps):
            chosen = tf.argmax(tf.where(movable, score, -1.0), axis=1, output_type=tf.int32)
            chosen = chosen[:, tf.newaxis]  # [B, 1]
            exists = tf.gather(movable, chosen, axis=1, batch_dims=1)
            first = tf.gather(words.start, chosen, axis=1, batch_dims=1)
            second = first + tf.gather(words.length, chosen, axis=1, batch_dims=1)
            end = second + tf.gather(words.length, chosen + 1, axis=1, batch_dims=1)
            inside = exists & (position >= first) & (position < end)
            from_second = position < first + (end - second)
            moved = position + tf.where(from_second, second - first, second - end)
            source = tf.where(inside, moved, source)
            shifted |= inside
            movable &= tf.abs(slot - chosen) > 1
        ids = tf.gather(sequences.token_ids, source, axis=1, batch_dims=1)
        shifted_ids = tf.cast(shifted, tf.int32)
        changed = sequences._replace(token_ids=ids, shifted=sequences.shifted | shifted_ids)
        if self.pools:
            label = tf.reduce_max(shifted_ids, axis=1)  # [B]
            weight = tf.ones_like(label, tf.float32)
        else:
            label = shifted_ids  # [B, T]
            weight = tf.cast(table.content(sequences), tf.float32)
        return Corruption(changed, label, weight, {})

    def _movable(self, sequences: Sequences, words: Words, table: TokenTable) -> tf.Tensor:
        """bool [B, W], the words that may change places with the word after them."""
        last = tf.shape(sequences.token_ids)[1] - 1
        ids = sequences.token_ids
        first_piece = tf.gather(ids, tf.minimum(words.start, last), axis=1, batch_dims=1)
        plain = words.is_word & ~tf.gather(table.is_punctuation, first_piece)
        not_first = tf.pad(words.is_word[:, :-1], [[0, 0], [1, 0]])
        next_plain = tf.pad(plain[:, 1:], [[0, 0], [0, 1]])

        # Two words are equal when their lengths and all their pieces are.
        next_length = tf.pad(words.length[:, 1:], [[0, 0], [0, 1]])
        step = tf.gather(words.length, words.of_token, axis=1, batch_dims=1)  # [B, T]
        opposite = tf.minimum(tf.range(last + 1)[tf.newaxis] + step, last)
        differs = tf.cast(ids != tf.gather(ids, opposite, axis=1, batch_dims=1), tf.int32)
        before = tf.pad(tf.cumsum(differs, axis=1), [[0, 0], [1, 0]])  # [B, T + 1]
        end = tf.minimum(words.start + words.length, last + 1)
        differences = tf.gather(before, end, axis=1, batch_dims=1) - tf.gather(
            before, tf.minimum(words.start, last + 1), axis=1, batch_dims=1
        )
        unequal = (words.length != next_length) | (differences > 0)
        return plain & next_plain & not_first & unequal

    def logits(self, head: HeadInputs) -> Any:
        """[B, 2] from the pooled [CLS] vector, or [B, T, 2] from every token."""
        if self.pools:
            return classify_pooled(self, head)
        return project(self, head, head.receive(head.sequence))
