import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from hierbert_tf.errors import InputError
from hierbert_tf.tasks.bigram_shift import BigramShift
from tests.conftest import PIECES, PUNCTUATION, TOKENS, WORDS, make_sequences, make_table, show

TABLE = make_table()


def shift(rows: list[str], seed: int, **options):
    task = BigramShift("bigram_shift", 1, **options)
    return task.corrupt(make_sequences(rows), TABLE, tf.constant([seed, 0]))


def words_of(row: str) -> list[str]:
    """Whole words, separators and punctuation, in order."""
    words: list[str] = []
    for token in row.split():
        if token in PIECES and words and words[-1] not in ("[CLS]", "[SEP]"):
            words[-1] += f" {token}"
        else:
            words.append(token)
    return words


segment = st.lists(
    st.one_of(
        st.sampled_from(WORDS[:4]),
        st.sampled_from(WORDS),
        st.sampled_from(PUNCTUATION),
        st.tuples(st.sampled_from(WORDS[:3]), st.lists(st.sampled_from(PIECES), max_size=3)).map(
            lambda word: " ".join([word[0], *word[1]])
        ),
    ),
    min_size=1,
    max_size=12,
).map(" ".join)
row = st.builds("[CLS] {} [SEP] {} [SEP]".format, segment, segment)


@settings(max_examples=80, deadline=None)
@given(st.lists(row, min_size=1, max_size=5), st.integers(0, 99), st.integers(1, 3))
def test_only_what_may_move_moves(rows, seed, swaps):
    result = shift(rows, seed, rate=1.0, swaps=swaps)
    for number, before in enumerate(rows):
        after = show(result.sequences.token_ids[number])
        old, new = words_of(before), words_of(after)
        assert len(old) == len(new)
        moved = [i for i in range(len(old)) if old[i] != new[i]]
        starts = np.cumsum([0] + [len(word.split()) for word in old])
        if not moved:
            # Nothing moves only where no pair may.
            assert not any(may_swap(old, i) for i in range(len(old) - 1))
        assert len(moved) <= 2 * swaps and len(moved) % 2 == 0
        for first, second in zip(moved[::2], moved[1::2], strict=True):
            assert second == first + 1
            assert may_swap(old, first)
            assert (new[first], new[second]) == (old[second], old[first])
        expected = np.zeros(len(result.sequences.shifted[number]), int)
        for first in moved[::2]:
            expected[starts[first] : starts[first + 2]] = 1
        np.testing.assert_array_equal(result.sequences.shifted[number], expected)
        assert int(result.label[number]) == bool(moved)


def may_swap(words: list[str], index: int) -> bool:
    first, second = words[index], words[index + 1]
    barred = {"[CLS]", "[SEP]", *PUNCTUATION}
    return (
        words[index - 1] not in ("[CLS]", "[SEP]")
        and first not in barred
        and second not in barred
        and first != second
    )


def test_half_of_the_sequences_are_shifted_and_any_pair_may_be():
    rows = ["[CLS] w1 w2 w3 w4 [SEP] w5 w6 w7 [SEP]"] * 2000
    result = shift(rows, seed=1)
    assert abs(float(tf.reduce_mean(tf.cast(result.label, tf.float32))) - 0.5) < 0.04
    texts = [show(ids) for ids in result.sequences.token_ids]
    expected = {
        "[CLS] w1 w3 w2 w4 [SEP] w5 w6 w7 [SEP]",
        "[CLS] w1 w2 w4 w3 [SEP] w5 w6 w7 [SEP]",
        "[CLS] w1 w2 w3 w4 [SEP] w5 w7 w6 [SEP]",
    }
    assert set(texts) == {rows[0], *expected}
    shares = [texts.count(text) / 2000 for text in expected]
    assert min(shares) > 0.5 / 3 - 0.04


def test_words_move_whole_and_pieces_alone_when_asked():
    rows = ["[CLS] w0 w1 ##a ##b w2 [SEP] . [SEP]"]
    whole = shift(rows, seed=3, rate=1.0)
    assert show(whole.sequences.token_ids[0]) == "[CLS] w0 w2 w1 ##a ##b [SEP] . [SEP]"
    np.testing.assert_array_equal(whole.sequences.shifted[0], [0, 0, 1, 1, 1, 1, 0, 0, 0])
    seen = {
        show(shift(rows, seed=seed, rate=1.0, unit="piece").sequences.token_ids[0])
        for seed in range(30)
    }
    assert seen == {
        "[CLS] w0 ##a w1 ##b w2 [SEP] . [SEP]",
        "[CLS] w0 w1 ##b ##a w2 [SEP] . [SEP]",
        "[CLS] w0 w1 ##a w2 ##b [SEP] . [SEP]",
    }


def test_equal_words_of_several_pieces_do_not_change_places():
    result = shift(["[CLS] w0 w1 ##a w1 ##a [SEP] w2 [SEP]"], seed=0, rate=1.0)
    assert int(result.label[0]) == 0
    result = shift(["[CLS] w0 w1 ##a w1 ##b [SEP] w2 [SEP]"], seed=0, rate=1.0)
    assert int(result.label[0]) == 1


def test_labels_of_tokens_count_the_text_alone():
    result = shift(["[CLS] w0 w1 w2 [SEP] w3 [SEP]", "[CLS] w4 [SEP] w5 [SEP]"], 0, rate=1.0,
                   labels="token")  # fmt: skip
    np.testing.assert_array_equal(result.label, [[0, 0, 1, 1, 0, 0, 0], [0] * 7])
    np.testing.assert_array_equal(result.weight, [[0, 1, 1, 1, 0, 1, 0], [0, 1, 0, 1, 0, 0, 0]])


def test_the_vocabulary_of_the_tests_is_what_it_says():
    assert TOKENS[TABLE.mask_id] == "[MASK]"
    assert [TOKENS[i] for i in np.flatnonzero(TABLE.is_continuation)] == PIECES


@pytest.mark.parametrize(
    ("option", "value"),
    [("rate", 0), ("rate", 1.5), ("swaps", 0), ("labels", "word"), ("unit", "letter")],
)
def test_options_are_checked(option, value):
    with pytest.raises(InputError, match=f"'bigram_shift'.*'{option}'"):
        BigramShift("bigram_shift", 1, **{option: value})
