import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.data.sequences import Relation
from hierbert_tf.errors import InputError
from hierbert_tf.tasks.next_sentence import NextSentence
from hierbert_tf.tasks.sentence_order import SentenceOrder
from tests.conftest import make_sequences, make_table

SEED = tf.constant([1, 2])


def labels_of(task, is_pair=0):
    """Label and weight of one row of each relation."""
    sequences = make_sequences(["[CLS] w1 [SEP] w2 [SEP]"] * 3)._replace(
        relation=tf.constant([Relation.NEXT, Relation.RANDOM, Relation.REVERSED]),
        is_pair=tf.fill([3], is_pair),
    )
    result = task.corrupt(sequences, make_table(), SEED)
    np.testing.assert_array_equal(result.sequences.token_ids, sequences.token_ids)
    return result.label.numpy().tolist(), result.weight.numpy().tolist()


def test_one_relation_gives_both_tasks_their_labels():
    # 1 means "as in the text" for both; what a task cannot know has no weight.
    assert labels_of(NextSentence("next_sentence", 1)) == ([1, 0, 0], [1, 1, 0])
    assert labels_of(SentenceOrder("sentence_order", 1)) == ([1, 0, 0], [1, 0, 1])


def test_given_pairs_have_an_order_or_not_as_asked():
    assert labels_of(SentenceOrder("sentence_order", 1), is_pair=1)[1] == [0, 0, 0]
    assert labels_of(SentenceOrder("sentence_order", 1, given_pairs=True), 1)[1] == [1, 0, 1]
    assert labels_of(NextSentence("next_sentence", 1), is_pair=1)[1] == [1, 1, 0]
    assert labels_of(NextSentence("next_sentence", 1, given_pairs=False), 1)[1] == [0, 0, 0]


@pytest.mark.parametrize("rate", [0, 1, -0.5])
def test_rates_are_checked(rate):
    with pytest.raises(InputError, match="reverse_rate"):
        SentenceOrder("sentence_order", 1, reverse_rate=rate)
    with pytest.raises(InputError, match="random_rate"):
        NextSentence("next_sentence", 1, random_rate=rate)
