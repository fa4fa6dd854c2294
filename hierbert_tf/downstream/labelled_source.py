"""Where labelled examples come from: one file, or a TFDS set."""

from pathlib import Path

from hierbert_tf.errors import InputError

TFDS = "tfds:"
"""What a source starts with that is a TFDS name and no file."""


def tfds_name(source: str | Path, split: str) -> str:
    """The TFDS name in a source; empty: it is a file.

    Args:
        source: a path, or `tfds:NAME`.
        split: the split that goes with the name.

    Raises:
        InputError: no name after `tfds:`, or no split.

    Example:

    >>> tfds_name("tfds:glue/rte", "validation"), tfds_name("rte/dev.tsv", "")
    ('glue/rte', '')
    """
    if not str(source).startswith(TFDS):
        return ""
    name = str(source).removeprefix(TFDS)
    if not name or not split:
        raise InputError(
            f"{str(source)!r}: a TFDS source needs a name and a split, such as 'tfds:glue/rte' "
            "and 'validation'."
        )
    return name


def labelled_file(source: str | Path) -> Path:
    """The file of a labelled set.

    Raises:
        InputError: it does not exist, or is a folder.
    """
    path = Path(source)
    if path.is_dir():
        raise InputError(
            f"{str(source)!r} is a folder: name one of its files, so that the training examples "
            "and those of the dev and test sets stay apart."
        )
    if not path.is_file():
        raise InputError(f"{str(source)!r} does not exist: check the path.")
    return path
