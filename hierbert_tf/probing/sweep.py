"""All classifiers of a probing task in one program: layers x seeds x settings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hierbert_tf.config_probing import ProbeClassifierConfig
from hierbert_tf.errors import InputError
from hierbert_tf.probing.examples import TEST, TRAIN, VALIDATION
from hierbert_tf.probing.train_classifiers import Classifier, Examples, train_classifiers


@dataclass(frozen=True)
class ProbeResult:
    """One layer and seed: the setting that was best on validation.

    Args:
        layer: row of the vectors.
        seed: of weights, order and dropout.
        choice: the setting, such as `{"hidden": 100, "dropout": 0.1}` or
            `{"inverse_regularisation": 0.1}`.
        epochs: passes (for logistic regression: iterations) behind the kept weights.
        validation: accuracy, 0 to 1.
        test: accuracy of the same weights, 0 to 1.

    Example:

    >>> ProbeResult(0, 1, {"hidden": 100, "dropout": 0.1}, 24, 0.75, 0.5).setting
    'hidden 100, dropout 0.1'
    """

    layer: int
    seed: int
    choice: dict[str, float]
    epochs: int
    validation: float
    test: float

    @property
    def setting(self) -> str:
        """The setting as text."""
        return ", ".join(
            f"{name.replace('_', ' ')} {value:g}" for name, value in self.choice.items()
        )


def train_probes(
    vectors: np.ndarray,
    labels: np.ndarray,
    splits: np.ndarray,
    num_classes: int,
    settings: ProbeClassifierConfig,
    seeds: Sequence[int],
) -> list[ProbeResult]:
    """Trains a classifier for each row, seed and setting by SentEval's protocol.

    Classifiers of equal seed and hidden width start from equal weights and see equal batches and
    dropped units, whatever their row and rate: layers are compared under equal conditions.

    Args:
        vectors: float [R, E, D], such as of all layers; may be a memory map.
        labels: int [E], from 0.
        splits: int [E], `TRAIN`, `VALIDATION` or `TEST`.
        num_classes: C.
        settings: widths and dropout rates to choose from on validation (of equals the first; a
            classifier without hidden layer has no dropout), Adam's rate, batch and stopping rule.
        seeds: each is a repetition.

    Returns:
        R x S results, rows outermost.

    Raises:
        InputError: vectors that do not fit the labels or are not finite; an empty split.

    Reference: Conneau et al., 2018, https://arxiv.org/abs/1805.01070

    Example:

    >>> labels, splits = np.arange(90) % 2, np.arange(90) // 30
    >>> vectors = np.stack([np.eye(2)[labels], np.zeros([90, 2])])
    >>> settings = ProbeClassifierConfig(
    ...     hidden=(4,), dropout=(0.0,), learning_rate=0.1, batch_size=8, max_epochs=20
    ... )
    >>> [result.test for result in train_probes(vectors, labels, splits, 2, settings, seeds=[1])]
    [1.0, 0.5]
    """
    check_vectors(vectors, labels, splits)
    grid = [
        (hidden, rate)
        for hidden in settings.hidden
        for rate in (settings.dropout if hidden else (0.0,))
    ]
    classifiers = [
        Classifier(row, seed, *setting)
        for row in range(len(vectors))
        for seed in seeds
        for setting in grid
    ]
    rows = [np.flatnonzero(np.asarray(splits) == split) for split in (TRAIN, VALIDATION, TEST)]
    examples = Examples(*(np.tile(row.astype("int32"), [len(seeds), 1]) for row in rows))
    outcomes = train_classifiers(
        vectors, labels, examples, num_classes, classifiers, settings, seeds
    )
    results = []
    for start in range(0, len(classifiers), len(grid)):
        best = max(range(start, start + len(grid)), key=lambda i: outcomes[i].validation)
        classifier, outcome = classifiers[best], outcomes[best]
        results.append(
            ProbeResult(
                layer=classifier.row,
                seed=classifier.seed,
                choice={"hidden": classifier.hidden, "dropout": classifier.dropout},
                epochs=outcome.epochs,
                validation=outcome.validation,
                test=outcome.test,
            )
        )
    return results


def check_vectors(vectors: np.ndarray, labels: np.ndarray, splits: np.ndarray) -> None:
    """Refuses vectors that no classifier can be trained on.

    Args:
        vectors: [R, E, D].
        labels: [E].
        splits: [E].

    Raises:
        InputError: what does not fit, and where.
    """
    if vectors.ndim != 3 or not len(labels) == len(splits) == vectors.shape[1]:
        raise InputError(
            f"the vectors are {list(vectors.shape)}, and there are {len(labels)} labels and "
            f"{len(splits)} splits; vectors must be [layers, examples, width]"
        )
    for split, name in ((TRAIN, "training"), (VALIDATION, "validation"), (TEST, "test")):
        if not np.any(np.asarray(splits) == split):
            raise InputError(f"there is no {name} example")
    for row, values in enumerate(vectors):
        if not np.isfinite(values).all():
            example = int(np.argmin(np.isfinite(values).all(axis=-1)))
            raise InputError(
                f"the vector of layer {row}, example {example} (from 0) holds a value that is not "
                "a finite number; make the vectors again"
            )
