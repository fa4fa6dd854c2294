"""Sentence order prediction (Lan et al., 2020, ALBERT, section 3.1)."""

from typing import Any

import tensorflow as tf

from hierbert_tf.config import ReceivesConfig
from hierbert_tf.data.pairs import Pairs
from hierbert_tf.data.sequences import Relation, Sequences, TokenTable
from hierbert_tf.tasks.task import (
    Corruption,
    HeadInputs,
    PretrainingTask,
    Stage,
    classify_pooled,
)


class SentenceOrder(PretrainingTask):
    """Do two neighbouring segments stand in their order in the text? Label 1: they do.

    Beside `next_sentence` it works on the pairs that task left in place; an exchanged pair has no
    next-sentence label and a random pair no order label.

    Args:
        reverse_rate: share of the neighbouring pairs that are exchanged.
        given_pairs: also learn from texts that came as pairs; these have no order of their own.

    Raises:
        InputError: `reverse_rate` outside 0 to 1.
    """

    task_name = "sentence_order"
    stage = Stage.PAIR
    pools = True

    def __init__(
        self,
        name: str,
        layer: int,
        weight: float = 1.0,
        receives: ReceivesConfig | None = None,
        *,
        reverse_rate: float = 0.5,
        given_pairs: bool = False,
    ):
        super().__init__(name, layer, weight, receives)
        self.check_option("reverse_rate", reverse_rate, 0 < reverse_rate < 1, "between 0 and 1")
        self.reverse_rate = reverse_rate
        self.given_pairs = given_pairs

    def corrupt_pairs(self, pairs: Pairs, seed: tf.Tensor) -> Pairs:
        """Marks neighbouring segments for exchange."""
        exchange = tf.random.stateless_uniform(tf.shape(pairs.relation), seed) < self.reverse_rate
        exchange &= pairs.relation == Relation.NEXT
        if not self.given_pairs:
            exchange &= pairs.is_pair == 0
        return pairs._replace(relation=tf.where(exchange, int(Relation.REVERSED), pairs.relation))

    def corrupt(self, sequences: Sequences, table: TokenTable, seed: tf.Tensor) -> Corruption:
        """Reads the label off the pair: [B], 1 = in order. Random pairs have no label."""
        relation = sequences.relation
        labelled = relation != Relation.RANDOM
        if not self.given_pairs:
            labelled &= sequences.is_pair == 0
        label = tf.cast(relation == Relation.NEXT, tf.int32)
        return Corruption(sequences, label, tf.cast(labelled, tf.float32), {})

    def logits(self, head: HeadInputs) -> Any:
        """[B, 2] from the pooled [CLS] vector."""
        return classify_pooled(self, head)
