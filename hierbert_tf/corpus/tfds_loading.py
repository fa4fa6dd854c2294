"""TensorFlow Datasets, loaded and read with errors that say what to do."""

from collections.abc import Iterator
from typing import Any

from hierbert_tf.errors import InputError


def load_tfds(name: str, split: str, data_dir: str = "") -> tuple[Any, Any]:
    """Loads a data set in its own order.

    Args:
        name: TFDS name, such as `glue/rte`.
        split: such as `train` or `train[:10%]`.
        data_dir: where TFDS keeps its data; empty: its default. Missing data are downloaded.

    Returns:
        The `tf.data.Dataset` of one split, and its `tfds.features.FeaturesDict`.

    Raises:
        InputError: TFDS cannot load it.
    """
    # Imported here: it takes seconds, and most sources do not need it.
    import tensorflow_datasets as tfds

    try:
        examples, info = tfds.load(
            name,
            split=split,
            data_dir=data_dir or None,
            shuffle_files=False,
            download=True,
            with_info=True,
        )
    except Exception as error:  # TFDS raises errors of a dozen kinds; all say the same to a user
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"TFDS cannot load {name!r}, split {split!r}: {reason}") from error
    return examples, info.features


def iterate_tfds(examples: Any, name: str, split: str) -> Iterator[Any]:
    """Yields the elements of a data set as numpy values.

    Args:
        examples: the `tf.data.Dataset`.
        name: its TFDS name, for the error.
        split: its split, for the error.

    Raises:
        InputError: the files on disk are damaged.
    """
    import tensorflow as tf

    elements = examples.as_numpy_iterator()
    while True:
        try:
            element = next(elements, None)
        except tf.errors.OpError as error:
            reason = error.message.splitlines()[0]
            raise InputError(
                f"TFDS source {name!r}, split {split!r}, cannot be read ({reason}): "
                "delete the data set's folder, so that TFDS makes it again."
            ) from error
        if element is None:
            return
        yield element
