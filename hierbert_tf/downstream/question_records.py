"""Questions as SQuAD's JSON and TFDS hold them, before any of them is judged."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierbert_tf.corpus.files import read_bytes
from hierbert_tf.corpus.squad import squad_paragraphs, squad_value
from hierbert_tf.corpus.statistics import ReadStatistics
from hierbert_tf.corpus.tfds_loading import iterate_tfds, load_tfds
from hierbert_tf.downstream.example_counts import ExampleCounts
from hierbert_tf.errors import InputError

_REPLACED = "characters without a UTF-8 form, replaced by U+FFFD"


@dataclass(frozen=True)
class QuestionRecord:
    """A question as it was found.

    Args:
        place: source and question id, for messages.
        id: the question's id.
        title: title of the article; may be empty.
        question: the question.
        context: the text, with its line ends and spaces as they are.
        answers: texts of the answers, and the characters where they are said to start; None where
            the set says nothing.
        is_impossible: what the set says; None where it says nothing (SQuAD 1.1).
    """

    place: str
    id: str
    title: str
    question: str
    context: str
    answers: tuple[tuple[str, int | None], ...]
    is_impossible: bool | None


def read_squad_questions(path: Path, counts: ExampleCounts) -> Iterator[QuestionRecord]:
    """Yields the questions of a file in SQuAD's form (1.1, 2.0).

    Bytes that are no UTF-8, NULs and lone surrogates become U+FFFD, one for one, so that the
    characters behind them keep their places.

    Args:
        path: the file, plain or compressed; it is read whole.
        counts: takes each question.

    Raises:
        InputError: no JSON (names file and line), or not in SQuAD's form (names the place).
    """
    raw = b"".join(read_bytes(path, ReadStatistics()))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        text = raw.decode("utf-8", errors="replace")
        counts.repair(_REPLACED, f"{str(path)!r}, line {line}")
    try:
        root = json.loads(text)
    except json.JSONDecodeError as error:
        # Truncated at a string that goes on for megabytes, the error stands at the string's start.
        raise InputError(
            f"{str(path)!r}, line {error.lineno}, column {error.colno}: not valid JSON "
            f"({error.msg}): the file is damaged or cut short; fetch it again."
        ) from error
    except (ValueError, RecursionError) as error:  # ValueError: a number without end
        raise InputError(f"{str(path)!r}: not valid JSON ({error}).") from error
    for place, article, paragraph in squad_paragraphs(root, repr(str(path))):
        title = article.get("title")
        title = _clean(title, place, counts) if isinstance(title, str) else ""
        context = _clean(squad_value(paragraph, "context", str, place), place, counts)
        for k, item in enumerate(squad_value(paragraph, "qas", list, place)):
            here = f"{place}.qas[{k}]"
            question = squad_value(item, "question", str, here)
            name = item.get("id")
            if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
                raise InputError(f"{here}: no 'id' with a text: this is not SQuAD's form.")
            name = _clean(str(name), here, counts)
            by_id = f"{str(path)!r}, question {name!r}"
            counts.take()
            yield QuestionRecord(
                by_id,
                name,
                title,
                _clean(question, by_id, counts),
                context,
                tuple(_answers(item, by_id, counts)),
                _is_impossible(item, by_id),
            )


def _answers(
    item: dict[str, Any], place: str, counts: ExampleCounts
) -> Iterator[tuple[str, int | None]]:
    if item.get("answers") is None:
        return
    for answer in squad_value(item, "answers", list, place):
        text = _clean(squad_value(answer, "text", str, f"{place}, answers"), place, counts)
        start = answer.get("answer_start")
        if isinstance(start, bool) or not isinstance(start, int | None):
            raise InputError(
                f"{place}: 'answer_start' is {json.dumps(start)[:50]} where a number of characters "
                "is needed."
            )
        yield text, start


def _is_impossible(item: dict[str, Any], place: str) -> bool | None:
    value = item.get("is_impossible")
    if not isinstance(value, bool | None):
        raise InputError(
            f"{place}: 'is_impossible' is {json.dumps(value)[:50]}, not true or false."
        )
    return value


def _clean(text: str, place: str, counts: ExampleCounts) -> str:
    """Replaces NULs and lone surrogates, character for character: offsets must stay right."""
    if text.isascii() and "\0" not in text:
        return text
    try:
        text.encode("utf-8")
        cleaned = text
    except UnicodeEncodeError:
        # A lone surrogate, which JSON's escapes can smuggle in, has no UTF-8 form.
        cleaned = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)
    cleaned = cleaned.replace("\0", "\ufffd")
    if cleaned != text:
        counts.repair(_REPLACED, place)
    return cleaned


def read_tfds_questions(
    name: str, split: str, counts: ExampleCounts, data_dir: str = ""
) -> Iterator[QuestionRecord]:
    """Yields the questions of a TFDS set with SQuAD's features.

    Args:
        name: TFDS name, such as `squad/v2.0`.
        split: such as `validation`.
        counts: takes each question.
        data_dir: where TFDS keeps its data; empty: its default.

    Raises:
        InputError: TFDS cannot load or read the set, or its features are not SQuAD's.
    """
    data, features = load_tfds(name, split, data_dir)
    place = f"TFDS {name!r}, split {split!r}"
    inside = getattr(dict(features.items()).get("answers"), "feature", {})
    missing = [key for key in ("id", "question", "context") if key not in features]
    missing += [f"answers.{key}" for key in ("text", "answer_start") if key not in inside]
    if missing:
        raise InputError(
            f"{place}: no {', '.join(map(repr, missing))}: this set has not SQuAD's features."
        )
    for example in iterate_tfds(data, name, split):
        texts = {key: _decode(example.get(key, b"")) for key in ("id", "title", "question")}
        here = f"{place}, question {texts['id']!r}"
        answers = example["answers"]
        counts.take()
        yield QuestionRecord(
            here,
            texts["id"],
            texts["title"],
            _clean(texts["question"], here, counts),
            _clean(_decode(example["context"]), here, counts),
            tuple(
                (_clean(_decode(text), here, counts), int(start))
                for text, start in zip(answers["text"], answers["answer_start"], strict=True)
            ),
            bool(example["is_impossible"]) if "is_impossible" in example else None,
        )


def _decode(value: bytes) -> str:
    return value.decode("utf-8", errors="replace")
