import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.config_probing import ProbeClassifierConfig
from hierbert_tf.errors import InputError
from hierbert_tf.layers.seeds import derived_seed
from hierbert_tf.probing import train_classifiers as training
from hierbert_tf.probing.early_stopping import EarlyStopping
from hierbert_tf.probing.sweep import train_probes
from hierbert_tf.probing.sweep_step import train_epochs
from hierbert_tf.probing.train_classifiers import Classifier, Examples, train_classifiers

SETTINGS = ProbeClassifierConfig(
    hidden=(6, 0), dropout=(0.0, 0.3), batch_size=16, learning_rate=0.02, epoch_size=2,
    tenacity=2, max_epochs=20,
)  # fmt: skip
E, D, C = 130, 5, 3
SPLITS = np.repeat([0, 1, 2], [70, 30, 30])
EVERYTHING = [
    Classifier(row, seed, hidden, rate)
    for row in range(2)
    for seed in (3, 4)
    for hidden, rate in ((6, 0.0), (6, 0.3), (0, 0.0))
]


def make_data():
    random = np.random.default_rng(0)
    labels = random.integers(0, C, E).astype("int32")
    vectors = random.normal(size=[2, E, D]).astype("float32")
    vectors[1] += 1.5 * np.eye(C, D)[labels]
    return vectors, labels


def rows_of(seeds):
    rows = [np.flatnonzero(split == SPLITS) for split in range(3)]
    return Examples(*(np.tile(row, [len(seeds), 1]) for row in rows))


@pytest.fixture(scope="module")
def outcomes():
    vectors, labels = make_data()
    return train_classifiers(vectors, labels, rows_of([3, 4]), C, EVERYTHING, SETTINGS, [3, 4])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(classifier, vectors, labels):
    """One classifier alone, in float64 numpy: weights in a list, Adam, loops."""
    x = vectors[classifier.row].astype("float64")
    train, validation, test = (np.flatnonzero(split == SPLITS) for split in range(3))
    hidden, rate = classifier.hidden, classifier.dropout

    def drawn(name, fan_in, shape):
        seed = [derived_seed(classifier.seed, "probe", name, str(hidden)), 0]
        bound = fan_in**-0.5
        return tf.random.stateless_uniform(shape, seed, -bound, bound).numpy().astype("float64")

    first = drawn("first", D, [D + 1, hidden or C])
    weights = [first[:-1], first[-1]]
    if hidden:
        weights += [drawn("second", hidden, [hidden, C]), drawn("bias", hidden, [1, C])[0]]
    moments = [np.zeros_like(weight) for weight in weights]
    squares = [np.zeros_like(weight) for weight in weights]

    def logits_of(rows, mask=1.0):
        inner = x[rows] @ weights[0] + weights[1]
        if not hidden:
            return inner, inner
        inner = sigmoid(inner * mask)
        return inner, inner @ weights[2] + weights[3]

    def probabilities(logits):
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    rule = EarlyStopping(1, SETTINGS.tenacity, SETTINGS.epoch_size, SETTINGS.max_epochs)
    step, kept = 0, None
    while rule.running[0]:
        for epoch in range(rule.epochs, rule.epochs + SETTINGS.epoch_size):
            seed = [derived_seed(classifier.seed, "probe", "order"), epoch]
            order = tf.random.experimental.stateless_shuffle(tf.constant(train, tf.int32), seed)
            for start in range(0, len(train), SETTINGS.batch_size):
                batch = order.numpy()[start : start + SETTINGS.batch_size]
                mask = 1.0
                if hidden and rate:
                    seed = [derived_seed(classifier.seed, "probe", "dropout", str(hidden)), step]
                    shape = [SETTINGS.batch_size, hidden]
                    draw = tf.random.stateless_uniform(shape, seed).numpy()[: len(batch)]
                    mask = (draw >= rate) / (1 - rate)
                inner, logits = logits_of(batch, mask)
                by_logits = (probabilities(logits) - np.eye(C)[labels[batch]]) / len(batch)
                if hidden:
                    by_inner = by_logits @ weights[2].T * inner * (1 - inner) * mask
                    gradients = [x[batch].T @ by_inner, by_inner.sum(0)]
                    gradients += [inner.T @ by_logits, by_logits.sum(0)]
                else:
                    gradients = [x[batch].T @ by_logits, by_logits.sum(0)]
                step += 1
                for number, gradient in enumerate(gradients):
                    moments[number] = 0.9 * moments[number] + 0.1 * gradient
                    squares[number] = 0.999 * squares[number] + 0.001 * gradient**2
                    mean = moments[number] / (1 - 0.9**step)
                    deviation = np.sqrt(squares[number] / (1 - 0.999**step)) + 1e-8
                    weights[number] = weights[number] - SETTINGS.learning_rate * mean / deviation
        right = np.mean(logits_of(validation)[1].argmax(1) == labels[validation])
        if rule.look(np.array([right]))[0]:
            found = probabilities(logits_of(test)[1])
            nats = -np.log(found[np.arange(len(test)), labels[test]]).sum()
            kept = (rule.epochs, right, np.mean(found.argmax(1) == labels[test]), nats)
    return kept


def test_each_is_what_a_plain_loop_makes_of_it(outcomes):
    vectors, labels = make_data()
    for classifier, outcome in zip(EVERYTHING, outcomes, strict=True):
        epochs, validation, test, nats = reference(classifier, vectors, labels)
        assert (outcome.epochs, outcome.validation, outcome.test) == (
            epochs,
            pytest.approx(validation),
            pytest.approx(test),
        )
        assert outcome.test_nats == pytest.approx(nats, rel=1e-4)


def test_the_sweep_has_classifiers_that_end_at_different_times(outcomes):
    assert len({outcome.epochs for outcome in outcomes}) > 2


@pytest.mark.parametrize("number", [1, 5, 9])
def test_nothing_depends_on_what_is_trained_beside(number, outcomes):
    vectors, labels = make_data()
    alone = EVERYTHING[number]
    (outcome,) = train_classifiers(
        vectors, labels, rows_of([alone.seed]), C, [alone], SETTINGS, [alone.seed]
    )
    together = outcomes[number]
    assert outcome.test_nats == pytest.approx(together.test_nats, rel=1e-5)
    assert dataclasses.replace(outcome, test_nats=0) == dataclasses.replace(together, test_nats=0)


def test_groups_change_nothing(outcomes, monkeypatch):
    vectors, labels = make_data()
    monkeypatch.setattr(training, "GROUP_BYTES", 1)
    apart = train_classifiers(vectors, labels, rows_of([3, 4]), C, EVERYTHING, SETTINGS, [3, 4])
    assert [one.epochs for one in apart] == [one.epochs for one in outcomes]
    assert [one.test_nats for one in apart] == pytest.approx(
        [one.test_nats for one in outcomes], rel=1e-5
    )


def test_probes_choose_on_validation(outcomes):
    vectors, labels = make_data()
    settings = dataclasses.replace(SETTINGS, dropout=(0.0, 0.3))
    results = train_probes(vectors, labels, SPLITS, C, settings, [3, 4])
    assert [(result.layer, result.seed) for result in results] == [(0, 3), (0, 4), (1, 3), (1, 4)]
    for number, result in enumerate(results):
        three = outcomes[3 * number : 3 * number + 3]
        best = max(range(3), key=lambda i: three[i].validation)
        assert result.choice == {
            "hidden": (6, 6, 0)[best],
            "dropout": (0.0, 0.3, 0.0)[best],
        }
        assert (result.validation, result.test, result.epochs) == (
            three[best].validation,
            three[best].test,
            three[best].epochs,
        )


def test_of_equal_settings_the_first_is_chosen():
    labels = np.arange(90) % 2
    vectors = np.eye(2, dtype="float32")[labels][None]
    settings = dataclasses.replace(SETTINGS, hidden=(8, 4), learning_rate=0.1, max_epochs=12)
    (result,) = train_probes(vectors, labels, np.arange(90) // 30, 2, settings, [1])
    assert (result.validation, result.setting) == (1.0, "hidden 8, dropout 0")


def test_a_planted_signal_is_found_and_noise_is_not(tmp_path):
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 600)
    splits = np.repeat([0, 1, 2], 200)
    vectors = random.normal(size=[2, 600, 8]).astype("float16")
    vectors[1, :, 5] += 2.5 * (2 * labels - 1)
    np.save(tmp_path / "vectors.npy", vectors)
    vectors = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    settings = dataclasses.replace(SETTINGS, hidden=(8,), batch_size=32, max_epochs=12)
    noise, signal = train_probes(vectors, labels, splits, 2, settings, [1])
    assert signal.test > 0.95
    assert abs(noise.test - 0.5) < 0.12


def test_other_sizes_need_no_other_graph():
    random = np.random.default_rng(2)
    counts = []
    for classes, width, count in ((2, 4, 60), (3, 5, 60), (4, 7, 90), (5, 3, 120), (3, 9, 75)):
        labels = random.integers(0, classes, count)
        vectors = random.normal(size=[3, count, width]).astype("float32")
        splits = np.arange(count) % 3
        settings = dataclasses.replace(SETTINGS, hidden=(2, 3), max_epochs=2)
        train_probes(vectors, labels, splits, classes, settings, [1])
        counts.append(train_epochs.experimental_get_tracing_count())
    assert counts[-1] == counts[2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v, y, s: (v[0], y, s), r"vectors are \[130, 5\]"),
        (lambda v, y, s: (v[:, 1:], y, s), "there are 130 labels"),
        (lambda v, y, s: (v, y, np.where(s == 1, 0, s)), "no validation example"),
        (lambda v, y, s: (v, y, np.where(s == 2, 0, s)), "no test example"),
        (lambda v, y, s: (v, y, np.where(s == 0, 2, s)), "no training example"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        train_probes(*change(*make_data(), SPLITS), C, SETTINGS, [1])


def test_a_value_that_is_no_number_is_named():
    vectors, labels = make_data()
    vectors[1, 17, 2] = np.nan
    with pytest.raises(InputError, match="layer 1, example 17"):
        train_probes(vectors, labels, SPLITS, C, SETTINGS, [1])
