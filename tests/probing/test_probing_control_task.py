"""Random labels by word type: whose they are, and how they are drawn."""

from dataclasses import replace

import numpy as np

from hierbert_tf.downstream.example_counts import ExampleCounts
from hierbert_tf.probing.control_task import control_labels
from hierbert_tf.probing.examples import TEST, TRAIN, VALIDATION, ProbingTask, sentence_words


def sentence_task(sentences, labels, splits, names=("A", "B")):
    return ProbingTask(
        "task", "-", False, tuple(sentences), np.arange(len(sentences), dtype=np.int32),
        np.zeros(len(sentences), np.int32), np.array(labels, np.int32), np.array(splits, np.int8),
        names, ExampleCounts("-"),
    )  # fmt: skip


def word_task(sentences, names=("A", "B")):
    words = [(s, w) for s, text in enumerate(sentences) for w in range(len(text.split()))]
    index = np.array(words, np.int32)
    rng = np.random.default_rng(0)
    return ProbingTask(
        "task", "-", True, tuple(sentences), index[:, 0], index[:, 1],
        rng.integers(len(names), size=len(words)).astype(np.int32), np.zeros(len(words), np.int8),
        names, ExampleCounts("-"),
    )  # fmt: skip


def many_types(count=4000, share=0.25):
    """One sentence a word type; a share of the training split has the label 1."""
    labels = (np.arange(count) < share * count).astype(int)
    return sentence_task([f"word{n} is here" for n in range(count)], labels, [TRAIN] * count)


def test_equal_words_have_equal_labels():
    sentences = ["the cat sat", "The dog saw the cat", "a cat sat"] + [
        f"w{n} cat" for n in range(99)
    ]
    task = word_task(sentences)
    labels = control_labels(task, 3)
    assert labels.dtype == np.int32 and labels.shape == task.labels.shape
    words = [
        sentence_words(sentences[s])[w].lower()
        for s, w in zip(task.sentence_index, task.word_index, strict=True)
    ]
    of = {}
    for word, label in zip(words, labels, strict=True):
        assert of.setdefault(word, label) == label
    assert set(of.values()) == {0, 1}


def test_a_sentence_has_the_label_of_its_first_word_lower_cased():
    firsts = [f"Word{n}" for n in range(60)]
    sentences = [f"{word} a" for word in firsts] + [f"{word.lower()} b c" for word in firsts]
    task = sentence_task(sentences, [0, 1] * 60, [TRAIN] * 60 + [TEST] * 60)
    labels = control_labels(task, 1)
    assert labels[:60].tolist() == labels[60:].tolist()
    assert set(labels.tolist()) == {0, 1}


def test_labels_depend_on_the_seed_and_the_word_alone():
    task = many_types(400, 0.5)
    labels = control_labels(task, 1)
    assert (labels == control_labels(task, 1)).all()
    assert 0.4 < np.mean(labels == control_labels(task, 2)) < 0.6
    order = np.random.default_rng(1).permutation(400)
    shuffled = replace(
        task, sentences=tuple(task.sentences[n] for n in order), labels=task.labels[order]
    )
    assert (control_labels(shuffled, 1) == labels[order]).all()


def test_the_values_do_not_change_between_processes():
    task = sentence_task([f"w{n}" for n in range(12)], [0, 1, 2] * 4, [TRAIN] * 12, ("A", "B", "C"))
    assert control_labels(task, 7).tolist() == [0, 2, 2, 1, 0, 1, 1, 1, 0, 2, 1, 2]


def test_labels_are_drawn_from_the_training_distribution():
    task = many_types()
    share = np.mean(control_labels(task, 1) == 1)
    # Four standard deviations of a binomial of 4000 draws.
    assert abs(share - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)


def test_other_splits_do_not_count():
    task = many_types(1000, 0.25)
    splits = np.array([TRAIN, VALIDATION, TEST, TEST] * 250, np.int8)
    labels = np.where(splits == TRAIN, 0, 1).astype(np.int32)
    assert not control_labels(replace(task, splits=splits, labels=labels), 1).any()


def test_control_labels_know_nothing_of_the_labels():
    task = many_types(2000, 0.5)
    assert 0.45 < np.mean(control_labels(task, 5) == task.labels) < 0.55
