"""Gathered positions and their gradient."""

import numpy as np
import tensorflow as tf

from hierbert_tf.layers.gather_positions import GatherPositions

SEQUENCE = np.random.default_rng(0).normal(size=(2, 6, 8)).astype("float32")
POSITIONS = np.array([[5, 0, 2], [1, 1, 4]], "int32")


def test_gathered_positions():
    gathered = np.asarray(GatherPositions()(SEQUENCE, positions=POSITIONS))
    expected = np.stack([SEQUENCE[row, POSITIONS[row]] for row in range(2)])
    np.testing.assert_array_equal(gathered, expected)


def test_gradient_of_repeated_positions_is_summed():
    sequence = tf.constant(SEQUENCE)
    with tf.GradientTape() as tape:
        tape.watch(sequence)
        loss = tf.reduce_sum(GatherPositions()(sequence, positions=POSITIONS))
    gradient = np.asarray(tf.convert_to_tensor(tape.gradient(loss, sequence)))
    np.testing.assert_array_equal(gradient[1, :, 0], [0, 2, 0, 0, 1, 0])
