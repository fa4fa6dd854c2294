"""A batch run through a model a few rows at once, rows of like length together.

Dimension letters: N rows, T sequence.
"""

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from hierbert_tf.data.features import PADDING_MASK

# Fewer, and the matrix products are small; more, and rows of unlike length are padded to the
# longest. Measured by benchmarks/serving.py.
TOKENS_AT_ONCE = 1024
# For windows of a context, which are long and nearly all full.
WINDOW_TOKENS_AT_ONCE = 4096
# Sequences are cut to a multiple of this many tokens.
LENGTH_MULTIPLE = 8

# Of an output: its dtype, and its dimensions after the first, numbers or scalar tensors.
RowSpec = tuple[tf.DType, Sequence[int | tf.Tensor]]


def run_in_chunks(
    function: Callable[[dict[str, tf.Tensor]], Mapping[str, tf.Tensor]],
    features: Mapping[str, tf.Tensor],
    outputs: Mapping[str, RowSpec],
    *,
    tokens_at_once: int = TOKENS_AT_ONCE,
) -> dict[str, tf.Tensor]:
    """Runs a function on rows of like length, the longest first, and puts the results in order.

    Short rows do not pay for a long one in the same batch, and memory is bounded by
    `tokens_at_once`, or one row, however large the batch is. Graph ops only.

    Args:
        function: features [n, t] to outputs [n, ...], each row for itself.
        features: tensors [N, T], with nothing but padding behind a row's tokens; `padding_mask`
            among them.
        outputs: dtype and dimensions of the function's outputs, without the first.
        tokens_at_once: tokens of a chunk, padding included; one row may have more.

    Returns:
        The outputs [N, ...], each row where its features were.

    Example:

    >>> features = {"padding_mask": tf.constant([[1, 0, 0], [1, 1, 1]])}
    >>> count = lambda rows: {"tokens": tf.reduce_sum(rows["padding_mask"], axis=1)}
    >>> run_in_chunks(count, features, {"tokens": (tf.int32, [])})["tokens"].numpy().tolist()
    [1, 3]
    """
    lengths = tf.reduce_sum(features[PADDING_MASK], axis=1)  # [N]
    rows, width = tf.unstack(tf.shape(features[PADDING_MASK]))
    order = tf.argsort(lengths, direction="DESCENDING", stable=True)
    lengths = tf.gather(lengths, order)

    def chunk(begin: tf.Tensor, results: dict[str, tf.Tensor]) -> tuple:
        # The first row is the longest.
        longest = tf.maximum(lengths[begin], 1)
        length = tf.minimum(-(-longest // LENGTH_MULTIPLE) * LENGTH_MULTIPLE, width)
        end = tf.minimum(begin + tf.maximum(tokens_at_once // length, 1), rows)
        places = order[begin:end]
        some = {name: tf.gather(value, places)[:, :length] for name, value in features.items()}
        found = function(some)
        results = {
            name: tf.tensor_scatter_nd_update(value, places[:, tf.newaxis], found[name])
            for name, value in results.items()
        }
        return end, results

    empty, shapes = {}, {}
    for name, (dtype, dimensions) in outputs.items():
        empty[name] = tf.zeros([rows, *dimensions], dtype)
        known = [size if isinstance(size, int) else None for size in dimensions]
        shapes[name] = tf.TensorShape([None, *known])
    _, results = tf.while_loop(
        lambda begin, _: begin < rows,
        chunk,
        (tf.constant(0), empty),
        shape_invariants=(tf.TensorShape([]), shapes),
        # One after the other: together they would take the memory that chunks are to save.
        parallel_iterations=1,
    )
    return results
