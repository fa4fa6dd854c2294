"""Examples of text classification and textual entailment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hierbert_tf.downstream.example_counts import ExampleCounts
from hierbert_tf.downstream.labelled_source import labelled_file, tfds_source
from hierbert_tf.downstream.text_files import is_json, read_json_text, read_table_text
from hierbert_tf.downstream.text_records import TextRecord
from hierbert_tf.downstream.text_tfds import read_tfds_text
from hierbert_tf.errors import InputError

NO_CONSENSUS = "no gold label (`-`: its annotators disagree)"
"""Why `ExampleCounts.skipped` counts an example of SNLI or MultiNLI."""


@dataclass(frozen=True)
class TextExample:
    """One text, or a pair of texts, and its label.

    Args:
        id: names the example in reports: the file's own id, or `line N`.
        text_a: the text, or the first of the two (the premise).
        text_b: the second text (the hypothesis); None in sets of single texts.
        label: the label's name; None where the set gives none (test sets).

    Example:

    >>> TextExample("line 2", "A man sleeps.", "He is awake.", "contradiction").label
    'contradiction'
    """

    id: str
    text_a: str
    text_b: str | None
    label: str | None


def read_text_examples(
    source: str | Path,
    *,
    fields: Sequence[str] = (),
    label_field: str = "",
    tfds_split: str = "",
    data_dir: str = "",
) -> tuple[list[TextExample], ExampleCounts]:
    r"""Reads a labelled set of texts, or of pairs of texts, as it is published.

    JSON lines (SNLI, MultiNLI, or any with known or named keys) and tab-separated tables (GLUE,
    SNLI's and MultiNLI's `.txt`) are told apart by what they hold; both may be compressed.

    Left out and counted: examples without a text, those whose annotators disagree (`-`), rows with
    a wrong number of columns, and examples without a label in a set that has labels.

    Args:
        source: a file, or `tfds:NAME` such as `tfds:glue/rte`.
        fields: the field of the text, or the two of a pair; empty: known ones (`sentence1` and
            `sentence2`, `premise` and `hypothesis`, `text_a` and `text_b`, `sentence`, ...).
        label_field: the field of the label; empty: a known one (`gold_label`, `label`, ...). Where
            there is none, all labels are None.
        tfds_split: the split of a TFDS set, such as `validation`.
        data_dir: where TFDS keeps its data; empty: its default.

    Returns:
        The examples in the source's order, and what became of all that were read. Integer labels
        of files are kept as text, those of TFDS become the names of their classes.

    Raises:
        InputError: no such file or set, broken JSON, no known text field, or a value of a wrong
            kind; names the place.

    Example:

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "dev.tsv"
    >>> _ = file.write_text("index\tsentence1\tsentence2\tlabel\n7\tA.\tB.\tentailment\n8\tC.\n")
    >>> examples, counts = read_text_examples(file)
    >>> examples
    [TextExample(id='7', text_a='A.', text_b='B.', label='entailment')]
    >>> counts.skipped
    {'a row with too few columns': 1}
    """
    counts = ExampleCounts(str(source))
    records = list(_records(source, fields, label_field, tfds_split, data_dir, counts))
    # A set of pairs has a second text somewhere, a labelled one a label; elsewhere they are absent.
    has_pairs = any(len(record.texts) == 2 and record.texts[1][1] for record in records)
    has_labels = any(record.label not in (None, "-") for record in records)
    examples = []
    for record in records:
        needed = record.texts if has_pairs else record.texts[:1]
        empty = next((field for field, text in needed if not text), None)
        if empty is not None:
            counts.skip(f"no text in {empty!r}", record.place)
        elif record.label == "-":
            counts.skip(NO_CONSENSUS, record.place)
        elif has_labels and record.label is None:
            counts.skip("no label in a set that has labels", record.place)
        else:
            if record.label == "-1":
                counts.note("label -1, kept as a class of its own", record.place)
            text_b = needed[1][1] if has_pairs else None
            examples.append(TextExample(record.id, needed[0][1], text_b, record.label))
            counts.keep()
    return examples, counts


def _records(
    source: str | Path,
    fields: Sequence[str],
    label_field: str,
    tfds_split: str,
    data_dir: str,
    counts: ExampleCounts,
) -> Iterator[TextRecord]:
    name_and_split = tfds_source(source, tfds_split)
    if name_and_split:
        return read_tfds_text(*name_and_split, fields, label_field, counts, data_dir)
    path = labelled_file(source)
    read = read_json_text if is_json(path) else read_table_text
    return read(path, fields, label_field, counts)


def label_names(examples: Sequence[TextExample]) -> tuple[str, ...]:
    """Names of the labels, sorted; integers by their value.

    Args:
        examples: those to train on.

    Raises:
        InputError: no example has a label.

    Example:

    >>> label_names([TextExample(str(i), "A.", None, str(i)) for i in (10, 2, 10)])
    ('2', '10')
    """
    names = {example.label for example in examples if example.label is not None}
    if not names:
        raise InputError(
            f"none of the {len(examples)} examples has a label: give a labelled set, or name its "
            "`label_field`."
        )
    numbers = all(name.removeprefix("-").isdecimal() for name in names)
    return tuple(sorted(names, key=int) if numbers else sorted(names))


def check_labels(
    examples: Sequence[TextExample], labels: Sequence[str], source: str | Path
) -> None:
    """Checks that a model with these labels can be scored on these examples.

    Args:
        examples: of a dev or test set; those without a label pass.
        labels: the labels that training had.
        source: the file, for the error.

    Raises:
        InputError: an example has a label that training never had.
    """
    unknown = [example for example in examples if example.label not in (None, *labels)]
    if unknown:
        raise InputError(
            f"{str(source)!r}, example {unknown[0].id!r}: label {unknown[0].label!r} is none of "
            f"the training set's {', '.join(map(repr, labels))} ({len(unknown)} such examples): "
            "use sets with the same labels."
        )
