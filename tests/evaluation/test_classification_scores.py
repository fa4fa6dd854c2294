import math

import numpy as np
import pytest

from hierbert_tf.errors import InputError
from hierbert_tf.evaluation.classification_scores import classification_scores

LABELS = ["contradiction", "entailment", "neutral"]
GOLD = [0, 0, 1, 1, 2, 2]
PROBABILITIES = [
    [0.5, 0.25, 0.25],
    [0.2, 0.6, 0.2],
    [0.1, 0.8, 0.1],
    [0.0, 1.0, 0.0],
    [0.25, 0.5, 0.25],
    [0.1, 0.1, 0.8],
]


def test_scores_by_hand():
    scores = classification_scores(GOLD, PROBABILITIES, LABELS)
    assert scores.confusion == ((1, 1, 0), (0, 2, 0), (0, 1, 1))
    assert scores.accuracy == 4 / 6
    # Precision and recall: 1, 1/2; 2/4, 1; 1, 1/2.
    assert scores.f1 == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert scores.macro_f1 == pytest.approx(2 / 3)
    # R_K: (c s - sum p t) / sqrt((s^2 - sum p^2) (s^2 - sum t^2)), c 4, s 6, p 1 4 1, t 2 2 2.
    assert scores.matthews == pytest.approx((24 - 12) / math.sqrt((36 - 18) * (36 - 12)))
    losses = [math.log(value) for value in (0.5, 0.2, 0.8, 1.0, 0.25, 0.8)]
    assert scores.log_loss == pytest.approx(-sum(losses) / 6)
    assert list(scores.as_dict()) == [
        "accuracy",
        "macro_f1",
        "matthews",
        "log_loss",
        "count",
        "f1/contradiction",
        "f1/entailment",
        "f1/neutral",
    ]
    assert scores.as_dict()["count"] == 6


def test_two_classes_give_the_usual_matthews():
    gold = np.repeat([1, 1, 0, 0], [6, 2, 3, 1])  # true +, false -, true -, false +
    ones = np.repeat([0.9, 0.1, 0.2, 0.7], [6, 2, 3, 1])
    scores = classification_scores(gold, np.stack([1 - ones, ones], 1), ["no", "yes"])
    expected = (6 * 3 - 1 * 2) / math.sqrt((6 + 1) * (6 + 2) * (3 + 1) * (3 + 2))
    assert scores.matthews == pytest.approx(expected)
    assert scores.confusion == ((3, 1), (2, 6))


def test_always_the_same_class():
    scores = classification_scores([0, 1], [[0.7, 0.3]] * 2, ["no", "yes"])
    assert (scores.accuracy, scores.matthews, scores.f1) == (0.5, 0.0, (2 / 3, 0.0))


def test_a_class_that_never_occurs_counts_in_the_mean():
    scores = classification_scores([0, 1], [[1, 0, 0], [0, 1, 0]], LABELS)
    assert scores.macro_f1 == pytest.approx(2 / 3)
    assert scores.confusion[2] == (0, 0, 0)


def test_ties_go_to_the_first_class():
    assert classification_scores([1], [[0.5, 0.5]], ["no", "yes"]).accuracy == 0.0


def test_an_impossible_gold_class_costs_a_finite_loss():
    loss = classification_scores([0], [[0.0, 1.0]], ["no", "yes"]).log_loss
    assert loss == pytest.approx(36.04, abs=0.01)


def test_rounded_probabilities_are_scaled():
    scores = classification_scores([0], np.array([[0.5, 0.495]], "float16"), ["no", "yes"])
    assert scores.log_loss == pytest.approx(-math.log(0.5 / 0.995), abs=1e-3)


@pytest.mark.parametrize(
    ("gold", "probabilities", "labels", "message"),
    [
        ([], np.zeros((0, 2)), ["no", "yes"], "no labelled example"),
        ([0], [[1.0]], ["no"], "two labels or more"),
        ([0], [[0.5, 0.5]], LABELS, r"\[1, 2\].*need \[1, 3\]"),
        ([0, 1], [[0.5, 0.5]], ["no", "yes"], r"\[1, 2\].*2 examples"),
        ([0, 2], [[0.5, 0.5]] * 2, ["no", "yes"], "example 1 has the class 2"),
        ([0, -1], [[0.5, 0.5]] * 2, ["no", "yes"], "example 1 has the class -1"),
        ([0.5], [[0.5, 0.5]], ["no", "yes"], "example 0 has the class 0.5"),
        ([0, 1], [[0.5, 0.5], [2.0, -3.0]], ["no", "yes"], r"row 1 .*\[2.0, -3.0\]"),
        ([0], [[math.nan, 0.5]], ["no", "yes"], "row 0"),
        ([0], [[1.5, -0.5]], ["no", "yes"], "row 0"),
    ],
)
def test_bad_input_is_refused(gold, probabilities, labels, message):
    with pytest.raises(InputError, match=message):
        classification_scores(gold, probabilities, labels)
