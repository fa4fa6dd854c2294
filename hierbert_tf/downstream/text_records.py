"""A row of a labelled set as it was found, and which of its fields hold what."""

from collections.abc import Sequence
from dataclasses import dataclass

from hierbert_tf.corpus.json_lines import PAIR_FIELDS
from hierbert_tf.errors import InputError

TEXT_FIELDS = (
    *PAIR_FIELDS,
    ("question", "passage"),
    ("#1 String", "#2 String"),
    ("sentence",),
    ("text",),
    ("text_a",),
)
"""Keys, or columns, that hold the text or the pair where none are named; the first that fit."""

LABEL_FIELDS = ("gold_label", "label", "Quality", "is_duplicate")
"""Keys, or columns, that hold the label where none is named; the first that is there."""

ID_FIELDS = ("pairID", "id", "idx", "index")
"""Keys, or columns, that name an example."""

# MultiNLI's unlabelled test files say `hidden` where others leave the label out.
NO_LABEL = ("", "hidden")
"""What stands in the label's place where a set gives none."""


@dataclass(frozen=True)
class TextRecord:
    """A row as it was found.

    Args:
        place: file and line, or TFDS name and number, for messages.
        id: names the example.
        texts: the field or fields of text and what they hold; "" where they hold nothing.
        label: the label; None where there is none.
    """

    place: str
    id: str
    texts: tuple[tuple[str, str], ...]
    label: str | None


def choose_fields(names: Sequence[str], fields: Sequence[str], place: str) -> tuple[str, ...]:
    """The field of the text, or the two of a pair.

    Args:
        names: fields that are there.
        fields: those that the user named; empty: a known one or a known pair.
        place: for the error.

    Raises:
        InputError: more than two are named, one is not there, or none is known.

    Example:

    >>> choose_fields(["index", "question", "sentence", "label"], (), "line 1")
    ('question', 'sentence')
    """
    there = ", ".join(map(repr, names)) or "none"
    if fields:
        missing = [field for field in fields if field not in names]
        if missing or len(fields) > 2:
            raise InputError(
                f"{place}: `fields` {list(fields)} are not one or two of the fields that are "
                f"there: {there}."
            )
        return tuple(fields)
    for known in TEXT_FIELDS:
        if all(field in names for field in known):
            return known
    raise InputError(
        f"{place}: no known text field (there are {there}): name one, or two of a pair, in "
        "`fields`."
    )


def label_fields(names: Sequence[str], label_field: str, place: str) -> tuple[str, ...]:
    """Fields in which to look for the label; the first that is there holds it.

    Args:
        names: fields that are there.
        label_field: the one that the user named; empty: all known ones.
        place: for the error.

    Raises:
        InputError: the named one is not there.
    """
    if not label_field:
        return LABEL_FIELDS
    if label_field not in names:
        raise InputError(
            f"{place}: `label_field` {label_field!r} is not there: use one of "
            f"{', '.join(map(repr, names))}."
        )
    return (label_field,)
