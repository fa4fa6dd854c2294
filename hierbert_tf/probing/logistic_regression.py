"""The fast mode of probing: logistic regression, of scikit-learn."""

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from hierbert_tf.config_probing import ProbeClassifierConfig
from hierbert_tf.probing.examples import TEST, TRAIN, VALIDATION
from hierbert_tf.probing.sweep import ProbeResult, check_vectors

ITERATIONS = 300


def train_logistic_regressions(
    vectors: np.ndarray,
    labels: np.ndarray,
    splits: np.ndarray,
    num_classes: int,
    settings: ProbeClassifierConfig,
    seeds: Sequence[int],
) -> list[ProbeResult]:
    """Fits a logistic regression for each row and setting, on standardised vectors.

    Nothing in it is random: the seeds of a row have equal results, and it is fitted once.

    Args:
        vectors: float [R, E, D], such as of all layers; may be a memory map.
        labels: int [E], from 0.
        splits: int [E], `TRAIN`, `VALIDATION` or `TEST`.
        num_classes: C.
        settings: `inverse_regularisation` to choose from on validation, of equals the first.
        seeds: repetitions.

    Returns:
        R x S results, rows outermost.

    Raises:
        InputError: vectors that do not fit the labels or are not finite; an empty split.

    Example:

    >>> labels, splits = np.arange(90) % 2, np.arange(90) // 30
    >>> vectors = np.stack([np.eye(2)[labels], np.zeros([90, 2])])
    >>> found = train_logistic_regressions(
    ...     vectors, labels, splits, 2, ProbeClassifierConfig(), seeds=[1]
    ... )
    >>> [(result.test, result.setting) for result in found]
    [(1.0, 'inverse regularisation 0.01'), (0.5, 'inverse regularisation 0.01')]
    """
    check_vectors(vectors, labels, splits)
    labels = np.asarray(labels)
    rows = {split: np.flatnonzero(np.asarray(splits) == split) for split in range(3)}
    results = []
    for layer, values in enumerate(vectors):
        train, scaled = standardised(values[rows[TRAIN]], values)
        best: ProbeResult | None = None
        for strength in settings.inverse_regularisation:
            model = fitted(train, labels[rows[TRAIN]], strength)
            right = model.predict(scaled) == labels
            validation = float(right[rows[VALIDATION]].mean())
            if best is None or validation > best.validation:
                best = ProbeResult(
                    layer=layer,
                    seed=0,
                    choice={"inverse_regularisation": strength},
                    epochs=int(model.n_iter_.max()),
                    validation=validation,
                    test=float(right[rows[TEST]].mean()),
                )
        assert best is not None
        results += [
            ProbeResult(layer, seed, best.choice, best.epochs, best.validation, best.test)
            for seed in seeds
        ]
    return results


def standardised(train: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with the mean and deviation of the training vectors taken out.

    Args:
        train: float [n, D].
        values: float [m, D].

    Returns:
        float32 [n, D] and [m, D].
    """
    scaler = StandardScaler().fit(np.asarray(train, np.float32))
    return scaler.transform(np.asarray(train, np.float32)), scaler.transform(
        np.asarray(values, np.float32)
    )


def fitted(train: np.ndarray, labels: np.ndarray, strength: float) -> LogisticRegression:
    """A logistic regression of these examples.

    Args:
        train: float [n, D], standardised.
        labels: int [n], of two classes at least.
        strength: scikit-learn's C, the inverse of the regularisation.

    Returns:
        The model.
    """
    model = LogisticRegression(C=strength, max_iter=ITERATIONS)
    with warnings.catch_warnings():
        # Almost separable classes converge slowly; validation judges what has been reached.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(train, labels)
