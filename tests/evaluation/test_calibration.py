import math

import pytest

from hierbert_tf.errors import InputError
from hierbert_tf.evaluation.calibration import calibration


def test_bins_and_error_by_hand():
    found = calibration([0.0, 0.05, 0.95, 0.85, 0.95, 1.0], [0, 1, 1, 0, 0, 1], bins=10)
    low, middle, high = found.bins
    assert (low.low, low.high, low.count, low.accuracy) == (0.0, 0.1, 2, 0.5)
    assert low.confidence == pytest.approx(0.025)
    assert (middle.count, middle.accuracy, middle.confidence) == (1, 0.0, 0.85)
    assert (high.count, high.accuracy) == (3, pytest.approx(2 / 3))
    error = (2 * (0.5 - 0.025) + 0.85 + 3 * abs(2 / 3 - 2.9 / 3)) / 6
    assert found.expected_error == pytest.approx(error)
    assert found.accuracy == 0.5
    assert found.confidence == pytest.approx(3.8 / 6)


def test_an_edge_belongs_to_the_bin_below():
    found = calibration([0.5, 0.51], [1, 1], bins=2)
    assert [one.count for one in found.bins] == [1, 1]


def test_perfect_calibration_has_no_error():
    assert calibration([0.75] * 4, [1, 1, 1, 0]).expected_error == 0.0
    assert calibration([1.0] * 3, [True] * 3).expected_error == 0.0


def test_the_error_weighs_bins_by_their_count():
    found = calibration([0.9] * 9 + [0.1], [1] * 9 + [1])
    assert found.expected_error == pytest.approx(0.9 * 0.1 + 0.1 * 0.9)


@pytest.mark.parametrize(
    ("confidences", "correct", "bins", "message"),
    [
        ([], [], 10, "0 confidences"),
        ([0.5], [1, 0], 10, "1 confidences and 2 predictions"),
        ([0.5, 1.5], [1, 0], 10, "confidence 1 is 1.5"),
        ([math.nan], [1], 10, "confidence 0 is nan"),
        ([0.5], [0.5], 10, "right to 0.5"),
        ([0.5], [1], 0, "one bin or more, not 0"),
    ],
)
def test_bad_input_is_refused(confidences, correct, bins, message):
    with pytest.raises(InputError, match=message):
        calibration(confidences, correct, bins)
