"""Names of a classifier's classes."""

from collections.abc import Sequence
from typing import Any

from hierbert_tf.errors import InputError


def agreed_labels(
    num_classes: int, labels: Sequence[str] | None, preprocessor: Any
) -> tuple[str, ...] | None:
    """Finds the names on which a model and its preprocessor agree.

    Args:
        num_classes: number of classes.
        labels: the model's names, or None.
        preprocessor: one with `labels`; given the model's if it has none. Or None.

    Returns:
        The names, None if neither has any.

    Raises:
        InputError: fewer than two classes, another number of names, a name twice, or names that are
            not the preprocessor's.

    Example:

    >>> agreed_labels(2, ["no", "yes"], None)
    ('no', 'yes')
    """
    if num_classes < 2:
        raise InputError(f"num_classes is {num_classes}: a classifier needs at least 2.")
    theirs = getattr(preprocessor, "labels", None)
    ours = theirs if labels is None else tuple(str(label) for label in labels)
    if ours is None:
        return None
    if len(ours) != num_classes:
        raise InputError(f"num_classes is {num_classes}, but there are {len(ours)} labels.")
    if len(set(ours)) < len(ours):
        raise InputError(f"a label occurs twice: {', '.join(ours)}.")
    if theirs is not None and theirs != ours:
        raise InputError(
            f"the model's labels {', '.join(ours)} are not the preprocessor's, {', '.join(theirs)}."
        )
    if hasattr(preprocessor, "labels"):
        preprocessor.labels = ours
    return ours
