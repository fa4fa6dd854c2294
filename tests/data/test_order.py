from itertools import islice

import pytest

from hierbert_tf.data.order import windows


def steps_of(start: int, count: int, **kwargs) -> list[tuple]:
    """The next `count` steps as (epoch, window, batch, shards)."""
    found: list[tuple] = []
    for window in windows(start_step=start, **kwargs):
        for batch in range(window.skip, window.steps):
            found.append((window.epoch, window.index, batch, window.shards))
            if len(found) == count:
                return found
    raise AssertionError("windows ended")


SETTINGS = {"examples": [10, 7, 12, 3, 9], "batch_size": 4, "window_shards": 2, "seed": 5}


@pytest.mark.parametrize("start", [0, 1, 4, 9, 10, 37])
def test_resuming_is_the_same_as_going_on(start):
    assert steps_of(start, 20, **SETTINGS) == steps_of(0, start + 20, **SETTINGS)[start:]


def test_each_epoch_reads_each_shard_once_in_another_order():
    by_epoch: dict[int, list[int]] = {}
    for window in islice(windows(**SETTINGS), 30):
        by_epoch.setdefault(window.epoch, []).extend(window.shards)
    complete = [shards for epoch, shards in by_epoch.items() if epoch < max(by_epoch)]
    assert all(sorted(shards) in ([0, 1, 2, 3, 4], [0, 1, 2, 4]) for shards in complete)
    assert len({tuple(shards) for shards in complete}) > 1


def test_the_seed_decides_the_order():
    assert steps_of(0, 9, **SETTINGS) != steps_of(0, 9, **{**SETTINGS, "seed": 6})


def test_shards_smaller_than_a_batch_are_read_together():
    (window,) = islice(windows([1, 1, 1, 1], batch_size=4, window_shards=1, seed=0), 1)
    assert sorted(window.shards) == [0, 1, 2, 3]
    assert window.steps == 1


def test_too_few_examples_are_refused():
    with pytest.raises(ValueError, match="3 examples do not fill a batch of 4"):
        next(windows([1, 2], batch_size=4, window_shards=1, seed=0))
