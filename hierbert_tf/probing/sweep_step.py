"""A training step of very many small classifiers at once, in one graph.

Letters: A classifiers of one hidden width, R rows (layers), S seeds, G pairs of a row and a seed,
N examples, B examples of a batch, D width of a vector, W hidden width, C classes, K dropout rates.

What a classifier learns depends on (row, seed, width, rate) alone, never on what is trained
beside it: its weights, batches and dropout come from stateless functions of the seed, the width and
the step. Equal seeds therefore start from equal weights and see equal batches in every layer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hierbert_tf.layers.seeds import derived_seed

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
# Examples evaluated at a time: enough to keep matrix products busy, few enough for the cache.
EVALUATED = 256

State = Mapping[str, Any]


class SweepStep:
    """All classifiers of one hidden width: Linear, dropout, sigmoid, Linear; or one Linear.

    Weights are drawn as torch draws those of `Linear`: uniform within 1 / sqrt(inputs), biases too.
    The first layer's bias is its kernel's last row. Gradients are written out by hand: they are
    few, and so the fused Adam of TensorFlow gets them without a tape.

    Args:
        hidden: W; 0: no hidden layer, and then no dropout.
        inputs: D.
        classes: C.
        pair: int [A], which pair of a row and a seed each classifier reads.
        seed: int [A], index of its seed.
        rate: int [A], index of its dropout rate.
        seeds: the S seeds.
        rates: the K dropout rates, each in [0, 1).

    Example:

    >>> step = SweepStep(2, 3, 2, *np.zeros((3, 4), "int32"), seeds=[7], rates=[0.0])
    >>> [tuple(weight.numpy().shape) for weight in step.state["weights"]]
    [(4, 4, 2), (4, 2, 2), (4, 1, 2)]
    """

    def __init__(
        self,
        hidden: int,
        inputs: int,
        classes: int,
        pair: np.ndarray,
        seed: np.ndarray,
        rate: np.ndarray,
        seeds: Sequence[int],
        rates: Sequence[float],
    ) -> None:
        def drawn(name: str, fan_in: int, shape: list[int]) -> tf.Tensor:  # [A, *shape]
            bound = fan_in**-0.5
            each = [
                tf.random.stateless_uniform(
                    shape, [derived_seed(one, "probe", name, str(hidden)), 0], -bound, bound
                )
                for one in seeds
            ]
            return tf.gather(tf.stack(each), np.asarray(seed, "int32"))

        first = drawn("first", inputs, [inputs + 1, hidden or classes])
        weights = [first]
        if hidden:
            weights.append(drawn("second", hidden, [hidden, classes]))
            weights.append(drawn("bias", hidden, [1, classes]))
        dropped = hidden and any(rates)
        # Shapes are open, so that one trace serves any number of classifiers, vectors and classes.
        self.state: dict[str, Any] = {
            "weights": [_variable(weight) for weight in weights],
            "mean": [_variable(tf.zeros_like(weight)) for weight in weights],
            "square": [_variable(tf.zeros_like(weight)) for weight in weights],
            "hidden": tf.constant(hidden),
            # Empty where nothing is dropped, so that no mask is in the graph.
            "dropout_seeds": [
                tf.constant(derived_seed(one, "probe", "dropout", str(hidden)))
                for one in seeds
                if dropped
            ],
            "rates": tf.constant(rates, tf.float32),
            "mask": tf.constant(np.asarray(seed) * len(rates) + rate, tf.int32),
            "seed": tf.constant(seed, tf.int32),
            "pair": tf.constant(pair, tf.int32),
        }

    def keep(self, positions: np.ndarray, pair: np.ndarray) -> None:
        """Forgets all classifiers but those at these positions.

        Args:
            positions: int [A'], positions among the classifiers left.
            pair: int [A'], which pair they read from now on.
        """
        state = self.state
        for variable in [*state["weights"], *state["mean"], *state["square"]]:
            variable.assign(tf.gather(variable, positions))
        state["mask"] = tf.gather(state["mask"], positions)
        state["seed"] = tf.gather(state["seed"], positions)
        state["pair"] = tf.constant(pair, tf.int32)


def _variable(value: tf.Tensor) -> tf.Variable:
    return tf.Variable(value, shape=[None] * len(value.shape), trainable=False)


def _inputs(vectors: tf.Tensor, examples: tf.Tensor, pairs: tf.Tensor) -> tf.Tensor:
    """float32 [G, B, D + 1]: what the pairs of row and seed read; the last one is the bias' 1."""
    rows, count, width = tf.unstack(tf.shape(vectors))
    flat = tf.reshape(vectors, [rows * count, width])  # [R * N, D]
    places = pairs[:, :1] * count + tf.gather(examples, pairs[:, 1])  # [G, B]
    return tf.pad(tf.gather(flat, places), [[0, 0], [0, 0], [0, 1]], constant_values=1.0)


def _masks(state: State, step: tf.Tensor, batch: tf.Tensor, batch_size: tf.Tensor) -> tf.Tensor:
    """float32 [A, B, W]: 0 where dropped, else 1 / (1 - rate)."""
    drawn = [
        # Drawn for a full batch, since a smaller draw is not always the start of a larger one.
        tf.random.stateless_uniform([batch_size, state["hidden"]], tf.stack([seed, step]))[:batch]
        for seed in state["dropout_seeds"]
    ]
    rates = state["rates"][None, :, None, None]  # [1, K, 1, 1]
    table = tf.where(tf.stack(drawn)[:, None] >= rates, 1.0 / (1.0 - rates), 0.0)  # [S, K, B, W]
    shape = tf.shape(table)
    return tf.gather(tf.reshape(table, [-1, shape[2], shape[3]]), state["mask"])


def _gradients(
    state: State, inputs: tf.Tensor, turned: tf.Tensor, labels: tf.Tensor, masks: tf.Tensor | None
) -> list[tf.Tensor]:
    """Gradients of each classifier's mean loss over the batch, in the order of its weights.

    `turned` are the inputs as [A, D + 1, B]: a product with them is about a third faster than one
    that transposes each classifier's inputs itself.
    """
    weights = state["weights"]
    hidden = tf.matmul(inputs, weights[0])  # [A, B, W], or the logits [A, B, C]
    if len(weights) == 1:
        return [tf.matmul(turned, _logit_gradients(hidden, labels))]
    if masks is not None:
        hidden *= masks
    hidden = tf.sigmoid(hidden)
    logits = tf.matmul(hidden, weights[1]) + weights[2]  # [A, B, C]
    by_logits = _logit_gradients(logits, labels)
    by_hidden = tf.matmul(by_logits, weights[1], transpose_b=True)  # [A, B, W]
    by_hidden = tf.raw_ops.SigmoidGrad(y=hidden, dy=by_hidden)
    if masks is not None:
        by_hidden *= masks
    return [
        tf.matmul(turned, by_hidden),
        tf.matmul(hidden, by_logits, transpose_a=True),
        tf.reduce_sum(by_logits, 1, keepdims=True),
    ]


def _logit_gradients(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """float32 [A, B, C], of the mean over B of the cross entropy with labels [A, B]."""
    shape = tf.shape(logits)
    _, gradients = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(
        features=tf.reshape(logits, [shape[0] * shape[1], shape[2]]),  # [A * B, C]
        labels=tf.reshape(labels, [-1]),
    )
    return tf.reshape(gradients, shape) / tf.cast(shape[1], tf.float32)


def _adam(
    state: State, gradients: list[tf.Tensor], step: tf.Tensor, learning_rate: tf.Tensor
) -> None:
    power = tf.cast(step + 1, tf.float32)
    power_1, power_2 = tf.pow(BETA_1, power), tf.pow(BETA_2, power)
    for weight, mean, square, gradient in zip(
        state["weights"], state["mean"], state["square"], gradients, strict=True
    ):
        tf.raw_ops.ResourceApplyAdam(
            var=weight.handle, m=mean.handle, v=square.handle, grad=gradient,
            beta1_power=power_1, beta2_power=power_2, beta1=BETA_1, beta2=BETA_2, lr=learning_rate,
            # The operation adds epsilon before the correction of the second moment, torch after it.
            epsilon=EPSILON * tf.sqrt(1.0 - power_2),
        )  # fmt: skip


@tf.function(reduce_retracing=True)
def train_epochs(
    states: list[State],
    vectors: tf.Tensor,
    labels: tf.Tensor,
    examples: tf.Tensor,
    pairs: tf.Tensor,
    order_seeds: list[tf.Tensor],
    first_epoch: tf.Tensor,
    epochs: tf.Tensor,
    batch_size: tf.Tensor,
    learning_rate: tf.Tensor,
) -> None:
    """Passes over the training examples, each in a new order; the last batch may be smaller.

    Args:
        states: of the `SweepStep`s, whose variables change.
        vectors: float32 [R, N, D].
        labels: int32 [N].
        examples: int32 [S, n], the training examples of each seed.
        pairs: int32 [G, 2], row and index of the seed.
        order_seeds: S int32 scalars, of the orders.
        first_epoch: passes made before, an int32 scalar.
        epochs: passes to make, an int32 scalar.
        batch_size: examples a step, an int32 scalar.
        learning_rate: Adam's, a float32 scalar.
    """
    steps = -(-tf.shape(examples)[1] // batch_size)
    for epoch in tf.range(first_epoch, first_epoch + epochs):
        order = tf.stack(
            [
                tf.random.experimental.stateless_shuffle(examples[i], tf.stack([seed, epoch]))
                for i, seed in enumerate(order_seeds)
            ]
        )
        for number in tf.range(steps):
            batch = order[:, number * batch_size : (number + 1) * batch_size]  # [S, B]
            step = epoch * steps + number
            inputs = _inputs(vectors, batch, pairs)
            turned = tf.transpose(inputs, [0, 2, 1])  # [G, D + 1, B]
            targets = tf.gather(labels, batch)  # [S, B]
            for state in states:
                masks = None
                if state["dropout_seeds"]:
                    masks = _masks(state, step, tf.shape(batch)[1], batch_size)
                gradients = _gradients(
                    state,
                    tf.gather(inputs, state["pair"]),  # [A, B, D + 1]
                    tf.gather(turned, state["pair"]),
                    tf.gather(targets, state["seed"]),  # [A, B]
                    masks,
                )
                _adam(state, gradients, step, learning_rate)


@tf.function(reduce_retracing=True)
def evaluate(
    states: list[State],
    vectors: tf.Tensor,
    labels: tf.Tensor,
    examples: tf.Tensor,
    pairs: tf.Tensor,
) -> tf.Tensor:
    """Scores of all classifiers, without dropout.

    Args:
        states: of the `SweepStep`s.
        vectors: float32 [R, N, D].
        labels: int32 [N].
        examples: int32 [S, n], which examples each seed's classifiers are judged by.
        pairs: int32 [G, 2], row and index of the seed.

    Returns:
        float64 [2, A of all states]: how many examples are right; the sum of cross entropies, nats.
    """
    count = tf.shape(examples)[1]
    total = tf.zeros([2, sum(tf.shape(state["pair"])[0] for state in states)], tf.float64)
    for start in tf.range(0, count, EVALUATED):
        batch = examples[:, start : start + EVALUATED]  # [S, B]
        inputs = _inputs(vectors, batch, pairs)
        targets = tf.gather(labels, batch)
        scores = []
        for state in states:
            weights = state["weights"]
            logits = tf.matmul(tf.gather(inputs, state["pair"]), weights[0])
            if len(weights) > 1:
                logits = tf.matmul(tf.sigmoid(logits), weights[1]) + weights[2]  # [A, B, C]
            wanted = tf.gather(targets, state["seed"])  # [A, B]
            right = tf.argmax(logits, -1, tf.int32) == wanted
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits)
            both = tf.stack([tf.cast(right, tf.float64), tf.cast(losses, tf.float64)])
            scores.append(tf.reduce_sum(both, -1))  # [2, A]
        total += tf.concat(scores, 1)
    return total
