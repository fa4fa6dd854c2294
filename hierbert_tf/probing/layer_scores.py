"""The scores of one task by layer: means and deviations over the seeds, and the best layer."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hierbert_tf.probing.scores import ProbeScore

# The probe that is a pre-training task as well: it says too much for the encoders that learnt it.
APART = "bigram_shift"


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over the seeds.

    Args:
        mean: their mean.
        deviation: None for a single seed.
    """

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread | None":
        """The spread of the values; None where there are none.

        Example:

        >>> Spread.of([1.0, 3.0]), Spread.of([1.0]), Spread.of([])
        (Spread(mean=2.0, deviation=1.4142135623730951), Spread(mean=1.0, deviation=None), None)
        """
        values = list(values)
        if not values:
            return None
        deviation = statistics.stdev(values) if len(values) > 1 else None
        return cls(statistics.fmean(values), deviation)


class LayerScores:
    """The scores of one task, encoder and pooling.

    Args:
        scores: one or more, of all layers and seeds.

    Raises:
        ValueError: two scores of the same layer and seed, or none at all.

    Example:

    >>> def score(layer, seed, validation, test):
    ...     place = ("depth", "pre-trained", "cls", layer, "mlp", seed)
    ...     return ProbeScore(*place, "hidden 50", 8, 200, 0.25, validation, test)
    >>> scores = LayerScores([score(0, 1, 0.5, 0.9), score(1, 1, 0.7, 0.6), score(1, 2, 0.7, 0.8)])
    >>> scores.best_layer, scores.values(1, "test"), round(scores.spread(1, "test").mean, 3)
    (1, {1: 0.6, 2: 0.8}, 0.7)
    """

    def __init__(self, scores: Sequence[ProbeScore]) -> None:
        if not scores:
            raise ValueError("no scores")
        self._scores: dict[int, dict[int, ProbeScore]] = {}
        for score in sorted(scores, key=lambda score: (score.layer, score.seed)):
            seeds = self._scores.setdefault(score.layer, {})
            if score.seed in seeds:
                raise ValueError(f"two scores of {score.place}")
            seeds[score.seed] = score
        self.majority = scores[0].majority
        self.test_examples = scores[0].test_examples

    @property
    def layers(self) -> list[int]:
        """The layers that were probed, ascending."""
        return list(self._scores)

    @property
    def best_layer(self) -> int:
        """The layer of the best mean *validation* accuracy; of equals the lowest."""
        return max(
            self.layers,
            key=lambda layer: statistics.fmean(self.values(layer, "validation").values()),
        )

    def values(self, layer: int, name: str) -> dict[int, float]:
        """A field of `ProbeScore` by seed, where it was measured; {} for a layer not probed."""
        seeds = self._scores.get(layer, {})
        found = {seed: getattr(score, name) for seed, score in seeds.items()}
        return {seed: value for seed, value in found.items() if value is not None}

    def spread(self, layer: int, name: str) -> Spread | None:
        """Mean and deviation of a field at a layer; None where it was not measured."""
        return Spread.of(self.values(layer, name).values())

    def has(self, name: str) -> bool:
        """Some score has this field."""
        return any(self.values(layer, name) for layer in self.layers)


def poolings_of(scores: Iterable[ProbeScore]) -> list[str]:
    """The poolings in the order of their first scores."""
    return list(dict.fromkeys(score.pooling for score in scores))


def by_task(scores: Iterable[ProbeScore], pooling: str) -> dict[str, dict[str, LayerScores]]:
    """The scores of one pooling by task and encoder.

    Returns:
        `{task: {encoder: scores}}`; tasks in the order of their first scores, `bigram_shift` last.
    """
    groups: dict[str, dict[str, list[ProbeScore]]] = {}
    for score in scores:
        if score.pooling == pooling:
            groups.setdefault(score.task, {}).setdefault(score.encoder, []).append(score)
    ordered = sorted(groups, key=lambda task: task == APART)
    return {
        task: {encoder: LayerScores(some) for encoder, some in groups[task].items()}
        for task in ordered
    }


def mean_spread(tasks: Iterable[Mapping[int, float]]) -> Spread | None:
    """The mean over tasks, and its deviation over the seeds.

    Args:
        tasks: values by seed, of each task.

    Returns:
        None without tasks or where one has no value. Where tasks differ in their seeds there is no
        deviation.

    Example:

    >>> mean_spread([{1: 0.5, 2: 1.0}, {1: 0.0, 2: 0.5}])
    Spread(mean=0.5, deviation=0.3535533905932738)
    """
    values = list(tasks)
    if not values or not all(values):
        return None
    if all(set(one) == set(values[0]) for one in values):
        return Spread.of(statistics.fmean(one[seed] for one in values) for seed in values[0])
    return Spread(statistics.fmean(statistics.fmean(one.values()) for one in values), None)


def heads_by_layer(heads: Iterable[tuple[str, int]]) -> dict[int, list[str]]:
    """The names of the pre-training heads at each layer, layers ascending."""
    found: dict[int, list[str]] = {}
    for name, layer in heads:
        found.setdefault(layer, []).append(name)
    return dict(sorted(found.items()))
