import dataclasses
import math

import numpy as np
import pytest

from hierbert_tf.config_probing import ProbeClassifierConfig
from hierbert_tf.probing.logistic_regression import train_logistic_regressions
from hierbert_tf.probing.online_code import online_codelengths, portion_ends
from hierbert_tf.probing.sweep import ProbeResult, train_probes

MLP = ProbeClassifierConfig(
    hidden=(8, 4), dropout=(0.0, 0.1), batch_size=16, learning_rate=0.03, max_epochs=16
)
REGRESSION = ProbeClassifierConfig(kind="logistic_regression")
TRAINING = 256


def make_data():
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 400)
    vectors = random.normal(size=[2, 400, 6]).astype("float32")
    vectors[1] += 4 * np.eye(4, 6)[labels]
    return vectors, labels, np.repeat([0, 1, 2], [TRAINING, 72, 72])


@pytest.mark.parametrize(
    ("train", "settings"),
    [(train_probes, MLP), (train_logistic_regressions, REGRESSION)],
    ids=["mlp", "logistic_regression"],
)
def test_a_signal_shortens_the_code_and_noise_does_not(train, settings):
    data = (*make_data(), 4, settings)
    chosen = train(*data, [1, 2])
    codes = online_codelengths(*data, chosen)
    assert [(code.layer, code.seed) for code in codes] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    for code in codes:
        assert code.compression == pytest.approx(TRAINING * 2 / code.bits)
    assert max(code.compression for code in codes[:2]) < 1.1
    assert min(code.compression for code in codes[2:]) > 2
    # Each seed sends in an order of its own.
    assert codes[2].bits != codes[3].bits
    assert online_codelengths(*data, chosen[3:]) == [
        dataclasses.replace(codes[3], **approximately(codes[3]))
    ]


def approximately(code):
    return {
        "bits": pytest.approx(code.bits, rel=1e-4),
        "compression": pytest.approx(code.compression, rel=1e-4),
    }


def test_portions_grow_and_small_ones_are_merged():
    assert portion_ends(100_000, 2)[:3] == [100, 200, 400]
    assert len(portion_ends(100_000, 2)) == 11
    assert portion_ends(100_000, 1000)[0] == 1600
    assert portion_ends(20, 30) == [20]


def test_too_few_examples_cost_the_uniform_code():
    vectors, labels, splits = make_data()
    splits = splits.copy()
    splits[15:TRAINING] = 2
    chosen = [ProbeResult(1, 1, {"hidden": 8, "dropout": 0.0}, 4, 0.5, 0.5)]
    (code,) = online_codelengths(vectors, labels, splits, 4, MLP, chosen)
    assert (code.bits, code.compression) == (15 * math.log2(4), 1.0)


def test_a_class_not_seen_before_costs_a_finite_number_of_bits():
    vectors, labels, splits = make_data()
    labels[:200] %= 3
    chosen = [ProbeResult(1, 1, {"inverse_regularisation": 1.0}, 4, 0.5, 0.5)]
    (code,) = online_codelengths(vectors, labels, splits, 4, REGRESSION, chosen)
    assert math.isfinite(code.bits)
    one_class = np.where(splits == 0, 0, labels)
    (code,) = online_codelengths(vectors, one_class, splits, 4, REGRESSION, chosen)
    assert code.compression > 4
