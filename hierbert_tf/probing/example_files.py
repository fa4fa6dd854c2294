"""Probing tasks in files: SentEval's format, a task a file and an example a line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hierbert_tf.corpus.files import read_raw_lines
from hierbert_tf.corpus.statistics import ReadStatistics
from hierbert_tf.downstream.example_counts import ExampleCounts
from hierbert_tf.errors import InputError
from hierbert_tf.probing.examples import TEST, TRAIN, VALIDATION, ProbingTask, sentence_words

SPLITS = {"tr": TRAIN, "va": VALIDATION, "te": TEST}
"""The names of the splits in the first column."""
EMPTY_SENTENCE = "an empty sentence"
"""Why `ExampleCounts.skipped` counts a line."""
IN_TRAINING = "a test sentence that is in the training split, too"
"""Why `ExampleCounts.noted` counts a line."""
NULS = "NUL characters left out"
"""Why `ExampleCounts.repaired` counts a line."""

_SUFFIX = ".txt"
_LONGEST_LINE = 16_000_000


def find_probing_tasks(
    folder: str | Path, names: Sequence[str] = (), word_level: Sequence[str] = ()
) -> list[Path]:
    """The files of a folder that are probing tasks.

    Args:
        folder: holds a `TASK.txt` for each task.
        names: of the tasks to take; empty: all.
        word_level: names of tasks whose labels are of words; each must have its file.

    Returns:
        The paths, sorted by name.

    Raises:
        InputError: there is no such folder, no such file, or nothing ends in `.txt`.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("tree_depth.txt", "bigram_shift.txt", "notes.md"):
    ...     (folder / name).touch()
    >>> [path.name for path in find_probing_tasks(folder)]
    ['bigram_shift.txt', 'tree_depth.txt']
    >>> find_probing_tasks(folder, ["tense"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    hierbert_tf.errors.InputError: tasks names 'tense', but ... are 'bigram_shift', 'tree_depth'.
    """
    folder = Path(folder)
    if folder.is_file():
        raise InputError(
            f"data is the file {str(folder)!r}, but must be a folder of probing tasks: "
            "give the folder, and in tasks the file's name without .txt."
        )
    if not folder.is_dir():
        raise InputError(f"folder {str(folder)!r} does not exist: check data.")
    # A name that begins with a dot is a system's own note on a file.
    found = {
        path.name.removesuffix(_SUFFIX): path
        for path in sorted(folder.glob(f"*{_SUFFIX}"))
        if path.is_file() and not path.name.startswith(".")
    }
    if not found:
        raise InputError(
            f"folder {str(folder)!r} holds no {_SUFFIX} file: put a TASK{_SUFFIX} there for each "
            "probing task."
        )
    for key, wanted in (("tasks", names), ("word_level", word_level)):
        for name in wanted:
            if name not in found:
                there = ", ".join(map(repr, found))
                raise InputError(
                    f"{key} names {name!r}, but the tasks in {str(folder)!r} are {there}."
                )
    return [path for name, path in found.items() if not names or name in names]


def read_probing_task(path: str | Path, word_level: bool = False) -> ProbingTask:
    r"""Reads a file in SentEval's format: `tr|va|te TAB label TAB sentence` on each line.

    Of a word-level task the label column holds one label for each word of the sentence, separated
    by spaces, and each word is an example; words are what stands between a sentence's spaces.

    Blank lines mean nothing. Empty sentences are skipped and counted; test sentences that stand in
    the training split, too, are kept and counted.

    Args:
        path: the file, in UTF-8; its name without `.txt` is the task's.
        word_level: whether the labels are of words.

    Raises:
        InputError: a line that is not in the format or not in UTF-8, a label of validation or test
            that training has not, a split without sentences, fewer than two labels in training;
            names the file and, where there is one, the line.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "tense.txt"
    >>> lines = ["tr\tPAST\tIt rained .", "tr\tPRES\tIt rains .", "va\tPAST\tHe left .",
    ...          "te\tPRES\tHe leaves ."]
    >>> size = path.write_text("\n".join(lines))
    >>> task = read_probing_task(path)
    >>> task.name, task.label_names, task.labels
    ('tense', ('PAST', 'PRES'), array([0, 1, 0, 1], dtype=int32))

    Reference: Conneau & Kiela, "SentEval", 2018, https://arxiv.org/abs/1803.05449.
    """
    path = Path(path)
    rows = _Rows(str(path), ExampleCounts(str(path)))
    for place, line in _lines(path, rows.counts):
        rows.take(place, line, word_level)
    if not rows.counts.read:
        raise InputError(f"{rows.source!r} is empty: give lines of tr|va|te, label, sentence.")
    rows.note_shared_sentences()
    label_names = rows.training_labels()
    index = {name: number for number, name in enumerate(label_names)}
    examples_of_sentence = np.array([len(labels) for labels in rows.labels], np.int32)
    first_example = np.cumsum(examples_of_sentence) - examples_of_sentence
    number_of_examples = int(examples_of_sentence.sum())
    return ProbingTask(
        name=path.name.removesuffix(_SUFFIX),
        path=rows.source,
        word_level=word_level,
        sentences=tuple(rows.sentences),
        sentence_index=np.repeat(
            np.arange(len(rows.sentences), dtype=np.int32), examples_of_sentence
        ),
        word_index=(
            np.arange(number_of_examples) - np.repeat(first_example, examples_of_sentence)
        ).astype(np.int32),
        labels=np.array([index[name] for labels in rows.labels for name in labels], np.int32),
        splits=np.repeat(np.array(rows.splits, np.int8), examples_of_sentence),
        label_names=label_names,
        counts=rows.counts,
    )


def _lines(path: Path, counts: ExampleCounts) -> Iterator[tuple[str, str]]:
    """Yields `(place, text)` of each line that is not blank."""
    number = 0
    for raw, whole in read_raw_lines(path, ReadStatistics(), _LONGEST_LINE):
        if not whole:
            raise InputError(
                f"{str(path)!r}, line {number + 1}: more than {_LONGEST_LINE} bytes: cut it."
            )
        # A lone carriage return ends a line, too: files that were joined mix line endings.
        for part in raw.split(b"\r"):
            number += 1
            place = f"{str(path)!r}, line {number}"
            try:
                text = part.decode("utf-8")
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{place}: byte {part[error.start]:#04x} is not UTF-8: convert the file."
                ) from error
            if not text.strip():
                continue
            if "\0" in text:
                text = text.replace("\0", "")
                counts.repair(NULS, place)
            yield place, text


@dataclass
class _Rows:
    """The sentences of a file as they are read, each with its split, its labels and its place."""

    source: str
    counts: ExampleCounts
    sentences: list[str] = field(default_factory=list)
    splits: list[int] = field(default_factory=list)
    labels: list[tuple[str, ...]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    def take(self, place: str, line: str, word_level: bool) -> None:
        """Checks and keeps a line."""
        cells = line.split("\t", 2)
        if len(cells) < 3:
            raise InputError(
                f"{place}: {len(cells) - 1} tabs where split, label and sentence have 2 between "
                "them; if the file is no probing task, name those that are in tasks."
            )
        split, label, sentence = cells[0].strip(), cells[1].strip(), cells[2].rstrip().strip(" ")
        if split not in SPLITS:
            raise InputError(f"{place}: the split is {split!r}, but must be tr, va or te.")
        if "\t" in sentence:
            raise InputError(f"{place}: a tab in the sentence: put a space in its place.")
        self.counts.take()
        if not sentence.strip():
            self.counts.skip(EMPTY_SENTENCE, place)
            return
        if not label:
            raise InputError(f"{place}: the label is empty: give one, or take the line out.")
        labels = tuple(sentence_words(label)) if word_level else (label,)
        if word_level and len(labels) != (words := len(sentence_words(sentence))):
            raise InputError(
                f"{place}: {len(labels)} labels for {words} words: a word-level task has one label "
                "for each word, separated by spaces."
            )
        self.counts.keep()
        self.sentences.append(sentence)
        self.splits.append(SPLITS[split])
        self.labels.append(labels)
        self.places.append(place)

    def note_shared_sentences(self) -> None:
        """Counts the test sentences that training has, word for word."""
        of = list(zip(self.splits, self.sentences, self.places, strict=True))
        training = {sentence for split, sentence, _ in of if split == TRAIN}
        for split, sentence, place in of:
            if split == TEST and sentence in training:
                self.counts.note(IN_TRAINING, place)

    def training_labels(self) -> tuple[str, ...]:
        """The labels that training has, sorted, after checks of all splits against them."""
        for name, split in SPLITS.items():
            if split not in self.splits:
                raise InputError(
                    f"{self.source!r} has no sentence of the split {name!r}: tr, va and te are "
                    "needed, as the classifier is chosen on va and scored on te."
                )
        of = list(zip(self.splits, self.labels, strict=True))
        known = {label for split, labels in of if split == TRAIN for label in labels}
        if len(known) < 2:
            raise InputError(
                f"{self.source!r} has only the label {next(iter(known))!r} in the split 'tr': "
                "a probing task needs two or more."
            )
        for (_, labels), place in zip(of, self.places, strict=True):
            for label in labels:
                if label not in known:
                    raise InputError(
                        f"{place}: the label {label!r} is not in the split 'tr': a classifier "
                        "cannot learn it; correct it, or take the line out."
                    )
        return tuple(sorted(known))
