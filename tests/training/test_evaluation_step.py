import numpy as np
import pytest
import tensorflow as tf
from tiny_model import TASKS, tiny_batch, tiny_model

from hierbert_tf.training.evaluation_step import EvaluationStep


@pytest.mark.usefixtures("eagerly")
def test_batches_of_any_size_give_the_same_means():
    model = tiny_model(dropout=0.9)
    whole = tiny_batch(0, size=9)
    step = EvaluationStep(model, TASKS)

    def rows(first, last):
        return tf.nest.map_structure(lambda a: tf.constant(a[first:last]), whole)

    together = step.evaluate([rows(0, 9)])
    apart = step.evaluate([rows(0, 1), rows(1, 3), rows(3, 9)])
    assert together.keys() == apart.keys()
    for name in together:
        np.testing.assert_allclose(apart[name], together[name], rtol=1e-6, err_msg=name)
    assert together["masked_lm/weight"] == whole[2]["masked_lm"].sum()
    total = 0.5 * together["next_sentence/loss"] + together["masked_lm/loss"]
    np.testing.assert_allclose(together["total/loss"], total)
    logits = model(rows(0, 9)[0], training=False)["next_sentence"].numpy()
    right = logits.argmax(-1) == whole[1]["next_sentence"]
    np.testing.assert_allclose(together["next_sentence/accuracy"], right.mean())


@pytest.mark.usefixtures("eagerly")
def test_a_task_without_labels_is_nan():
    features, labels, weights = tiny_batch(0)
    weights["masked_lm"] *= 0
    batch = tf.nest.map_structure(tf.constant, (features, labels, weights))
    metrics = EvaluationStep(tiny_model(), TASKS).evaluate([batch])
    assert np.isnan(metrics["masked_lm/loss"]) and metrics["masked_lm/weight"] == 0
    assert metrics["next_sentence/loss"] > 0
