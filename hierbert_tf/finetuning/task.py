"""What the run of a seed needs of a downstream task.

Dimension letters: N rows, T sequence, C classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hierbert_tf.config_finetuning import FinetuningConfig
from hierbert_tf.data.features import PADDING_MASK, SEGMENT_IDS
from hierbert_tf.downstream.batches import ExampleBatches
from hierbert_tf.downstream.example_counts import ExampleCounts
from hierbert_tf.errors import InputError
from hierbert_tf.evaluation.baselines import BaselineScore
from hierbert_tf.finetuning.encoder import StartingEncoder
from hierbert_tf.provenance import examples_sha256

# Examples that are tokenised together.
CHUNK = 1000
# What holds only 0 and 1 takes a byte: a large set stays in memory as a whole.
_NARROW = {PADDING_MASK: np.int8, SEGMENT_IDS: np.int8}


class DownstreamTask(ABC):
    """A labelled task: its examples, its model, its rows and its scores.

    Args:
        config: the run's settings.
        encoder: where the models start.
    """

    def __init__(self, config: FinetuningConfig, encoder: StartingEncoder) -> None:
        self.config = config
        self.encoder = encoder
        self.counts: list[ExampleCounts] = []
        self.training: list[Any] = []
        self.sets: dict[str, list[Any]] = {}

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """Names of the model's outputs, each with a label a row."""

    def record(self) -> dict[str, Any]:
        """What `scores.json` keeps of the examples beside the scores, for an export."""
        return {}

    @abstractmethod
    def build(self, seed: int) -> Any:
        """The keras-hub task model of a seed, its preprocessor attached."""

    @abstractmethod
    def training_rows(self, seed: int) -> ExampleBatches:
        """The training examples as rows."""

    @abstractmethod
    def watched_rows(self, seed: int) -> ExampleBatches | None:
        """Rows of the first set with labels that is evaluated; None: there is none."""

    @abstractmethod
    def score(
        self, model: Any, name: str, folder: Path, facts: Mapping[str, str]
    ) -> dict[str, float]:
        """Predicts a set, writes predictions and report into the folder, returns its metrics."""

    @abstractmethod
    def baselines(self) -> dict[str, list[BaselineScore]]:
        """What needs no encoder, on each set whose answers are known."""

    @cached_property
    def examples_sha256(self) -> str:
        """Hash of all the examples, the same for every seed."""
        return examples_sha256([self.training, *self.sets.values()])

    def counted(self, source: str, found: tuple[list[Any], ExampleCounts], what: str) -> list[Any]:
        """The examples of a reader, their counts kept.

        Args:
            source: where they come from, and `what` they are, for the error.
            found: what the reader returned.
            what: such as `question`.

        Raises:
            InputError: there are none.
        """
        examples, counts = found
        self.counts.append(counts)
        if not examples:
            raise InputError(f"{source} has no {what} that can be used:\n{counts.to_markdown()}")
        return examples

    def drawn(self, examples: list[Any]) -> list[Any]:
        """The `data.train_examples` of them that the first seed draws; all where that is 0."""
        count = self.config.data.train_examples
        if not count:
            return examples
        order = np.random.default_rng(self.config.seed).permutation(len(examples))
        return [examples[number] for number in order[:count]]

    def batches(
        self, features: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], seed: int
    ) -> ExampleBatches:
        """The rows as batches of the size and lengths that the settings say."""
        data = self.config.data
        return ExampleBatches(
            features,
            labels,
            seed=seed,
            batch_size=data.batch_size,
            length_multiple=data.length_multiple,
        )

    def functional(self, model: Any) -> keras.Model:
        """The model as the training loop takes it: dict of features -> dict of logits."""
        outputs = model.output
        if not isinstance(outputs, dict):
            outputs = {self.outputs[0]: outputs}
        return keras.Model(model.input, outputs, name="fine_tuned")


def tokenised_rows(
    examples: Sequence[Any],
    tokenise: Callable[[Sequence[Any]], Mapping[str, Any]],
) -> dict[str, np.ndarray]:
    """Tokenises examples chunk by chunk.

    Args:
        examples: the examples.
        tokenise: a chunk of them -> tensors with the rows first, as wide in every chunk.

    Returns:
        The rows of all chunks, by name.
    """
    chunks = [
        {
            name: np.asarray(value, _NARROW.get(name))
            for name, value in tokenise(examples[first : first + CHUNK]).items()
        }
        for first in range(0, len(examples), CHUNK)
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def row_logits(model: Any, rows: ExampleBatches) -> np.ndarray:
    """A classifier's logits for every row, without dropout.

    Args:
        model: dict of features -> logits [B, C].
        rows: the rows.

    Returns:
        float32 [N, C].
    """

    @tf.function(reduce_retracing=True)
    def forward(features: Any) -> Any:
        return model(features, training=False)

    logits = np.concatenate([forward(features).numpy() for features, _, _ in rows.once()])
    places = np.concatenate(rows.row_numbers_once())
    in_order = np.empty_like(logits)
    in_order[places] = logits
    return in_order
