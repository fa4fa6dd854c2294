import numpy as np

from hierbert_tf.data.words import find_words
from tests.conftest import make_sequences


def test_words_join_their_continuations_and_separators_are_no_words(table):
    sequences = make_sequences(["[CLS] w1 ##a ##b w2 [SEP] ##c w3 . [SEP]"], length=12)
    words = find_words(sequences, table)
    runs = [
        (start, length)
        for start, length, is_word in zip(
            *(value[0].numpy() for value in (words.start, words.length, words.is_word)),
            strict=True,
        )
        if is_word
    ]
    # A continuation at a segment's front, left by trimming, begins a word of its own.
    assert runs == [(1, 3), (4, 1), (6, 1), (7, 1), (8, 1)]
    np.testing.assert_array_equal(words.of_token[0], [0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9])


def test_pieces_stand_alone_when_asked(table):
    sequences = make_sequences(["[CLS] w1 ##a ##b [SEP]"])
    words = find_words(sequences, table, unit="piece")
    np.testing.assert_array_equal(words.is_word[0], [False, True, True, True, False])
    np.testing.assert_array_equal(words.length[0], [1] * 5)
