"""The rows of a global batch that one replica or one micro-batch takes."""

from typing import Any

import tensorflow as tf

Batch = tuple[dict[str, tf.Tensor], dict[str, tf.Tensor], dict[str, tf.Tensor]]


def batch_rows(batch: Batch, part: Any, parts: int) -> Batch:
    """Rows `part` of `parts` of every tensor of a batch.

    Args:
        batch: nest of tensors `[B, ...]`.
        part: which part, 0 to `parts` - 1.
        parts: number of parts.

    Returns:
        The same nest of tensors `[B / parts, ...]` (sizes differ by one if `parts` divides no B).

    Example:

    >>> batch_rows(({"a": tf.range(4)}, {}, {}), 1, 2)[0]["a"].numpy().tolist()
    [2, 3]
    """

    def rows(tensor: tf.Tensor) -> tf.Tensor:
        size = tensor.shape[0]
        if size is not None and size % parts == 0:  # XLA needs the static size
            size //= parts
            first = part * size
            return tf.slice(
                tensor,
                [first, *[0] * (len(tensor.shape) - 1)],
                [size, *[-1] * (len(tensor.shape) - 1)],
            )
        size = tf.shape(tensor)[0]
        return tensor[part * size // parts : (part + 1) * size // parts]

    return batch if parts == 1 else tf.nest.map_structure(rows, batch)
