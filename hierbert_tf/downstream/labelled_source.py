"""Where labelled examples come from: one file, or a TFDS set."""

from pathlib import Path

from hierbert_tf.errors import InputError

TFDS = "tfds:"
"""What a source starts with that is a TFDS name and no file."""


def tfds_source(source: str | Path, split: str) -> tuple[str, str] | None:
    """The TFDS name and split in a source; None: it is a file.

    Args:
        source: a path, `tfds:NAME`, or `tfds:NAME@SPLIT`.
        split: the split of a source that names none.

    Raises:
        InputError: no name after `tfds:`, or no split.

    Example:

    >>> tfds_source("tfds:glue/rte", "validation"), tfds_source("rte/dev.tsv", "validation")
    (('glue/rte', 'validation'), None)
    >>> tfds_source("tfds:multi_nli@validation_matched", "validation")
    ('multi_nli', 'validation_matched')
    """
    if not str(source).startswith(TFDS):
        return None
    name, _, named = str(source).removeprefix(TFDS).partition("@")
    if not name or not (named or split):
        raise InputError(
            f"{str(source)!r}: a TFDS source needs a name and a split, such as "
            "'tfds:glue/rte@validation'."
        )
    return name, named or split


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
