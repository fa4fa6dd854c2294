"""Batches of labelled rows."""

import numpy as np
import pytest

from hierbert_tf.downstream.batches import WINDOW_BATCHES, ExampleBatches


def rows(count, batch_size=4, seed=3, longest=32, multiple=8):
    lengths = np.random.default_rng(0).integers(1, longest + 1, count)
    mask = (np.arange(longest) < lengths[:, None]).astype("int32")
    number = np.arange(count, dtype="int32")
    return ExampleBatches(
        {"token_ids": mask * number[:, None], "padding_mask": mask},
        {"label": number},
        seed=seed,
        batch_size=batch_size,
        length_multiple=multiple,
    )


def labels(dataset):
    return [batch[1]["label"].tolist() for batch in dataset.as_numpy_iterator()]


def test_each_epoch_has_every_row_once():
    examples = rows(40)
    seen = np.concatenate(labels(examples.training(examples.steps(3))))
    assert np.bincount(seen, minlength=40).tolist() == [3] * 40


def test_all_batches_are_full_and_the_last_takes_from_the_next_epoch():
    examples = rows(42)
    batches = labels(examples.training(examples.steps(1)))
    assert [len(batch) for batch in batches] == [4] * 11
    assert set(np.concatenate(batches)) == set(range(42))


@pytest.mark.parametrize("start", [1, WINDOW_BATCHES - 1, WINDOW_BATCHES, WINDOW_BATCHES + 7])
def test_a_resumed_run_sees_the_same_batches(start):
    examples = rows(50)
    steps = WINDOW_BATCHES + 20
    assert labels(examples.training(steps, start)) == labels(examples.training(steps))[start:]


def test_seeds_differ_in_order_and_agree_with_themselves():
    assert labels(rows(40).training(10)) == labels(rows(40).training(10))
    assert labels(rows(40).training(10)) != labels(rows(40, seed=4).training(10))


def test_a_batch_is_cut_to_the_multiple_that_holds_its_longest_row():
    examples = rows(64)
    for features, label, weights in examples.training(16).as_numpy_iterator():
        longest = examples.lengths[label["label"]].max()
        assert features["token_ids"].shape[1] == -(-longest // 8) * 8
        assert (features["padding_mask"].sum(1) == examples.lengths[label["label"]]).all()
        assert weights["label"].tolist() == [1.0] * 4
        for row, number in zip(features["token_ids"], label["label"], strict=True):
            assert (row[: examples.lengths[number]] == number).all()


def test_without_a_multiple_all_batches_are_padded_to_the_end():
    assert {b[0]["token_ids"].shape[1] for b in rows(9, multiple=0).once().as_numpy_iterator()} == {
        32
    }


def test_lengths_inside_a_batch_are_alike():
    examples = rows(400)
    sorted_waste = sum(
        batch[0]["padding_mask"].size - batch[0]["padding_mask"].sum()
        for batch in examples.training(100).as_numpy_iterator()
    )
    assert sorted_waste < 0.3 * 400 * 32 / 2  # unsorted batches waste about half


def test_once_has_every_row_in_the_order_of_its_row_numbers():
    examples = rows(10)
    numbers = examples.row_numbers_once()
    assert sorted(np.concatenate(numbers)) == list(range(10))
    assert labels(examples.once()) == [n.tolist() for n in numbers]


def test_a_sample_is_fixed_and_not_the_shortest_rows():
    examples = rows(400)
    sample = np.concatenate(labels(examples.sample(10)))
    assert len(sample) == 40 == len(set(sample))
    assert sample.tolist() == np.concatenate(labels(examples.sample(10))).tolist()
    assert abs(examples.lengths[sample].mean() - examples.lengths.mean()) < 6
    assert len(np.concatenate(labels(examples.sample(1000)))) == 400


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="no rows"):
        rows(0)
