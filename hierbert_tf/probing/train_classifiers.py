"""Training of many small classifiers together.

SentEval trains one classifier at a time, a few thousand tiny steps each, and most of that time goes
into starting operations. Here all of them take each step together (`sweep_step`), and one whose
training has ended leaves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from hierbert_tf.config_probing import ProbeClassifierConfig
from hierbert_tf.layers.seeds import derived_seed
from hierbert_tf.probing.early_stopping import EarlyStopping
from hierbert_tf.probing.sweep_step import SweepStep, evaluate, train_epochs

# Weights, two moments and the gradient of the classifiers trained together; more would run through
# the processor's cache at every step, fewer would leave it waiting for operations to start.
GROUP_BYTES = 24 * 2**20


@dataclass(frozen=True)
class Classifier:
    """One classifier to train: its row of the vectors, seed, hidden width (or 0) and dropout."""

    row: int
    seed: int
    hidden: int
    dropout: float


@dataclass(frozen=True)
class Examples:
    """Which examples each seed's classifiers see: int32 [S, number] of each split."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


@dataclass
class Outcome:
    """What became of a classifier: the kept weights' epoch, accuracies, and nats on `test`."""

    epochs: int = 0
    validation: float = 0.0
    test: float = 0.0
    test_nats: float = 0.0


def train_classifiers(
    vectors: np.ndarray,
    labels: np.ndarray,
    examples: Examples,
    num_classes: int,
    classifiers: Sequence[Classifier],
    settings: ProbeClassifierConfig,
    seeds: Sequence[int],
    keep_by_loss: bool = False,
) -> list[Outcome]:
    """Trains any classifiers together.

    Args:
        vectors: float [R, E, D].
        labels: int [E].
        examples: of each of the seeds.
        num_classes: C.
        classifiers: in any order.
        settings: Adam's rate, batch and stopping rule.
        seeds: of the classifiers.
        keep_by_loss: the best weights are those of the smallest loss on validation, not of the
            highest accuracy.

    Returns:
        Outcomes in the order of the classifiers.
    """
    outcomes = [Outcome() for _ in classifiers]
    for group in _groups(classifiers, vectors.shape[2], num_classes):
        training = _Training(vectors, labels, num_classes, classifiers, group, seeds)
        rule = EarlyStopping(
            len(group), settings.tenacity, settings.epoch_size, settings.max_epochs
        )
        kept = [outcomes[index] for index in group]
        while rule.running.any():
            training.train(examples.train, rule.epochs, settings)
            right, nats = training.scores(examples.validation, len(group))
            improved = rule.look(-nats if keep_by_loss else right)
            if improved.any():
                test_right, test_nats = training.scores(examples.test, len(group))
            for position in np.flatnonzero(improved):
                # To know what the kept weights do on test, the weights need not be kept.
                outcome = kept[position]
                outcome.epochs = rule.epochs
                outcome.validation = float(right[position]) / examples.validation.shape[1]
                outcome.test = float(test_right[position]) / examples.test.shape[1]
                outcome.test_nats = float(test_nats[position])
            training.keep(rule.running)
    return outcomes


def _groups(classifiers: Sequence[Classifier], inputs: int, classes: int) -> Iterator[list[int]]:
    """Positions of the classifiers to train together: whole rows, up to `GROUP_BYTES`."""
    group: list[int] = []
    size = 0
    for row in sorted({classifier.row for classifier in classifiers}):
        members = [i for i, classifier in enumerate(classifiers) if classifier.row == row]
        bytes_ = 0
        for i in members:
            hidden = classifiers[i].hidden
            bytes_ += 16 * (hidden * (inputs + 1 + classes) if hidden else classes * (inputs + 1))
        if group and size + bytes_ > GROUP_BYTES:
            yield group
            group, size = [], 0
        group, size = group + members, size + bytes_
    if group:
        yield group


class _Training:
    """The classifiers of one group, as they stand, and the vectors of their rows."""

    def __init__(
        self,
        vectors: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
        classifiers: Sequence[Classifier],
        group: Sequence[int],
        seeds: Sequence[int],
    ) -> None:
        members = [classifiers[index] for index in group]
        first, last = members[0].row, members[-1].row
        # Of a memory map this reads the group's rows alone.
        self.vectors = tf.constant(np.asarray(vectors[first : last + 1], np.float32))
        self.labels = tf.constant(labels, tf.int32)
        self.seeds = list(seeds)
        self.order_seeds = [tf.constant(derived_seed(seed, "probe", "order")) for seed in seeds]
        self.pairs_of = np.array(
            [(member.row - first, self.seeds.index(member.seed)) for member in members]
        )
        rates = sorted({classifier.dropout for classifier in classifiers})
        self.steps, self.positions = [], []
        # Also the widths that only other groups have: the graph is the same for all groups.
        for hidden in sorted({classifier.hidden for classifier in classifiers}):
            places = np.array([i for i, m in enumerate(members) if m.hidden == hidden], np.int64)
            self.steps.append(
                SweepStep(
                    hidden,
                    vectors.shape[2],
                    num_classes,
                    pair=np.zeros(len(places)),
                    seed=self.pairs_of[places, 1],
                    rate=np.array([rates.index(members[i].dropout) for i in places]),
                    seeds=seeds,
                    rates=rates,
                )
            )
            self.positions.append(places)
        self.keep(np.ones(len(members), bool))

    def keep(self, running: np.ndarray) -> None:
        """Drops the classifiers that no longer run, and the pairs that none reads any more."""
        left = np.concatenate([places[running[places]] for places in self.positions])
        pairs, which = np.unique(self.pairs_of[left], axis=0, return_inverse=True)
        self.pairs = tf.constant(pairs, tf.int32)
        start = 0
        for number, places in enumerate(self.positions):
            staying = np.flatnonzero(running[places])
            end = start + len(staying)
            self.steps[number].keep(staying, which[start:end])
            self.positions[number] = places[staying]
            start = end

    def train(
        self, examples: np.ndarray, first_epoch: int, settings: ProbeClassifierConfig
    ) -> None:
        train_epochs(
            [step.state for step in self.steps],
            self.vectors,
            self.labels,
            tf.constant(examples, tf.int32),
            self.pairs,
            self.order_seeds,
            tf.constant(first_epoch),
            tf.constant(settings.epoch_size),
            tf.constant(settings.batch_size),
            tf.constant(settings.learning_rate),
        )

    def scores(self, examples: np.ndarray, members: int) -> np.ndarray:
        """float64 [2, members]: right answers and nats; 0 for the classifiers not running."""
        found = evaluate(
            [step.state for step in self.steps],
            self.vectors,
            self.labels,
            tf.constant(examples, tf.int32),
            self.pairs,
        )
        scores = np.zeros([2, members])
        scores[:, np.concatenate(self.positions)] = found.numpy()
        return scores
