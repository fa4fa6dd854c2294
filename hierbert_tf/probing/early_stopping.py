"""When a probe's training ends, and which of its weights count: SentEval's rule."""

import numpy as np


class EarlyStopping:
    """The rule for many classifiers at once, each with its own count.

    Every `epoch_size` passes the score on validation is looked at. A strictly better one than ever
    before is the new best, whose weights are kept. Any other is a failure; `tenacity` failures are
    forgiven over the whole training (a new best does not reset their number) and the next one ends
    it. No pass begins after `max_epochs`.

    Args:
        classifiers: how many (A).
        tenacity: failures that are forgiven.
        epoch_size: passes between two looks.
        max_epochs: no pass begins after so many.

    Attributes:
        best: float64 [A], the best score, -inf before the first look.
        best_epoch: int64 [A], passes behind the kept weights.
        running: bool [A], which are still in training.
        epochs: passes so far of those in training.

    Reference: Conneau and Kiela, 2018, https://arxiv.org/abs/1803.05449

    Example:

    >>> rule = EarlyStopping(2, tenacity=0, epoch_size=4, max_epochs=200)
    >>> rule.look(np.array([0.5, 0.5])).tolist(), rule.look(np.array([0.6, 0.5])).tolist()
    ([True, True], [True, False])
    >>> rule.running.tolist(), rule.best_epoch.tolist()
    ([True, False], [8, 4])
    """

    def __init__(self, classifiers: int, tenacity: int, epoch_size: int, max_epochs: int) -> None:
        self.tenacity = tenacity
        self.epoch_size = epoch_size
        self.max_epochs = max_epochs
        self.epochs = 0
        self.best = np.full(classifiers, -np.inf)
        self.best_epoch = np.zeros(classifiers, np.int64)
        self.running = np.full(classifiers, max_epochs >= 0)
        self._failures = np.zeros(classifiers, np.int64)

    def look(self, scores: np.ndarray) -> np.ndarray:
        """Counts `epoch_size` more passes, and judges by the scores after them.

        Args:
            scores: float [A], higher is better; those of classifiers not in training are ignored.
                NaN is never a new best.

        Returns:
            bool [A], which of those in training have a new best.
        """
        self.epochs += self.epoch_size
        improved = self.running & (scores > self.best)
        failed = self.running & ~improved
        self.best = np.where(improved, scores, self.best)
        self.best_epoch = np.where(improved, self.epochs, self.best_epoch)
        self.running = self.running & ~(failed & (self._failures >= self.tenacity))
        self._failures = self._failures + failed
        if self.epochs > self.max_epochs:
            self.running = np.zeros_like(self.running)
        return improved
