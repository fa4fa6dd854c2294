import math

import numpy as np

from hierbert_tf.config import TaskConfig
from hierbert_tf.evaluation.chance import chance_levels
from hierbert_tf.tasks import build_tasks

TASKS = build_tasks([TaskConfig("next_sentence", 1), TaskConfig("masked_lm", 2)], 2)


def batch(nsp, nsp_weight, mlm, mlm_weight):
    labels = {"next_sentence": np.array(nsp), "masked_lm": np.array(mlm)}
    weights = {
        "next_sentence": np.array(nsp_weight, float),
        "masked_lm": np.array(mlm_weight, float),
    }
    return {}, labels, weights


def test_majority_class_and_unigram_by_hand():
    batches = [
        batch([1, 0], [1, 1], [[3, 3], [2, 0]], [[1, 1], [1, 0]]),
        batch([1, 0], [1, 0], [[1, 0], [0, 0]], [[1, 0], [0, 0]]),
    ]
    levels = chance_levels(TASKS, batches, np.array([0, 1, 3, 5]))
    nsp, mlm = levels["next_sentence"], levels["masked_lm"]
    assert nsp.accuracy == 2 / 3
    assert math.isclose(nsp.loss, -(2 * math.log(2 / 3) + math.log(1 / 3)) / 3)
    # Training counts plus one: 1, 2, 4, 6 of 13; token 3 is the guess, right 2 times of 4.
    assert mlm.accuracy == 0.5
    assert math.isclose(mlm.loss, -(2 * math.log(6 / 13) + math.log(4 / 13) + math.log(2 / 13)) / 4)


def test_a_task_without_labels_has_no_level():
    levels = chance_levels(TASKS, [batch([1], [0], [[3]], [[1]])], np.zeros(5))
    assert set(levels) == {"masked_lm"}
