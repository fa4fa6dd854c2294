import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from hierbert_tf.data.pairs import anchor, examples_of, gather_sequences, shuffle_into_batches
from hierbert_tf.data.sequences import Relation
from hierbert_tf.tasks.next_sentence import NextSentence
from hierbert_tf.tasks.sentence_order import SentenceOrder
from tests.conftest import make_table, make_text

TABLE = make_table()
SEED = tf.constant([7, 3])


def numbered(sentence_lengths: list[list[int]]) -> list[list[list[int]]]:
    """Documents whose every token is another number, from 100 on."""
    number = 100
    documents = []
    for lengths in sentence_lengths:
        document = []
        for length in lengths:
            document.append(list(range(number, number + length)))
            number += length
        documents.append(document)
    return documents


def segments(row: np.ndarray) -> tuple[list[int], list[int]]:
    """The tokens of A and B of a row."""
    first_end = list(row).index(3)
    second_end = list(row).index(3, first_end + 1)
    assert row[0] == 2
    assert not row[second_end + 1 :].any()
    return list(row[1:first_end]), list(row[first_end + 1 : second_end])


@pytest.mark.parametrize(
    ("tokens", "expected"), [(1, 1), (13, 1), (14, 2), (26, 2), (27, 3), (1300, 100)]
)
def test_a_document_gives_as_many_examples_as_fill_it(tokens, expected):
    assert int(examples_of(tf.constant(tokens), sequence_length=16)) == expected


corpora = st.lists(
    st.lists(st.integers(1, 30), min_size=1, max_size=9), min_size=1, max_size=6
).filter(lambda documents: any(len(document) > 1 for document in documents))


@settings(max_examples=60, deadline=None)
@given(corpora, st.integers(8, 40), st.integers(0, 1000))
def test_segments_are_the_text_s_own_and_the_labels_true(sentence_lengths, length, seed):
    documents = numbered(sentence_lengths)
    text = make_text(documents)
    seed = tf.constant([seed, 1])
    pairs = anchor(text, length, True, seed)
    pairs = NextSentence("next_sentence", 1).corrupt_pairs(pairs, seed)
    pairs = SentenceOrder("sentence_order", 1).corrupt_pairs(pairs, seed)
    sequences = gather_sequences(text, pairs, length, True, TABLE)
    document_of = {t: n for n, d in enumerate(documents) for s in d for t in s}
    starts = {sentence[0] for document in documents for sentence in document}

    long_enough = [sum(d) for d in sentence_lengths if len(d) > 1]
    assert len(pairs.relation) == sum(max(1, -(-t // (length - 3))) for t in long_enough)
    for row, mask, segment, relation in zip(
        sequences.token_ids.numpy(),
        sequences.padding_mask.numpy(),
        sequences.segment_ids.numpy(),
        sequences.relation.numpy(),
        strict=True,
    ):
        a, b = segments(row)
        assert a and b
        assert mask.sum() == len(a) + len(b) + 3 <= length
        assert segment.tolist() == [0] * (len(a) + 2) + [1] * (len(b) + 1) + [0] * (
            length - len(a) - len(b) - 3
        )
        # Each segment is a stretch of one document.
        assert a == list(range(a[0], a[0] + len(a)))
        assert b == list(range(b[0], b[0] + len(b)))
        assert document_of[a[0]] == document_of[a[-1]]
        assert document_of[b[0]] == document_of[b[-1]]
        if relation == Relation.RANDOM:
            assert document_of[a[0]] != document_of[b[0]]
            assert b[0] in starts
        elif relation == Relation.REVERSED:
            assert b[-1] + 1 == a[0]
        else:
            assert a[-1] + 1 == b[0]


def test_one_document_has_no_random_pairs():
    text = make_text(numbered([[5] * 40]))
    pairs = NextSentence("next_sentence", 1).corrupt_pairs(anchor(text, 16, True, SEED), SEED)
    assert len(pairs.relation) > 10
    assert set(pairs.relation.numpy()) == {Relation.NEXT}


def test_pieces_of_one_document_count_as_one_document():
    text = make_text(numbered([[5] * 40, [5] * 40]))._replace(document_id=tf.zeros([2], tf.int64))
    pairs = NextSentence("next_sentence", 1).corrupt_pairs(anchor(text, 16, True, SEED), SEED)
    assert set(pairs.relation.numpy()) == {Relation.NEXT}


def test_half_of_the_pairs_are_random_and_every_continuation_is_used_once():
    text = make_text(numbered([[6] * 20] * 200))
    before = anchor(text, 16, True, SEED)
    pairs = NextSentence("next_sentence", 1).corrupt_pairs(before, SEED)
    assert abs(np.mean(pairs.relation == Relation.RANDOM) - 0.5) < 0.03
    np.testing.assert_array_equal(np.sort(pairs.next_sentence), np.sort(before.next_sentence))


def test_lengths_do_not_tell_random_pairs_from_true_ones():
    random = np.random.default_rng(0)
    text = make_text(numbered([random.integers(3, 40, 30).tolist() for _ in range(300)]))
    pairs = NextSentence("next_sentence", 1).corrupt_pairs(anchor(text, 128, True, SEED), SEED)
    sequences = gather_sequences(text, pairs, 128, True, TABLE)
    total = sequences.padding_mask.numpy().sum(1)
    second = sequences.segment_ids.numpy().sum(1)
    is_next = pairs.relation.numpy() == Relation.NEXT
    for lengths in (total, second):
        spread = lengths.std() * np.sqrt(2 / len(lengths))
        assert abs(lengths[is_next].mean() - lengths[~is_next].mean()) < 5 * spread


def test_a_mix_of_pairs_and_running_text_keeps_premise_before_hypothesis():
    text = make_text(numbered([[9, 7]] * 8), is_pair=True)
    pairs = anchor(text, 32, True, SEED)
    sequences = gather_sequences(text, pairs, 32, True, TABLE)
    for row, document in zip(sequences.token_ids.numpy(), numbered([[9, 7]] * 8), strict=True):
        assert segments(row) == (document[0], document[1])


def test_single_segments_hold_whole_sentences():
    text = make_text(numbered([[5, 5, 5, 5], [3]]))
    pairs = anchor(text, 14, False, SEED)
    sequences = gather_sequences(text, pairs, 14, False, TABLE)
    assert not sequences.segment_ids.numpy().any()
    for row in sequences.token_ids.numpy():
        tokens = row[row > 0]
        assert tokens[0] == 2 and tokens[-1] == 3
        assert len(tokens) - 2 in (3, 5, 10)


def test_batches_hold_each_example_once_and_rows_of_like_length():
    random = np.random.default_rng(1)
    text = make_text(numbered([random.integers(2, 30, 2).tolist() for _ in range(203)]))
    sequences = gather_sequences(text, anchor(text, 64, True, SEED), 64, True, TABLE)
    order = shuffle_into_batches(sequences, 8, 8, False, SEED).numpy()
    assert sorted(order[order >= 0]) == list(range(len(sequences.token_ids)))
    lengths = sequences.padding_mask.numpy().sum(1)
    spans = [np.ptp(lengths[row[row >= 0]]) for row in order]
    assert np.mean(spans) < 10 < np.ptp(lengths)

    whole = shuffle_into_batches(sequences, 8, 8, True, SEED).numpy()
    assert whole.min() >= 0
    assert len(whole) == len(sequences.token_ids) // 8
    assert len(set(whole.ravel())) == whole.size
