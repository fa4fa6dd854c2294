"""Examples of extractive question answering."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from hierbert_tf.downstream.example_counts import ExampleCounts
from hierbert_tf.downstream.labelled_source import labelled_file, tfds_source
from hierbert_tf.downstream.question_records import (
    QuestionRecord,
    read_squad_questions,
    read_tfds_questions,
)
from hierbert_tf.errors import InputError

NOT_IN_CONTEXT = "an answer that is not in its context"
NOT_FOUND_NEARBY = "an answer at another place than answer_start, and not once nearby"
MOVED = "answer_start moved to where the answer stands"


@dataclass(frozen=True)
class GoldAnswer:
    """An answer that people gave.

    Args:
        text: the answer.
        start: where it stands in the context, in characters (Unicode code points); -1: not known,
            in evaluation sets only, whose scores need the text alone.
    """

    text: str
    start: int


@dataclass(frozen=True)
class QuestionExample:
    """A question about a text in which its answer stands.

    Args:
        id: the question's id, unique in its set.
        title: title of the article that the context is from; may be empty.
        question: the question.
        context: the text, unchanged.
        answers: the gold answers; none for a question that the context does not answer.
        is_impossible: whether the context does not answer the question (SQuAD 2.0).

    Example:

    >>> example = QuestionExample("1", "", "Who sleeps?", "A man.", (GoldAnswer("man", 2),), False)
    >>> gold = example.answers[0]
    >>> example.context[gold.start : gold.start + len(gold.text)]
    'man'
    """

    id: str
    title: str
    question: str
    context: str
    answers: tuple[GoldAnswer, ...]
    is_impossible: bool


def read_question_examples(
    source: str | Path,
    *,
    for_training: bool,
    repair_within: int = 64,
    tfds_split: str = "",
    data_dir: str = "",
) -> tuple[list[QuestionExample], ExampleCounts]:
    r"""Reads questions in SQuAD's form, 1.1 or 2.0.

    In every example `context[start : start + len(text)] == text` for each gold answer, or `start`
    is -1 (evaluation only). A wrong `answer_start` is repaired where the answer's text stands once
    nearby. What cannot be repaired is left out of training sets; evaluation sets keep it, so that
    scores stay comparable with published ones. All of it is counted.

    Args:
        source: a JSON file, plain or compressed, or `tfds:NAME` such as `tfds:squad/v2.0`.
        for_training: whether each example needs the place of an answer.
        repair_within: characters before and after `answer_start` in which an answer is looked for.
        tfds_split: the split of a TFDS set, such as `validation`.
        data_dir: where TFDS keeps its data; empty: its default.

    Returns:
        The examples in the source's order, and what became of all that were read.

    Raises:
        InputError: no such file or set, broken JSON, not in SQuAD's form, or an id that two
            questions have; names the place.

    Example:

    >>> import json, pathlib, tempfile
    >>> answer = {"text": "man", "answer_start": 0}
    >>> qas = [{"id": "q1", "question": "Who sleeps?", "answers": [answer]}]
    >>> data = [{"title": "Sleep", "paragraphs": [{"context": "A man sleeps.", "qas": qas}]}]
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "dev.json"
    >>> _ = file.write_text(json.dumps({"data": data}))
    >>> examples, counts = read_question_examples(file, for_training=True)
    >>> examples[0].answers
    (GoldAnswer(text='man', start=2),)
    >>> counts.repaired
    {'answer_start moved to where the answer stands': 1}
    """
    if repair_within < 0:
        raise InputError(f"repair_within is {repair_within}: give a number of characters >= 0.")
    counts = ExampleCounts(str(source))
    name_and_split = tfds_source(source, tfds_split)
    records = (
        read_tfds_questions(*name_and_split, counts, data_dir)
        if name_and_split
        else read_squad_questions(labelled_file(source), counts)
    )
    examples: list[QuestionExample] = []
    seen: set[str] = set()
    for record in records:
        if record.id in seen:
            raise InputError(
                f"{record.place}: two questions have this id: give each its own, so that answers "
                "can be told apart."
            )
        seen.add(record.id)
        example = _judge(record, for_training, repair_within, counts)
        if example is not None:
            examples.append(example)
            counts.keep()
    return examples, counts


def _judge(
    record: QuestionRecord, for_training: bool, repair_within: int, counts: ExampleCounts
) -> QuestionExample | None:
    """The example of a record, or None where it is skipped; both are counted."""
    place = record.place
    for field, text in (("question", record.question), ("context", record.context)):
        if not text.strip():
            counts.skip(f"an empty {field}", place)
            return None
    impossible = bool(record.is_impossible)
    if impossible and record.answers:
        if for_training:
            counts.skip("a question that is_impossible but has answers", place)
            return None
        # The official 2.0 scores go by the answers alone.
        counts.note("is_impossible, but with answers: scored by its answers", place)
        impossible = False
    answers: list[GoldAnswer] = []
    faults: list[str] = []
    for text, start in record.answers:
        found, fault = _find(record.context, text, start, repair_within)
        if fault == MOVED:
            counts.repair(MOVED, place)
        elif fault:
            faults.append(fault)
        if found >= 0 or not for_training:
            answers.append(GoldAnswer(text, found))
    if not answers and not impossible:
        if for_training:
            counts.skip(f"no answer left: {faults[0]}" if faults else "no answer", place)
            return None
        counts.note("no gold answer", place)
    for fault in faults:
        counts.note(f"{fault}: left out" if for_training else f"{fault}: kept for scoring", place)
    return QuestionExample(
        record.id, record.title, record.question, record.context, tuple(answers), impossible
    )


def _find(context: str, text: str, start: int | None, repair_within: int) -> tuple[int, str]:
    """Where an answer stands (-1: not known), and what was wrong with `answer_start`."""
    if not text.strip():
        return -1, "an empty answer"
    if start is not None and start >= 0 and context.startswith(text, start):
        return start, ""
    if start is None:
        low, high = 0, len(context)
    else:
        low, high = max(start - repair_within, 0), start + repair_within
    near = list(islice(_occurrences(context, text, low, high), 2))
    if len(near) == 1:
        return near[0], MOVED
    return -1, NOT_FOUND_NEARBY if text in context else NOT_IN_CONTEXT


def _occurrences(context: str, text: str, low: int, high: int) -> Iterator[int]:
    """Starts of a text in a context that lie in `[low, high]`; they may overlap."""
    at = context.find(text, low)
    while 0 <= at <= high:
        yield at
        at = context.find(text, at + 1)
