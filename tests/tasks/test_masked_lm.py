import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from hierbert_tf.data.sequences import Sequences
from hierbert_tf.errors import InputError
from hierbert_tf.tasks.masked_lm import LONGEST_SPAN, MaskedLM
from tests.conftest import ID, PIECES, TOKENS, WORDS, make_sequences, make_table

TABLE = make_table()


def mask(sequences: Sequences, seed: int = 0, **options):
    return MaskedLM("masked_lm", 1, **options).corrupt(sequences, TABLE, tf.constant([seed, 9]))


def taken(result, row: int) -> np.ndarray:
    """Positions that are to be predicted in a row."""
    return result.features["masked_lm_positions"][row].numpy()[result.weight[row].numpy() > 0]


def random_rows(count: int, length: int, seed: int = 0) -> Sequences:
    random = np.random.default_rng(seed)
    half = (length - 3) // 2
    rows = []
    for _ in range(count):
        words = random.choice(WORDS + PIECES, length - 3, p=[0.7 / 40] * 40 + [0.3 / 4] * 4)
        rows.append(f"[CLS] {' '.join(words[:half])} [SEP] {' '.join(words[half:])} [SEP]")
    return make_sequences(rows)


rows = st.lists(
    st.lists(st.sampled_from([*WORDS, "[UNK]", ".", *PIECES]), min_size=2, max_size=30).map(
        lambda words: f"[CLS] {' '.join(words[1:])} [SEP] {words[0]} [SEP]"
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=80, deadline=None)
@given(rows, st.integers(0, 99), st.sampled_from(["piece", "word", "span"]), st.data())
def test_labels_are_the_text_and_the_rest_stays(rows, seed, unit, data):
    sequences = make_sequences(rows)
    shifted = data.draw(st.integers(0, sequences.token_ids.shape[1] - 1))
    column = tf.one_hot(shifted, sequences.token_ids.shape[1], dtype=tf.int32)
    sequences = sequences._replace(shifted=tf.zeros_like(sequences.token_ids) + column)
    result = mask(sequences, seed, unit=unit)
    before, after = sequences.token_ids.numpy(), result.sequences.token_ids.numpy()
    for row in range(len(rows)):
        positions = taken(result, row)
        assert list(positions) == sorted(set(positions))
        np.testing.assert_array_equal(
            result.label[row].numpy()[: len(positions)], before[row, positions]
        )
        assert not result.label[row].numpy()[len(positions) :].any()
        others = np.setdiff1d(np.arange(before.shape[1]), positions)
        np.testing.assert_array_equal(before[row, others], after[row, others])
        assert shifted not in positions
        assert not TABLE.is_special[before[row, positions]].any()
        text = (before[row] != 0) & (before[row] != 2) & (before[row] != 3)
        eligible = text & ~TABLE.is_special[before[row]]
        eligible[shifted] = False
        count = min(max(1, round(0.15 * text.sum())), eligible.sum())
        if unit == "piece":
            assert len(positions) == count
        elif unit == "span":
            assert len(positions) == min(count, eligible.sum())


def test_shares_of_masked_random_and_kept_tokens():
    sequences = random_rows(1000, 128)
    result = mask(sequences)
    before, after = sequences.token_ids.numpy(), result.sequences.token_ids.numpy()
    text = TABLE.content(sequences).numpy()
    assert text.sum() > 100_000
    chosen = np.zeros_like(text)
    for row in range(len(before)):
        chosen[row, taken(result, row)] = True
    assert chosen.sum() == 1000 * round(0.15 * 125)
    labels = before[chosen]
    replaced = after[chosen]
    masked = np.mean(replaced == TABLE.mask_id)
    random = np.mean((replaced != TABLE.mask_id) & (replaced != labels))
    kept = np.mean(replaced == labels)
    regular = (~TABLE.is_special).sum()
    # A random token is the same one by chance in one of `regular` draws.
    np.testing.assert_allclose(
        [masked, random, kept], [0.8, 0.1 - 0.1 / regular, 0.1 + 0.1 / regular], atol=0.01
    )
    drawn = replaced[(replaced != TABLE.mask_id) & (replaced != labels)]
    assert not TABLE.is_special[drawn].any()
    assert len(np.unique(drawn)) == regular
    # Every position is as likely as every other.
    share = chosen[:, 1:63].mean(0)
    np.testing.assert_allclose(share, 0.15, atol=0.06)


def test_whole_words_are_taken_whole():
    sequences = make_sequences(["[CLS] w1 ##a ##b w2 w3 ##c w4 w5 w6 ##a w7 . [SEP] w8 [SEP]"] * 99)
    whole = {(1, 2, 3), (4,), (5, 6), (7,), (8,), (9, 10), (11,), (12,), (14,)}
    seen = set()
    for row in range(99):
        positions = tuple(taken(mask(sequences, unit="word"), row))
        rest = set(positions)
        for word in whole:
            if rest >= set(word):
                rest -= set(word)
                seen.add(word)
        assert not rest
        assert 1 <= len(positions) <= 3
    assert seen == whole


def test_spans_are_runs_of_words():
    sequences = random_rows(400, 128)
    result = mask(sequences, unit="span")
    runs = []
    for row in range(400):
        positions = taken(result, row)
        assert len(positions) == round(0.15 * 125)
        runs += [len(run) for run in np.split(positions, np.where(np.diff(positions) > 1)[0] + 1)]
    single = mask(sequences, unit="piece")
    alone = [np.mean(np.diff(taken(single, row)) == 1) for row in range(400)]
    assert np.mean(alone) < 0.2
    # 3.8 words of 1.4 pieces, less what the bound, the segments' ends and the last cut take.
    assert 3.0 < np.mean(runs) < 6.5
    assert max(runs) > LONGEST_SPAN


def test_a_batch_written_out():
    sequences = make_sequences(["[CLS] w1 w2 w3 w4 w5 w6 [SEP] w7 w8 w9 w10 w11 [SEP]"], length=16)
    result = mask(sequences, seed=5, rate=0.3)
    assert result.features["masked_lm_positions"].shape == (1, 5)
    np.testing.assert_array_equal(result.weight, [[1, 1, 1, 0, 0]])
    again = mask(sequences, seed=5, rate=0.3)
    np.testing.assert_array_equal(result.sequences.token_ids, again.sequences.token_ids)
    other = mask(sequences, seed=6, rate=0.3)
    assert (result.sequences.token_ids != other.sequences.token_ids).numpy().any()


def test_all_masked_when_asked():
    result = mask(make_sequences(["[CLS] w1 w2 w3 [SEP] w4 [SEP]"]), mask_share=1.0, random_share=0)
    (position,) = taken(result, 0)
    assert int(result.sequences.token_ids[0, position]) == ID["[MASK]"]
    assert TOKENS[int(result.label[0, 0])] in WORDS


def test_eager_graph_and_dataset_agree():
    sequences = random_rows(8, 64)
    task = MaskedLM("masked_lm", 1, unit="span")
    seed = tf.constant([1, 2])
    eager = task.corrupt(sequences, TABLE, seed)
    graph = tf.function(lambda s: task.corrupt(s, TABLE, seed))(sequences)
    dataset = tf.data.Dataset.from_tensors(sequences).map(lambda s: task.corrupt(s, TABLE, seed))
    for other in (graph, next(iter(dataset))):
        tf.nest.map_structure(np.testing.assert_array_equal, eager, other)


@pytest.mark.parametrize(
    ("option", "value"),
    [("rate", 0), ("rate", 1), ("mask_share", 2), ("random_share", 0.3), ("unit", "x"),
     ("span_words", 0.5)],
)  # fmt: skip
def test_options_are_checked(option, value):
    with pytest.raises(InputError, match=f"'masked_lm'.*'{option}'"):
        MaskedLM("masked_lm", 1, **{option: value})
