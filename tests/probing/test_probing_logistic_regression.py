import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from hierbert_tf.config_probing import ProbeClassifierConfig
from hierbert_tf.errors import InputError
from hierbert_tf.probing.logistic_regression import train_logistic_regressions

SETTINGS = ProbeClassifierConfig(kind="logistic_regression", inverse_regularisation=(0.001, 1.0))


def make_data():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 300)
    vectors = random.normal(size=[2, 300, 6]).astype("float32")
    vectors[1] += np.eye(3, 6)[labels]
    return vectors * 50 + 7, labels, np.repeat([0, 1, 2], 100)


def test_the_best_on_validation_is_tested_on_standardised_vectors():
    vectors, labels, splits = make_data()
    results = train_logistic_regressions(vectors, labels, splits, 3, SETTINGS, [5, 6])
    assert [(one.layer, one.seed) for one in results] == [(0, 5), (0, 6), (1, 5), (1, 6)]
    for result in results:
        x = vectors[result.layer].astype("float64")
        x = (x - x[:100].mean(0)) / x[:100].std(0)
        scores = []
        for strength in (0.001, 1.0):
            model = LogisticRegression(C=strength, max_iter=1000).fit(x[:100], labels[:100])
            right = model.predict(x) == labels
            scores.append((right[100:200].mean(), right[200:].mean(), strength))
        best = max(scores, key=lambda score: score[0])
        assert (result.validation, result.test) == pytest.approx(best[:2])
        assert result.choice == {"inverse_regularisation": best[2]}
    assert results[2].test > results[0].test + 0.1


def test_a_class_that_training_lacks_is_no_obstacle():
    vectors, labels, splits = make_data()
    labels = np.where((labels == 2) & (splits == 0), 1, labels)
    results = train_logistic_regressions(vectors, labels, splits, 3, SETTINGS, [1])
    assert all(0 <= result.test <= 1 for result in results)


def test_what_does_not_fit_is_refused():
    vectors, labels, splits = make_data()
    with pytest.raises(InputError, match="no test example"):
        train_logistic_regressions(vectors, labels, splits % 2, 3, SETTINGS, [1])
