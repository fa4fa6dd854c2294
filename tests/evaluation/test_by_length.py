import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierbert_tf.errors import InputError
from hierbert_tf.evaluation.by_length import scores_by_length


def test_groups_by_hand():
    found = scores_by_length([10, 1, 7, 3, 5, 2], [1, 1, 0, 1, 0, 0], groups=3)
    assert [(one.shortest, one.longest, one.count) for one in found] == [
        (1, 2, 2),
        (3, 5, 2),
        (7, 10, 2),
    ]
    assert [one.mean for one in found] == [0.5, 0.5, 0.5]
    # Of 1 and 0: standard deviation sqrt(1/2), over the root of two examples.
    assert found[0].error == pytest.approx(math.sqrt(0.5) / math.sqrt(2))


def test_scores_may_be_shares():
    (only,) = scores_by_length([4, 4], [0.25, 0.75], groups=5)
    assert (only.mean, only.count, only.shortest, only.longest) == (0.5, 2, 4, 4)


def test_one_example_has_no_spread():
    (only,) = scores_by_length([4], [1])
    assert (only.mean, only.error) == (1.0, 0.0)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(1, 7))
def test_every_example_is_in_one_group_and_equal_lengths_in_the_same(lengths, groups):
    scores = np.arange(len(lengths), dtype=float)
    found = scores_by_length(lengths, scores, groups)
    assert 1 <= len(found) <= groups
    assert sum(one.count for one in found) == len(lengths)
    assert sum(one.mean * one.count for one in found) == pytest.approx(scores.sum())
    for before, after in itertools.pairwise(found):
        assert before.longest < after.shortest
    for one in found:
        inside = [length for length in lengths if one.shortest <= length <= one.longest]
        assert len(inside) == one.count
        assert {min(inside), max(inside)} == {one.shortest, one.longest}


def test_groups_of_distinct_lengths_are_equal():
    found = scores_by_length(range(103), np.zeros(103), groups=5)
    assert {one.count for one in found} <= {20, 21}


@pytest.mark.parametrize(
    ("lengths", "scores", "groups", "message"),
    [
        ([], [], 5, "0 lengths"),
        ([1, 2], [1], 5, "2 lengths and 1 scores"),
        ([1], [1], 0, "one group or more, not 0"),
    ],
)
def test_bad_input_is_refused(lengths, scores, groups, message):
    with pytest.raises(InputError, match=message):
        scores_by_length(lengths, scores, groups)
