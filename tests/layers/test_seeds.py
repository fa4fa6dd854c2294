"""Derived seeds."""

import numpy as np

from hierbert_tf.layers.seeds import derived_seed, kernel_initializer


def test_seed_is_the_same_in_every_process():
    # Literal: a change of the hash would change every run's initial weights.
    assert derived_seed(42, "encoder_block_1", "query") == 2083666891


def test_names_are_separated():
    assert derived_seed(1, "ab", "c") != derived_seed(1, "a", "bc")
    assert derived_seed(1, "2") != derived_seed(12)


def test_seeds_fit_int32():
    seeds = [derived_seed(0, str(number)) for number in range(1000)]
    assert min(seeds) >= 0 and max(seeds) < 2**31
    assert len(set(seeds)) == 1000


def test_initial_values_are_a_cut_normal():
    values = np.asarray(kernel_initializer(3, "w")((400, 400)))
    assert abs(values).max() <= 0.04
    assert abs(values.mean()) < 2e-4
    # A normal cut at two standard deviations keeps 0.88 of its own.
    np.testing.assert_allclose(values.std(), 0.88 * 0.02, rtol=0.02)
