"""A probing task: sentences or words with labels, in three splits."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hierbert_tf.downstream.example_counts import ExampleCounts

TRAIN, VALIDATION, TEST = 0, 1, 2
"""The splits that SentEval's files call `tr`, `va` and `te`."""


def sentence_words(sentence: str) -> list[str]:
    r"""The words of a sentence: what stands between its spaces, and only between those.

    A no-break space is part of its word, so that a word such as `10\u00a0000` has one label.

    Example:

    >>> sentence_words("It  rains .")
    ['It', 'rains', '.']
    """
    return [word for word in sentence.split(" ") if word]


@dataclass(frozen=True, eq=False)
class ProbingTask:
    """The examples of one probing task.

    There are N sentences and E examples. Of a task about sentences each sentence is one example; of
    a task about words (`word_level`) each word of each sentence is.

    Args:
        name: of the task.
        path: the file it was read from.
        word_level: whether an example is a word.
        sentences: N sentences, as in the file.
        sentence_index: int32 [E], the sentence that each example reads.
        word_index: int32 [E], which of its words (`sentence_words`); 0 where sentences are read.
        labels: int32 [E], indices into `label_names`.
        splits: int8 [E], `TRAIN`, `VALIDATION` or `TEST`.
        label_names: the labels of the training split, sorted.
        counts: what became of the lines of the file; a line is a sentence.

    Example:

    >>> task = ProbingTask(
    ...     "weather", "weather.txt", False, ("It rains .", "It snowed .", "It hails ."),
    ...     np.arange(3, dtype=np.int32), np.zeros(3, np.int32), np.array([1, 0, 1], np.int32),
    ...     np.array([TRAIN, TRAIN, TEST], np.int8), ("past", "present"), ExampleCounts("-"),
    ... )
    >>> task.rows(TRAIN), task.majority(TEST)
    (array([0, 1]), 0.0)
    """

    name: str
    path: str
    word_level: bool
    sentences: tuple[str, ...]
    sentence_index: np.ndarray
    word_index: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    label_names: tuple[str, ...]
    counts: ExampleCounts

    def rows(self, split: int) -> np.ndarray:
        """The examples of a split: int64, ascending indices into the E examples."""
        return np.flatnonzero(self.splits == split)

    def majority(self, split: int = TEST) -> float:
        """Accuracy, 0 to 1, of always giving the training split's most frequent label.

        Of equally frequent labels it is the first by name.

        Args:
            split: where the accuracy is taken.
        """
        most_frequent = np.bincount(self.labels[self.rows(TRAIN)]).argmax()
        return float(np.mean(self.labels[self.rows(split)] == most_frequent))

    @cached_property
    def sentences_sha256(self) -> str:
        """Hash of what an encoder's vectors depend on: the sentences, and which words are read."""
        digest = hashlib.sha256(f"{int(self.word_level)} {len(self.sentences)}\n".encode())
        # A sentence comes from one line: it holds no line end.
        for sentence in self.sentences:
            digest.update(f"{sentence}\n".encode())
        for index in (self.sentence_index, self.word_index):
            digest.update(np.ascontiguousarray(index, "<i4").tobytes())
        return digest.hexdigest()

    @cached_property
    def examples_sha256(self) -> str:
        """Hash of all that the classifiers see: name, sentences, labels, splits and their order."""
        digest = hashlib.sha256(f"{self.name}\n{self.sentences_sha256}\n".encode())
        for label in self.label_names:
            digest.update(f"{label}\n".encode())
        digest.update(np.ascontiguousarray(self.labels, "<i4").tobytes())
        digest.update(np.ascontiguousarray(self.splits, "<i1").tobytes())
        return digest.hexdigest()
