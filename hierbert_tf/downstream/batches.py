"""Tokenised examples as batches of like length, their order a function of the seed and the step.

Dimension letters: N rows, B batch, T sequence.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import tensorflow as tf

from hierbert_tf.data.features import PADDING_MASK

# Batches whose rows are sorted by length together. More waste less padding; fewer mix better.
WINDOW_BATCHES = 50

Arrays = dict[str, np.ndarray]
Batch = tuple[Arrays, Arrays, Arrays]


class ExampleBatches:
    """Rows of features and labels, as training batches without end or once from first to last.

    Training reads a stream of epochs, each a permutation of all rows. Of each 50 batches of the
    stream the rows are sorted by length and cut into full batches, which come in random order. No
    row is left out, none is padded to more than its batch needs, and step s has the same batch
    however often a run was interrupted.

    Args:
        features: int32 [N, T] each, `padding_mask` among them.
        labels: int32 [N] each, by the name of the output.
        seed: seed of the order.
        batch_size: rows B of a batch.
        length_multiple: T of a batch is the smallest multiple of this that holds its longest row;
            0: the T of `features`.

    Raises:
        ValueError: no rows.

    Example:

    >>> mask = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0]], "int32")
    >>> rows = ExampleBatches({"padding_mask": mask}, {"label": np.array([0, 1, 2])}, seed=1,
    ...                       batch_size=2, length_multiple=2)
    >>> [batch[0]["padding_mask"].shape for batch in rows.once().as_numpy_iterator()]
    [(2, 2), (1, 4)]
    >>> rows.row_numbers_once()
    [array([1, 2]), array([0])]
    """

    def __init__(
        self,
        features: Mapping[str, np.ndarray],
        labels: Mapping[str, np.ndarray],
        *,
        seed: int,
        batch_size: int,
        length_multiple: int,
    ) -> None:
        self.features = dict(features)
        self.labels = {name: np.asarray(values, np.int32) for name, values in labels.items()}
        self.lengths = self.features[PADDING_MASK].sum(axis=1)
        if not len(self.lengths):
            raise ValueError("no rows to make batches of")
        self.seed = seed
        self.batch_size = batch_size
        self.length_multiple = length_multiple

    def __len__(self) -> int:
        return len(self.lengths)

    def steps(self, epochs: float) -> int:
        """Training steps that see each row `epochs` times (the last batch filled up)."""
        return max(1, -(-round(epochs * len(self)) // self.batch_size))

    def training(self, steps: int, start_step: int = 0) -> tf.data.Dataset:
        """Batches of the steps `start_step` + 1 to `steps`.

        Args:
            steps: length of the whole run.
            start_step: steps done before.

        Returns:
            Dataset of (features, labels, weights): int32 [B, T], int32 [B], float32 [B].
        """
        return self._dataset(partial(self._training_rows, steps, start_step))

    def once(self) -> tf.data.Dataset:
        """All rows once, shortest first; the last batch may be smaller."""
        return self._dataset(lambda: iter(self.row_numbers_once()))

    def sample(self, batches: int) -> tf.data.Dataset:
        """So many batches of rows drawn by the seed, always the same; all rows if they are fewer.

        For watching a run: `once` would begin with the shortest rows.
        """
        rows = np.random.default_rng([self.seed, 0]).permutation(len(self))
        rows = rows[: batches * self.batch_size]
        rows = rows[np.argsort(self.lengths[rows], kind="stable")]
        return self._dataset(lambda: iter(self._cut(rows)))

    def row_numbers_once(self) -> list[np.ndarray]:
        """The rows in each batch of `once`: int64 [B] each."""
        return self._cut(np.argsort(self.lengths, kind="stable"))

    def _cut(self, rows: np.ndarray) -> list[np.ndarray]:
        return [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]

    def _training_rows(self, steps: int, start_step: int) -> Iterator[np.ndarray]:
        for window in range(start_step // WINDOW_BATCHES, -(-steps // WINDOW_BATCHES)):
            first = window * WINDOW_BATCHES
            # A shorter last window: else rows of an epoch that never comes would take places.
            count = min(WINDOW_BATCHES, steps - first)
            rows = self._stream(first * self.batch_size, count * self.batch_size)
            # Rows of one length in the order of the stream, that is at random.
            batches = self._cut(rows[np.argsort(self.lengths[rows], kind="stable")])
            order = np.random.default_rng([self.seed, 1, window]).permutation(count)
            for place in range(max(0, start_step - first), count):
                yield batches[order[place]]

    def _stream(self, first: int, count: int) -> np.ndarray:
        """Rows `first` to `first + count` of the epochs, one after the other."""
        size = len(self)
        epochs = range(first // size, (first + count - 1) // size + 1)
        rows = np.concatenate(
            [np.random.default_rng([self.seed, 2, epoch]).permutation(size) for epoch in epochs]
        )
        skipped = first - epochs.start * size
        return rows[skipped : skipped + count]

    def batch(self, rows: np.ndarray) -> Batch:
        """The rows as one batch, cut to the length that it needs."""
        full = next(iter(self.features.values())).shape[1]
        longest = int(self.lengths[rows].max())
        multiple = self.length_multiple
        length = min(full, -(-longest // multiple) * multiple) if multiple else full
        labels = {name: values[rows] for name, values in self.labels.items()}
        weights = {name: np.ones(len(rows), np.float32) for name in labels}
        return {n: values[rows, :length] for n, values in self.features.items()}, labels, weights

    def _dataset(self, row_batches: Callable[[], Iterator[np.ndarray]]) -> tf.data.Dataset:
        signature = (
            {name: tf.TensorSpec([None, None], tf.int32) for name in self.features},
            {name: tf.TensorSpec([None], tf.int32) for name in self.labels},
            {name: tf.TensorSpec([None], tf.float32) for name in self.labels},
        )
        batches = tf.data.Dataset.from_generator(
            lambda: (self.batch(rows) for rows in row_batches()), output_signature=signature
        )
        return batches.prefetch(2)
