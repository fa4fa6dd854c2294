"""TensorFlow Datasets as a text source."""

from collections.abc import Iterator

from hierbert_tf.corpus.document import Document
from hierbert_tf.corpus.json_lines import pair_or_single
from hierbert_tf.corpus.plain_text import split_paragraphs
from hierbert_tf.corpus.statistics import ReadStatistics
from hierbert_tf.corpus.tfds_loading import iterate_tfds, load_tfds
from hierbert_tf.errors import InputError


def read_tfds(
    name: str,
    split: str,
    fields: tuple[str, ...],
    statistics: ReadStatistics,
    data_dir: str = "",
) -> Iterator[Document]:
    """Yields one document an example, in the data set's own order.

    Args:
        name: TFDS name, such as `glue/rte`.
        split: such as `train` or `train[:10%]`.
        fields: the text field, or the two fields of a pair.
        statistics: counters.
        data_dir: where TFDS keeps its data; empty: its default. Missing data are downloaded.

    Raises:
        InputError: no name, no fields, a field that is unknown or holds no single text, or TFDS
            cannot load or read the data set.
    """
    if not name:
        raise InputError("format `tfds` needs `tfds_name`, such as `glue/rte`.")
    if len(fields) not in (1, 2):
        raise InputError(f"TFDS source {name!r} needs `fields`: one text field, or two of a pair.")
    # Imported here: it takes seconds, and most sources do not need it.
    import tensorflow as tf

    examples, _ = load_tfds(name, split, data_dir)
    known = examples.element_spec if isinstance(examples.element_spec, dict) else {}
    # Nested fields are dicts, sequences have a dimension or are ragged: none of them is one text.
    texts_known = [
        field
        for field, spec in sorted(known.items())
        if isinstance(spec, tf.TensorSpec) and spec.dtype == tf.string and spec.shape.rank == 0
    ]
    for field in fields:
        if field not in texts_known:
            fault = "has no field" if field not in known else "holds no single text in its field"
            raise InputError(
                f"TFDS source {name!r} {fault} {field!r}: name one of its text fields "
                f"({', '.join(map(repr, texts_known)) or 'it has none'}) in `fields`."
            )
    chosen = examples.map(lambda example: [example[field] for field in fields])
    for example in iterate_tfds(chosen, name, split):
        texts = [statistics.decode(value) for value in example]
        statistics.text_bytes += sum(len(text) for text in texts)
        document: Document | None
        if len(texts) == 2:
            document = pair_or_single(texts[0], texts[1])
        else:
            paragraphs = split_paragraphs(texts[0])
            document = Document(paragraphs) if paragraphs else None
        if document:
            yield document
