"""Control tasks: random labels that only a classifier's memory can learn."""

from hashlib import blake2b

import numpy as np

from hierbert_tf.probing.examples import TRAIN, ProbingTask, sentence_words

_BITS = 64


def control_labels(task: ProbingTask, seed: int) -> np.ndarray:
    """Random labels that are a function of a word's type, for every example of a task.

    Each type has one label, drawn from the label distribution of the task's training split by a
    hash of the seed and the type, so that it is the same in all splits, whatever the order of the
    examples. The type of an example is

    - of a word-level task: its word;
    - of a task about sentences, for which the paper defines none: the sentence's first word;

    both lower-cased, as an encoder that lower-cases its text could not tell the two forms apart.

    Args:
        task: the examples.
        seed: draws the labels.

    Returns:
        int32 [E], indices into `task.label_names`.

    Example:

    >>> from hierbert_tf.downstream.example_counts import ExampleCounts
    >>> sentences = ("It rains .", "He left .", "it snows .", "She left .")
    >>> task = ProbingTask(
    ...     "tense", "-", False, sentences, np.arange(4), np.zeros(4, int), np.array([0, 1, 0, 1]),
    ...     np.array([0, 0, 1, 2]), ("PRES", "PAST"), ExampleCounts("-"),
    ... )
    >>> labels = control_labels(task, seed=1)
    >>> bool(labels[0] == labels[2])
    True

    Reference: Hewitt & Liang, "Designing and Interpreting Probes with Control Tasks", 2019,
    https://arxiv.org/abs/1909.03368.
    """
    edges = np.cumsum(np.bincount(task.labels[task.rows(TRAIN)], minlength=len(task.label_names)))
    types = _types(task)
    drawn = list(set(types))
    # Integers all the way: the same label on every machine.
    key, total = str(seed).encode(), int(edges[-1])
    draws = [_hash(name, key) * total >> _BITS for name in drawn]
    labels = np.searchsorted(edges, draws, side="right").tolist()
    label_of_type = dict(zip(drawn, labels, strict=True))
    return np.array([label_of_type[name] for name in types], np.int32)


def _types(task: ProbingTask) -> list[str]:
    words = [sentence_words(sentence.lower()) for sentence in task.sentences]
    pairs = zip(task.sentence_index.tolist(), task.word_index.tolist(), strict=True)
    return [words[sentence][word] for sentence, word in pairs]


def _hash(word: str, key: bytes) -> int:
    return int.from_bytes(
        blake2b(word.encode(), digest_size=_BITS // 8, key=key).digest(), "little"
    )
