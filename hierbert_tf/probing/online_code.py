"""How many bits a layer saves in transmitting the labels: the online code."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hierbert_tf.config_probing import MLP, ProbeClassifierConfig
from hierbert_tf.layers.seeds import derived_seed
from hierbert_tf.probing.examples import TRAIN, VALIDATION
from hierbert_tf.probing.logistic_regression import fitted, standardised
from hierbert_tf.probing.sweep import ProbeResult, check_vectors
from hierbert_tf.probing.train_classifiers import Classifier, Examples, train_classifiers

# Per mille of the training examples that are sent before each new classifier.
PORTIONS = (1, 2, 4, 8, 16, 32, 62.5, 125, 250, 500, 1000)
# The first classifier learns from at least so many examples.
FEWEST = 16


@dataclass(frozen=True)
class Codelength:
    """The online code of the training labels, of one layer and seed.

    Args:
        layer: row of the vectors.
        seed: of the order of transmission and of the classifiers.
        bits: length of the code.
        compression: the uniform code's length over this one's; 1 is no gain.
    """

    layer: int
    seed: int
    bits: float
    compression: float


def portion_ends(examples: int, num_classes: int) -> list[int]:
    """How many examples have been sent at the end of each portion.

    Args:
        examples: n, of the training split.
        num_classes: C.

    Returns:
        Ascending, the last is n. Portions that end before the C-th or the 16th example are merged
        with the next one: a classifier that has seen fewer examples than there are classes has
        nothing to say.

    Example:

    >>> portion_ends(1000, 2)
    [16, 32, 62, 125, 250, 500, 1000]
    """
    ends = {int(examples * portion / 1000) for portion in PORTIONS}
    return sorted({end for end in ends if end >= max(num_classes, FEWEST)} | {examples})


def online_codelengths(
    vectors: np.ndarray,
    labels: np.ndarray,
    splits: np.ndarray,
    num_classes: int,
    settings: ProbeClassifierConfig,
    chosen: Sequence[ProbeResult],
) -> list[Codelength]:
    """The minimum description length of the training labels given the vectors.

    The training examples are sent in an order drawn from the seed. The first portion costs log2(C)
    bits a label, each later one the cross entropy of a classifier trained on all before it, the
    best by its loss on validation. An MLP has the setting chosen for its layer and seed, and keeps
    the weights of the smallest loss, at SentEval's looks and with its tenacity. A logistic
    regression takes the regularisation of the smallest loss, for each portion anew, since few
    examples want another than many.

    Args:
        vectors: float [R, E, D].
        labels: int [E], from 0.
        splits: int [E].
        num_classes: C.
        settings: as of `chosen`.
        chosen: the results of `train_probes` or of `train_logistic_regressions`; each gets a code.

    Returns:
        In the order of `chosen`.

    Raises:
        InputError: vectors that do not fit the labels or are not finite; an empty split.

    Reference: Voita and Titov, 2020, https://arxiv.org/abs/2003.12298
    """
    check_vectors(vectors, labels, splits)
    labels = np.asarray(labels)
    train = np.flatnonzero(np.asarray(splits) == TRAIN)
    validation = np.flatnonzero(np.asarray(splits) == VALIDATION)
    seeds = list(dict.fromkeys(result.seed for result in chosen))
    orders = np.stack([_order(train, seed) for seed in seeds])  # [S, n]
    ends = portion_ends(len(train), num_classes)
    bits = np.full(len(chosen), ends[0] * math.log2(num_classes))
    for start, end in itertools.pairwise(ends):
        if settings.kind == MLP:
            classifiers = [
                Classifier(one.layer, one.seed, int(one.choice["hidden"]), one.choice["dropout"])
                for one in chosen
            ]
            examples = Examples(
                orders[:, :start], np.tile(validation, [len(seeds), 1]), orders[:, start:end]
            )
            outcomes = train_classifiers(
                vectors, labels, examples, num_classes, classifiers, settings, seeds, True
            )
            bits += np.array([outcome.test_nats for outcome in outcomes]) / math.log(2)
        else:
            for number, one in enumerate(chosen):
                order = orders[seeds.index(one.seed)]
                bits[number] += _regression_bits(
                    vectors[one.layer],
                    labels,
                    (order[:start], validation, order[start:end]),
                    num_classes,
                    settings.inverse_regularisation,
                )
    uniform = len(train) * math.log2(num_classes)
    return [
        Codelength(one.layer, one.seed, float(length), uniform / float(length))
        for one, length in zip(chosen, bits, strict=True)
    ]


def _order(train: np.ndarray, seed: int) -> np.ndarray:
    generator = np.random.default_rng(derived_seed(seed, "probe", "online_code"))
    return generator.permutation(train).astype(np.int32)


def _regression_bits(
    values: np.ndarray,
    labels: np.ndarray,
    rows: tuple[np.ndarray, np.ndarray, np.ndarray],
    num_classes: int,
    strengths: Sequence[float],
) -> float:
    """Bits of the labels sent, by the logistic regression that is best on validation.

    Args:
        values: float [E, D].
        labels: int [E].
        rows: the examples known, those of validation, and those sent.
        num_classes: C.
        strengths: of regularisation, inverse.
    """
    known, validation, sent = rows
    asked = np.concatenate([validation, sent])
    classes = np.unique(labels[known])
    found = []
    if len(classes) == 1:
        found.append(np.ones([len(asked), 1]))
    else:
        train, scaled = standardised(values[known], values[asked])
        found += [fitted(train, labels[known], one).predict_proba(scaled) for one in strengths]
    losses = []
    for known_classes in found:
        probabilities = np.zeros([len(asked), num_classes])
        probabilities[:, classes] = known_classes
        # As if each class had been seen once more: one not known yet costs a finite number of bits.
        smoothed = (probabilities * len(known) + 1) / (len(known) + num_classes)
        losses.append(-np.log2(smoothed[np.arange(len(asked)), labels[asked]]))
    best = min(losses, key=lambda loss: loss[: len(validation)].sum())
    return float(best[len(validation) :].sum())
