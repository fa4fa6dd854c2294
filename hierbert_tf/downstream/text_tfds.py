"""Labelled texts in TensorFlow Datasets."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

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
    # numpy's kind of each scalar: O for text, i and u for integers and classes.
    kinds = {
        key: np.dtype(feature.np_dtype).kind
        for key, feature in features.items()
        if feature.shape == ()
    }
    texts = choose_fields([key for key, kind in kinds.items() if kind == "O"], fields, place)
    labels = label_fields(list(kinds), label_field, place)
    label = next((key for key in labels if key in kinds), None)
    if label and kinds[label] not in "Oiu":
        raise InputError(
            f"{place}: the label {label!r} is neither a class nor a text nor an integer: "
            "name another in `label_field`."
        )
    id_field = next((key for key in ID_FIELDS if key in kinds), None)
    needed = {*texts, *(key for key in (label, id_field) if key)}
    data = data.map(lambda example: {key: example[key] for key in needed})
    for number, example in enumerate(iterate_tfds(data, name, split)):
        counts.take()
        here = f"{place}, example {number}"
        decoded = [example[key].decode("utf-8", errors="replace") for key in texts]
        if any("\ufffd" in text for text in decoded):
            counts.note("characters that were not UTF-8 (U+FFFD)", here)
        found = str(_plain(example[id_field])) if id_field else f"example {number}"
        value = _plain(example[label]) if label else None
        value = value.strip() if isinstance(value, str) else value
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
