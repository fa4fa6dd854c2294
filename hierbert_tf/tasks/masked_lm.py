"""Masked language modelling (Devlin et al., 2019, section 3.1, task 1)."""

from typing import Any

import tensorflow as tf

from hierbert_tf.config import ReceivesConfig
from hierbert_tf.data.features import Feature
from hierbert_tf.data.seeds import fold
from hierbert_tf.data.sequences import Sequences, TokenTable
from hierbert_tf.data.words import find_words
from hierbert_tf.layers.gather_positions import GatherPositions
from hierbert_tf.layers.masked_lm_head import MaskedLMHead
from hierbert_tf.tasks.task import Corruption, HeadInputs, PretrainingTask, Stage

LONGEST_SPAN = 10
"""Words a masked span holds at most (Joshi et al., 2020, SpanBERT, section 3.1)."""


class MaskedLM(PretrainingTask):
    """Predict tokens of the text from what is left of it.

    `rate` of each sequence's tokens of text are chosen, `round(rate * n)` and at least one, drawn
    without replacement. A chosen token becomes [MASK] with `mask_share`, a random token with
    `random_share`, and stays otherwise. The labels are the tokens as the model would have seen
    them, so after any change of order. Words that another task moved are never chosen, nor are
    [CLS], [SEP], [UNK] and padding.

    Args:
        rate: share of tokens to predict.
        mask_share: share of those that become [MASK].
        random_share: share of those that become a random token.
        unit: what is chosen together: `"piece"` (the exact count); `"word"` (whole words, as
            many as fit the count); `"span"` (runs of words of geometric length, the last one
            cut to the count, as SpanBERT has them).
        span_words: mean length of a span in words.

    Raises:
        InputError: an option outside what is listed.
    """

    task_name = "masked_lm"
    stage = Stage.TOKEN
    num_classes = 0

    def __init__(
        self,
        name: str,
        layer: int,
        weight: float = 1.0,
        receives: ReceivesConfig | None = None,
        *,
        rate: float = 0.15,
        mask_share: float = 0.8,
        random_share: float = 0.1,
        unit: str = "piece",
        span_words: float = 3.8,
    ):
        super().__init__(name, layer, weight, receives)
        self.check_option("rate", rate, 0 < rate < 1, "between 0 and 1")
        self.check_option("mask_share", mask_share, 0 <= mask_share <= 1, "from 0 to 1")
        left = 1 - mask_share + 1e-9  # 0.2 <= 1 - 0.8 is false in floats
        self.check_option(
            "random_share",
            random_share,
            0 <= random_share <= left,
            "from 0 to what mask_share leaves",
        )
        self.check_option("unit", unit, unit in ("piece", "word", "span"), "piece, word or span")
        self.check_option("span_words", span_words, span_words >= 1, "at least 1")
        self.rate = rate
        self.mask_share = mask_share
        self.random_share = random_share
        self.unit = unit
        self.span_words = span_words
        self.positions = f"{name}_positions"

    def features(self) -> tuple[Feature, ...]:
        """The positions whose tokens are to be predicted, ascending, 0 where there are fewer."""
        return (Feature(self.positions, "int32", ("B", "P"), "positions to predict, 0 = none"),)

    def slots(self, length: tf.Tensor) -> tf.Tensor:
        """P for sequences padded to `length`: room for `rate` of them all."""
        return tf.maximum(
            1, tf.cast(tf.math.ceil(self.rate * tf.cast(length, tf.float32)), tf.int32)
        )

    def corrupt(self, sequences: Sequences, table: TokenTable, seed: tf.Tensor) -> Corruption:
        """Chooses and replaces tokens; label and weight are [B, P]."""
        ids = sequences.token_ids
        rows, length = tf.unstack(tf.shape(ids))
        slots = self.slots(length)
        content = table.content(sequences)
        eligible = content & (sequences.shifted == 0)
        eligible &= ~tf.gather(table.is_special, ids)
        counted = tf.cast(tf.reduce_sum(tf.cast(content, tf.int32), axis=1), tf.float32)
        count = tf.maximum(1, tf.cast(tf.round(self.rate * counted), tf.int32))  # [B]
        count = tf.minimum(count, slots)

        if self.unit == "piece":
            score = tf.random.stateless_uniform([rows, length], fold(seed, 0))
            score = tf.where(eligible, score, -1.0)
            best, position = tf.math.top_k(score, slots, sorted=True)
            taken = (tf.range(slots)[tf.newaxis] < count[:, tf.newaxis]) & (best >= 0.0)
        else:
            position, taken = self._choose_units(sequences, table, eligible, count, slots, seed)
        # Ascending, those not taken last: `length` sorts behind every position.
        position = tf.sort(tf.where(taken, position, length), axis=1)
        taken = position < length
        position = tf.where(taken, position, 0)

        label = tf.gather(ids, position, axis=1, batch_dims=1)  # [B, P]
        replaced = self._replacements(label, table, fold(seed, 1))
        # Scattered as differences, so that the slots not taken add nothing to position 0.
        row = tf.broadcast_to(tf.range(rows)[:, tf.newaxis], tf.shape(position))
        changed = tf.tensor_scatter_nd_add(
            ids, tf.stack([row, position], axis=-1), tf.where(taken, replaced - label, 0)
        )
        return Corruption(
            sequences._replace(token_ids=changed),
            tf.where(taken, label, 0),
            tf.cast(taken, tf.float32),
            {self.positions: position},
        )

    def _replacements(self, label: tf.Tensor, table: TokenTable, seed: tf.Tensor) -> tf.Tensor:
        """int32 [B, P], what stands in the text instead of each label."""
        uniform = tf.random.stateless_uniform(tf.shape(label), fold(seed, 0))
        regular = tf.constant(table.regular_ids)
        drawn = tf.random.stateless_uniform(
            tf.shape(label), fold(seed, 1), maxval=tf.size(regular), dtype=tf.int32
        )
        replaced = tf.where(uniform < self.mask_share, table.mask_id, label)
        random = (uniform >= self.mask_share) & (uniform < self.mask_share + self.random_share)
        return tf.where(random, tf.gather(regular, drawn), replaced)

    def _choose_units(
        self,
        sequences: Sequences,
        table: TokenTable,
        eligible: tf.Tensor,
        count: tf.Tensor,
        slots: tf.Tensor,
        seed: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Takes words or spans in random order: positions int32 [B, P], taken bool [B, P]."""
        rows, length = tf.unstack(tf.shape(eligible))
        words = find_words(sequences, table)
        position = tf.range(length)[tf.newaxis]
        begins = tf.gather(words.start, words.of_token, axis=1, batch_dims=1) == position
        if self.unit == "span":
            begins &= self._span_begins(words.of_token, eligible, fold(seed, 2))
        unit = tf.cumsum(tf.cast(begins, tf.int32), axis=1) - 1  # [B, T]
        slots_of_units = tf.broadcast_to(tf.range(1, length + 2), [rows, length + 1])
        edges = tf.searchsorted(unit + 1, slots_of_units)  # [B, T + 1]
        start = tf.gather(edges, unit, axis=1, batch_dims=1)
        size = tf.gather(edges, unit + 1, axis=1, batch_dims=1) - start

        score = tf.random.stateless_uniform([rows, length], fold(seed, 0))
        score = tf.where(eligible, tf.gather(score, unit, axis=1, batch_dims=1), -1.0)
        # Equal scores come out by position, so a unit's tokens stay together and in order.
        best, order = tf.math.top_k(score, slots, sorted=True)  # [B, P]
        rank = tf.range(slots)[tf.newaxis]
        offset = order - tf.gather(start, order, axis=1, batch_dims=1)
        unit_rank = rank - offset
        fits = unit_rank + tf.gather(size, order, axis=1, batch_dims=1) <= count[:, tf.newaxis]
        # A span is cut to the count; a word is not, and the first is taken even where it is longer.
        within = rank < count[:, tf.newaxis]
        taken = within if self.unit == "span" else fits | (unit_rank == 0)
        return order, taken & (best >= 0.0)

    def _span_begins(self, word: tf.Tensor, eligible: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """bool [B, T], words at which a new span begins: geometric lengths, bounded."""
        rows, length = tf.unstack(tf.shape(word))
        new = tf.random.stateless_uniform([rows, length], seed) < 1.0 / self.span_words
        begins = tf.gather(new, word, axis=1, batch_dims=1)
        # A span never reaches over what may not be masked: separators, moved words.
        before = tf.pad(eligible[:, :-1], [[0, 0], [1, 0]])
        return begins | (eligible != before) | ~eligible | (word % LONGEST_SPAN == 0)

    def logits(self, head: HeadInputs) -> Any:
        """[B, P, V], tied to the token embedding, at the positions to predict alone."""
        vectors = GatherPositions(dtype=head.dtype, name=f"{self.name}_gather")(
            head.sequence, head.features[self.positions]
        )
        return MaskedLMHead(
            head.token_embedding, seed=head.seed, dtype=head.dtype, name=f"{self.name}_head"
        )(head.receive(vectors))
