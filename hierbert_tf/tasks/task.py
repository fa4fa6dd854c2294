"""What a pre-training task is: corruption, labels, head and chance, in one object.

`docs/add-a-task.md` shows how to write one.
"""

import abc
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple

import keras
import tensorflow as tf

from hierbert_tf.config import ReceivesConfig, TaskConfig
from hierbert_tf.config_file import as_number, type_name
from hierbert_tf.data.features import Feature
from hierbert_tf.data.pairs import Pairs
from hierbert_tf.data.sequences import Sequences, TokenTable
from hierbert_tf.errors import InputError
from hierbert_tf.layers.seeds import kernel_initializer


class Stage(IntEnum):
    """When a task corrupts the text. Stages run in this order."""

    PAIR = 0
    """It chooses what the second segment is."""
    ORDER = 1
    """It moves words."""
    TOKEN = 2
    """It replaces tokens."""


class Corruption(NamedTuple):
    """What a task made of a batch.

    Args:
        sequences: the batch after the task's changes.
        label: int32, [B], [B, P] or [B, T].
        weight: float32 of the label's shape; 0 where there is nothing to predict.
        features: extra inputs of the model, by name.
    """

    sequences: Sequences
    label: tf.Tensor
    weight: tf.Tensor
    features: dict[str, tf.Tensor]


@dataclass(frozen=True)
class HeadInputs:
    """What a task's head may read.

    Args:
        sequence: [B, T, H], the output of the task's layer.
        pooled: [B, H], the task's pooled [CLS] vector; None unless the task reads it.
        logits: [B, C], where the encoder already computes them (a transfer by label embedding).
        features: the model's inputs by name.
        receive: adds what the task receives into its head; the identity without such a transfer.
        token_embedding: the encoder's token embedding layer, to tie weights to.
        seed: seed of the head's initial weights.
        dtype: dtype policy of the head's layers.
    """

    sequence: Any
    pooled: Any
    logits: Any
    features: dict[str, Any]
    receive: Callable[[Any], Any]
    token_embedding: keras.layers.Layer
    seed: int
    dtype: Any


class PretrainingTask(abc.ABC):
    """One pre-training task. A subclass with a `task_name` is found by that name in recipes.

    The keyword-only arguments of a subclass's constructor are the task's `options`.

    Args:
        name: the task's name.
        layer: the encoder layer that the head reads.
        weight: factor of its loss.
        receives: transfer from another task.
    """

    task_name: ClassVar[str] = ""
    stage: ClassVar[Stage]
    pools: bool = False
    """Reads a pooled [CLS] vector; only such a task can give to others."""
    documents: int = 1
    """Training documents that it needs at least."""
    num_classes: int = 2
    """Classes C of the labels; 0: the vocabulary."""

    registry: ClassVar[dict[str, type["PretrainingTask"]]] = {}

    def __init__(
        self, name: str, layer: int, weight: float = 1.0, receives: ReceivesConfig | None = None
    ):
        self.name = name
        self.layer = layer
        self.weight = weight
        self.receives = receives

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.task_name:
            PretrainingTask.registry[cls.task_name] = cls

    @classmethod
    def from_config(cls, config: TaskConfig) -> "PretrainingTask":
        """Builds the task with its options.

        Raises:
            InputError: an option that the task does not have, or a value it refuses.
        """
        known = {
            name: parameter.annotation
            for name, parameter in inspect.signature(cls.__init__).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }
        options = {}
        for option, value in config.options.items():
            if option not in known:
                raise InputError(
                    f"task {config.name!r} has no option {option!r}; "
                    + (f"its options are {', '.join(known)}" if known else "it has none")
                )
            options[option] = as_number(value) if known[option] is float else value
            if not isinstance(options[option], known[option]) or (
                isinstance(value, bool) and known[option] is not bool
            ):
                raise InputError(
                    f"task {config.name!r}: option {option!r} is {value!r}, "
                    f"but must be {type_name(known[option])}"
                )
        return cls(config.name, config.layer, config.weight, config.receives, **options)

    def check_option(self, option: str, value: Any, fits: bool, expected: str) -> None:
        """Raises `InputError` unless `fits`, naming the task, the option and what is expected."""
        if not fits:
            raise InputError(f"task {self.name!r}: option {option!r} is {value!r}, not {expected}")

    def corrupt_pairs(self, pairs: Pairs, seed: tf.Tensor) -> Pairs:
        """Changes which segment follows which; only tasks of stage PAIR do."""
        return pairs

    @abc.abstractmethod
    def corrupt(self, sequences: Sequences, table: TokenTable, seed: tf.Tensor) -> Corruption:
        """Changes the batch and says what is to be predicted.

        Args:
            sequences: the batch as earlier tasks left it.
            table: facts about the vocabulary.
            seed: int32 [2], for this task and this batch alone.
        """

    def features(self) -> tuple[Feature, ...]:
        """Extra inputs of the model that `corrupt` returns."""
        return ()

    @abc.abstractmethod
    def logits(self, head: HeadInputs) -> Any:
        """Builds the head.

        Returns:
            Keras tensor [..., C] (or [..., V]), one distribution for each label.
        """


def project(task: PretrainingTask, head: HeadInputs, vectors: Any) -> Any:
    """Projects vectors [..., H] to logits [..., C]."""
    return keras.layers.Dense(
        task.num_classes,
        kernel_initializer=kernel_initializer(head.seed, "logits"),
        dtype=head.dtype,
        name=f"{task.name}_logits",
    )(vectors)


def classify_pooled(task: PretrainingTask, head: HeadInputs) -> Any:
    """The head of the sequence-level tasks: a projection of the pooled vector [B, H] to [B, C]."""
    if head.logits is not None:
        # The encoder gives them on; `build_tasks` refuses a receiver's head here.
        return head.logits
    return project(task, head, head.receive(head.pooled))
