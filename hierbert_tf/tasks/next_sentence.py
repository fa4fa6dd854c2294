"""Next sentence prediction (Devlin et al., 2019, section 3.1, task 2)."""

from typing import Any

import tensorflow as tf

from hierbert_tf.config import ReceivesConfig
from hierbert_tf.data.pairs import Pairs
from hierbert_tf.data.seeds import fold
from hierbert_tf.data.sequences import Relation, Sequences, TokenTable
from hierbert_tf.tasks.task import (
    Corruption,
    HeadInputs,
    PretrainingTask,
    Stage,
    classify_pooled,
)


class NextSentence(PretrainingTask):
    """Does the second segment follow the first in the text? Label 1: it does.

    Otherwise it is the continuation of another example, always of another document.

    Args:
        random_rate: share of the examples whose second segment is a random one.
        given_pairs: also learn from texts that came as pairs (premise and hypothesis count as a
            true pair although a hypothesis is no continuation); False gives those no label.

    Raises:
        InputError: `random_rate` outside 0 to 1.
    """

    task_name = "next_sentence"
    stage = Stage.PAIR
    pools = True
    documents = 2

    def __init__(
        self,
        name: str,
        layer: int,
        weight: float = 1.0,
        receives: ReceivesConfig | None = None,
        *,
        random_rate: float = 0.5,
        given_pairs: bool = True,
    ):
        super().__init__(name, layer, weight, receives)
        self.check_option("random_rate", random_rate, 0 < random_rate < 1, "between 0 and 1")
        self.random_rate = random_rate
        self.given_pairs = given_pairs

    def corrupt_pairs(self, pairs: Pairs, seed: tf.Tensor) -> Pairs:
        """Exchanges continuations among the chosen examples, never within one document.

        The chosen examples are sorted by document and every one takes the continuation of the
        one that stands as many places on as the largest document has members: by then the
        document has changed. Where one document holds more than half of them no such partner
        exists for all, and those left keep their true continuation (and its label).
        """
        total = tf.size(pairs.relation)
        chosen = tf.random.stateless_uniform([total], fold(seed, 0)) < self.random_rate
        chosen = tf.cast(tf.where(chosen & (pairs.relation == Relation.NEXT))[:, 0], tf.int32)
        document = tf.gather(pairs.document_id, chosen)

        # Documents in random order, members of a document in random order and side by side.
        _, group = tf.unique(document)
        groups = tf.reduce_max(tf.concat([group, [-1]], 0)) + 1
        place = tf.argsort(tf.random.stateless_uniform([groups], fold(seed, 1)))
        member = tf.argsort(tf.random.stateless_uniform([tf.size(chosen)], fold(seed, 2)))
        by_document = tf.argsort(tf.gather(tf.gather(place, group), member), stable=True)
        order = tf.gather(member, by_document)
        largest = tf.reduce_max(tf.concat([tf.math.bincount(group), [0]], 0))
        partner = tf.roll(order, -largest, axis=0)

        taker, giver = tf.gather(chosen, order), tf.gather(chosen, partner)
        other = tf.gather(pairs.document_id, taker) != tf.gather(pairs.document_id, giver)
        taker, giver = tf.boolean_mask(taker, other), tf.boolean_mask(giver, other)
        return pairs._replace(
            next_sentence=tf.tensor_scatter_nd_update(
                pairs.next_sentence, taker[:, tf.newaxis], tf.gather(pairs.own_next, giver)
            ),
            relation=tf.tensor_scatter_nd_update(
                pairs.relation,
                taker[:, tf.newaxis],
                tf.fill([tf.size(taker)], int(Relation.RANDOM)),
            ),
        )

    def corrupt(self, sequences: Sequences, table: TokenTable, seed: tf.Tensor) -> Corruption:
        """Reads the label off the pair: [B], 1 = is next. Exchanged segments have no label."""
        relation = sequences.relation
        labelled = relation != Relation.REVERSED
        if not self.given_pairs:
            labelled &= sequences.is_pair == 0
        label = tf.cast(relation == Relation.NEXT, tf.int32)
        return Corruption(sequences, label, tf.cast(labelled, tf.float32), {})

    def logits(self, head: HeadInputs) -> Any:
        """[B, 2] from the pooled [CLS] vector."""
        return classify_pooled(self, head)
