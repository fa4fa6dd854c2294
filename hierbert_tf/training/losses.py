"""Cross-entropy as sums: a task's loss is sum(weight * loss) / sum(weight) over the *global* batch.

The division comes last, after replicas and micro-batches are summed: so neither padding, nor the
number of replicas, nor gradient accumulation changes a loss.

Dimension letters: B batch, P masked positions, T sequence, C classes (or V vocabulary).
"""

from typing import Any

import keras
from keras import ops


def token_cross_entropy(labels: Any, logits: Any, weights: Any) -> Any:
    """Weighted cross-entropy of each item, in float32.

    Args:
        labels: int `[...]`: class of each item. Where the weight is 0 any value may stand.
        logits: float `[..., C]`, of any float dtype.
        weights: float `[...]`: 0 marks an item without a label.

    Returns:
        float32 `[...]`: weight x negative log-probability of the label, exactly 0 where the weight
        is 0.

    Example:

    >>> import numpy as np
    >>> labels, weights = np.array([1, -1]), np.array([1.0, 0.0])
    >>> losses = token_cross_entropy(labels, np.zeros([2, 4], "float32"), weights)
    >>> [round(float(loss), 4) for loss in losses]  # log(4), and nothing for the unlabelled item
    [1.3863, 0.0]
    """
    weights = ops.cast(weights, "float32")
    # An unlabelled item may carry any label; out of range, the op fails on CPU and gives NaN on
    # GPU.
    labels = ops.where(ops.equal(weights, 0.0), 0, ops.cast(labels, "int32"))
    # float16 cannot hold the log-sum-exp over a vocabulary.
    logits = ops.cast(logits, "float32")
    losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    return losses * weights


def weighted_sums(labels: Any, logits: Any, weights: Any) -> tuple[Any, Any, Any]:
    """Sums from which the loss and the accuracy of a task follow by one division.

    Args:
        labels: int `[B]`, `[B, P]` or `[B, T]`.
        logits: float `[..., C]`, of any float dtype.
        weights: float, the shape of `labels`; 0 marks an item without a label.

    Returns:
        Three float32 scalars: sum of weighted losses (nats), sum of weights, sum of the weights of
        the items whose most probable class is the label.

    Example:

    >>> import numpy as np
    >>> logits = np.array([[9.0, 0.0], [9.0, 0.0], [0.0, 9.0]], "float32")
    >>> labels, weights = np.array([0, 1, 1]), np.array([1.0, 1.0, 0.0])
    >>> loss, weight, correct = weighted_sums(labels, logits, weights)
    >>> round(float(loss), 3), float(weight), float(correct)
    (9.0, 2.0, 1.0)
    """
    weights = ops.cast(weights, "float32")
    loss_sum = ops.sum(token_cross_entropy(labels, logits, weights))
    correct = ops.equal(ops.cast(labels, "int32"), ops.argmax(logits, axis=-1))
    correct_sum = ops.sum(ops.cast(correct, "float32") * weights)
    return loss_sum, ops.sum(weights), correct_sum


def all_replica_sum(value: Any) -> Any:
    """Sum of a scalar over all replicas of a `tf.distribute` strategy; the scalar itself on one.

    Args:
        value: scalar tensor of this replica.

    Returns:
        The same scalar on every replica.

    Example:

    >>> all_replica_sum(3.0)
    3.0
    """
    if keras.backend.backend() != "tensorflow" or isinstance(value, keras.KerasTensor):
        return value
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    # No replica context: Keras builds the loss once, symbolically, outside `strategy.run`.
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


@keras.saving.register_keras_serializable(package="hierbert_tf")
class GlobalMeanCrossEntropy(keras.losses.Loss):
    """Cross-entropy for `model.compile`: sum(weight * loss) / sum(weight) over all replicas.

    Keras' own `mean_with_sample_weight` divides by one replica's sum of weights, and its default
    reduction by the number of items, labelled or not. This divides by the all-reduced sum of
    weights, so that Keras' sum of the replicas' gradients is the gradient of the global mean. On
    one device it equals `mean_with_sample_weight`; if no item has a weight it is 0.

    Args:
        name: name of the loss.
        reduction: kept for Keras' serialisation; only `"mean_with_sample_weight"` makes sense.
        dtype: kept for Keras' serialisation; the loss is always float32.

    Raises:
        ValueError: another reduction is asked for.

    Example:

    >>> import numpy as np
    >>> loss = GlobalMeanCrossEntropy()
    >>> weights = np.array([[1.0, 1.0, 0.0]])
    >>> round(float(loss(np.array([[1, 2, 0]]), np.zeros([1, 3, 4], "float32"), weights)), 4)
    1.3863
    """

    def __init__(
        self,
        name: str = "global_mean_cross_entropy",
        reduction: str = "mean_with_sample_weight",
        dtype: Any = "float32",
    ) -> None:
        if reduction != "mean_with_sample_weight":
            raise ValueError(
                f"GlobalMeanCrossEntropy is a weighted mean, reduction={reduction!r} cannot be"
            )
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Cross-entropy of each item, unweighted; see `token_cross_entropy`."""
        return token_cross_entropy(y_true, y_pred, ops.ones_like(y_true, dtype="float32"))

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The global mean's share of this replica: a float32 scalar.

        Args:
            y_true: int `[...]`, labels.
            y_pred: float `[..., C]`, logits.
            sample_weight: float `[...]`; absent: each item counts 1.
        """
        if sample_weight is None:
            sample_weight = ops.ones_like(y_true, dtype="float32")
        weights = ops.cast(sample_weight, "float32")
        loss_sum = ops.sum(token_cross_entropy(y_true, y_pred, weights))
        return ops.divide_no_nan(loss_sum, all_replica_sum(ops.sum(weights)))
