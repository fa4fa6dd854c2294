"""Labelled texts in TensorFlow Datasets."""

from collections.abc import Iterator, Sequence
from typing import Any

from hierbert_tf.corpus.tfds_loading import iterate_tfds, load_tfds
from hierbert_tf.downstream.example_counts import ExampleCounts
from hierbert_tf.downstream.text_records import (
    ID_FIELDS,
    NO_LABEL,
    TextRecord,
    choose_fields,
    label_fields,
)
from hierbert_tf.errors import InputError


def read_tfds_text(
    name: str,
    split: str,
    fields: Sequence[str],
    label_field: str,
    counts: ExampleCounts,
    data_dir: str = "",
) -> Iterator[TextRecord]:
    """Yields the examples of a TFDS set; class numbers become the names of their classes.

    Args:
        name: TFDS name, such as `glue/rte`.
        split: such as `validation`.
        fields: one or two features; empty: known ones.
        label_field: feature of the label; empty: a known one.
        counts: takes each example.
        data_dir: where TFDS keeps its data; empty: its default.

    Raises:
        InputError: TFDS cannot load or read the set, or it has no such features.
    """
    data, features = load_tfds(name, split, data_dir)
    place = f"TFDS {name!r}, split {split!r}"
    kinds = {key: feature.np_dtype for key, feature in features.items() if feature.shape == ()}
    texts = choose_fields([key for key, kind in kinds.items() if kind is object], fields, place)
    labels = label_fields(list(kinds), label_field, place)
    label = next((key for key in labels if key in kinds), None)
    if label and kinds[label] is not object and kinds[label].kind not in "iu":
        raise InputError(
            f"{place}: the label {label!r} is no class but a {kinds[label].name}: "
            "name another in `label_field`."
        )
    key = next((key for key in ID_FIELDS if key in kinds), None)
    needed = {*texts, *([label] if label else []), *([key] if key else [])}
    data = data.map(lambda example: {name: example[name] for name in needed})
    for number, example in enumerate(iterate_tfds(data, name, split)):
        counts.take()
        here = f"{place}, example {number}"
        decoded = [example[key].decode("utf-8", errors="replace") for key in texts]
        if any("\ufffd" in text for text in decoded):
            counts.note("characters that were not UTF-8 (U+FFFD)", here)
        found = str(_plain(example[key])) if key else f"example {number}"
        value = _plain(example[label]) if label else None
        if isinstance(value, int):
            known = getattr(features[label], "names", None)
            value = None if value < 0 else known[value] if known else str(value)
        yield TextRecord(
            here,
            found,
            tuple(zip(texts, map(str.strip, decoded), strict=True)),
            None if value is None or value in NO_LABEL else value,
        )


def _plain(value: Any) -> Any:
    """A numpy scalar or bytes as Python's own int or str."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value.item()
