"""Rows in chunks: the same as all at once, in bounded memory."""

import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.serving.chunks import LENGTH_MULTIPLE, run_in_chunks


def rows(lengths, width):
    mask = (np.arange(width) < np.array(lengths)[:, None]).astype("int32")
    ids = np.random.default_rng(0).integers(1, 99, mask.shape).astype("int32") * mask
    return {"token_ids": tf.constant(ids), "padding_mask": tf.constant(mask)}


@pytest.mark.parametrize("in_graph", [False, True])
@pytest.mark.parametrize("tokens_at_once", [1, 64, 10_000])
def test_outputs_are_those_of_all_rows_at_once_in_their_order(tokens_at_once, in_graph):
    features = rows([3, 40, 0, 17, 40, 1, 8, 9], 40)
    seen = []

    def function(some):
        seen.append(some["token_ids"].shape)
        ids = some["token_ids"]
        behind = [[0, 0], [0, 40 - tf.shape(ids)[1]]]
        return {"sum": tf.reduce_sum(ids, 1), "ids": tf.pad(ids, behind)}

    def whole(features):
        width = tf.shape(features["token_ids"])[1]
        outputs = {"sum": (tf.int32, []), "ids": (tf.int32, [width])}
        return run_in_chunks(function, features, outputs, tokens_at_once=tokens_at_once)

    found = (tf.function(whole, autograph=False) if in_graph else whole)(features)
    np.testing.assert_array_equal(found["ids"], features["token_ids"])
    np.testing.assert_array_equal(found["sum"], tf.reduce_sum(features["token_ids"], 1))
    if not in_graph:
        for number, length in seen:
            assert number == 1 or number * length <= tokens_at_once
            assert length == 40 or length % LENGTH_MULTIPLE == 0


def test_short_rows_do_not_pay_for_a_long_one():
    features = rows([512] + [10] * 31, 512)
    tokens = []

    def function(some):
        tokens.append(int(tf.size(some["token_ids"])))
        return {"sum": tf.reduce_sum(some["token_ids"], 1)}

    run_in_chunks(function, features, {"sum": (tf.int32, [])}, tokens_at_once=512)
    assert sum(tokens) == 512 + 31 * 16


def test_no_rows_give_no_outputs():
    features = rows(np.zeros([0], int), 8)
    found = run_in_chunks(
        lambda some: {"x": tf.zeros([tf.shape(some["token_ids"])[0], 5])},
        features,
        {"x": (tf.float32, [5])},
    )
    assert found["x"].shape == (0, 5)
