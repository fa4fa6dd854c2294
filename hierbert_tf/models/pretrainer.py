"""The pre-training model: one encoder, a head for each task at the task's layer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import keras
import keras_hub

from hierbert_tf.config import EncoderConfig, ReceivesConfig, TaskConfig
from hierbert_tf.layers.seeds import derived_seed
from hierbert_tf.layers.transfer import Transfer
from hierbert_tf.models.backbone import HierarchicalBertBackbone
from hierbert_tf.tasks import PretrainingTask, build_tasks
from hierbert_tf.tasks.task import HeadInputs
from hierbert_tf.training.losses import GlobalMeanCrossEntropy
from hierbert_tf.training.optimizer import AdamW


@keras.saving.register_keras_serializable(package="hierbert_tf")
class HierarchicalBertPretrainer(keras_hub.models.Task):
    """An encoder with the heads of its pre-training tasks.

    Use `build_pretrainer` to make encoder and heads from a recipe's settings.

    Args:
        backbone: has a pooler of a task's name for each task that reads [CLS], and the transfers
            into its blocks.
        tasks: `TaskConfig`s, or dicts of their fields.
        seed: seed of the heads' initial weights.
        preprocessor: None; batches come from `hierbert_tf.data.pipeline.PretrainingData`.
        **kwargs: `name` and the like.

    Call arguments:
        inputs: dict of int32: `token_ids`, `segment_ids`, `padding_mask` [B, T] and each task's
            own, such as `masked_lm_positions` [B, P].

    Returns:
        Dict of logits by task name: [B, C], [B, T, C] or [B, P, V].

    Raises:
        InputError: tasks that do not fit each other or the encoder.

    Example:

    >>> import numpy as np
    >>> model = build_pretrainer(
    ...     EncoderConfig(layers=2, hidden=4, heads=2, positions=8),
    ...     [TaskConfig("next_sentence", 1), TaskConfig("masked_lm", 2)],
    ...     vocabulary_size=20, seed=1)
    >>> ids = np.array([[2, 7, 4, 3]], "int32")
    >>> logits = model({"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": 0 * ids + 1,
    ...                 "masked_lm_positions": np.array([[2]], "int32")})
    >>> {name: tuple(value.shape) for name, value in sorted(logits.items())}
    {'masked_lm': (1, 1, 20), 'next_sentence': (1, 2)}
    """

    backbone_cls = HierarchicalBertBackbone

    def __init__(
        self,
        backbone: HierarchicalBertBackbone,
        tasks: Sequence[TaskConfig | Mapping[str, Any]],
        seed: int = 0,
        preprocessor: Any = None,
        **kwargs: Any,
    ) -> None:
        configs = [_task_config(task) for task in tasks]
        built = build_tasks(configs, backbone.num_layers)

        # === Functional model ===
        inputs = dict(backbone.input)
        for task in built:
            for feature in task.features():
                inputs[feature.name] = keras.Input(
                    shape=(None,) * (len(feature.shape) - 1), dtype=feature.dtype, name=feature.name
                )
        heads = _Heads(backbone, built, inputs, seed)
        logits = {task.name: heads.logits(task) for task in built}
        # Before the base class's constructor, which compiles the model with them.
        self.task_configs = tuple(configs)
        self.backbone = backbone
        super().__init__(inputs=inputs, outputs=logits, **kwargs)

        # === Config ===
        self.preprocessor = preprocessor
        self.seed = seed

    def compile(
        self,
        optimizer: Any = "auto",
        loss: Any = "auto",
        *,
        loss_weights: Any = "auto",
        weighted_metrics: Any = "auto",
        **kwargs: Any,
    ) -> None:
        """Sets the model up for `fit`; `"auto"` stands for the tasks' own.

        Args:
            optimizer: `"auto"`: `AdamW(1e-4)` of this package.
            loss: `"auto"`: each task's cross-entropy, averaged over its labelled items.
            loss_weights: `"auto"`: the tasks' weights.
            weighted_metrics: `"auto"`: each task's accuracy over its labelled items.
            **kwargs: as of `keras.Model.compile`.
        """
        names = [config.name for config in self.task_configs]
        if optimizer == "auto":
            optimizer = AdamW(1e-4)
        if loss == "auto":
            loss = {name: GlobalMeanCrossEntropy() for name in names}
        if loss_weights == "auto":
            loss_weights = {config.name: config.weight for config in self.task_configs}
        if weighted_metrics == "auto":
            weighted_metrics = {
                name: [keras.metrics.SparseCategoricalAccuracy(name="accuracy")] for name in names
            }
        super().compile(
            optimizer=optimizer,
            loss=loss,
            loss_weights=loss_weights,
            weighted_metrics=weighted_metrics,
            **kwargs,
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "tasks": [asdict(config) for config in self.task_configs],
            "seed": self.seed,
        }


def _task_config(task: TaskConfig | Mapping[str, Any]) -> TaskConfig:
    if isinstance(task, TaskConfig):
        return task
    receives = task.get("receives")
    return TaskConfig(**{**task, "receives": receives and ReceivesConfig(**receives)})


class _Heads:
    """Builds each task's head once, a giving task's before its receiver asks for the logits."""

    def __init__(
        self,
        backbone: HierarchicalBertBackbone,
        tasks: Sequence[PretrainingTask],
        inputs: dict[str, Any],
        seed: int,
    ) -> None:
        self.backbone = backbone
        self.tasks = {task.name: task for task in tasks}
        self.inputs = inputs
        self.seed = seed
        self.built: dict[str, Any] = {}

    def logits(self, task: PretrainingTask) -> Any:
        """Keras tensor [..., C] (or [..., V])."""
        if task.name not in self.built:
            outputs = self.backbone.output
            self.built[task.name] = task.logits(
                HeadInputs(
                    sequence=outputs[f"layer_{task.layer}"],
                    pooled=outputs.get(f"{task.name}_pooled"),
                    logits=outputs.get(f"{task.name}_logits"),
                    features=self.inputs,
                    receive=lambda vectors: self._receive(task, vectors),
                    token_embedding=self.backbone.token_embedding,
                    seed=derived_seed(self.seed, task.name),
                    dtype=self.backbone.dtype_policy,
                )
            )
        return self.built[task.name]

    def _receive(self, task: PretrainingTask, vectors: Any) -> Any:
        """Adds to vectors [B, H] or [B, N, H] what `task` receives into its head."""
        transfer = task.receives
        if transfer is None or transfer.into != "head":
            return vectors
        source = self.tasks[transfer.source]
        by_label = transfer.by == "label_embedding"
        given = self.logits(source) if by_label else self.backbone.output[f"{source.name}_pooled"]
        name = f"{task.name}_receives_{source.name}"
        layer = Transfer(
            transfer.by,
            num_classes=source.num_classes if by_label else None,
            stop_gradient=transfer.stop_gradient,
            seed=derived_seed(self.seed, name),
            dtype=self.backbone.dtype_policy,
            name=name,
        )
        if len(vectors.shape) == 3:
            return layer(vectors, vector=given)
        one_position = keras.ops.expand_dims(vectors, 1)  # [B, 1, H]
        return keras.ops.squeeze(layer(one_position, vector=given), 1)


def build_pretrainer(
    encoder: EncoderConfig,
    tasks: Sequence[TaskConfig],
    vocabulary_size: int,
    seed: int,
    dtype: Any = None,
) -> HierarchicalBertPretrainer:
    """Makes the encoder with what the tasks need of it, and the heads.

    Args:
        encoder: shape of the encoder.
        tasks: the recipe's tasks.
        vocabulary_size: V.
        seed: the run's seed; the initial weights derive from it.
        dtype: dtype policy, such as `"mixed_bfloat16"`; None: Keras' global one.

    Returns:
        The model, not compiled.

    Raises:
        InputError: tasks that do not fit each other or the encoder.
    """
    built = build_tasks(tasks, encoder.layers)
    by_name = {task.name: task for task in built}
    transfers: dict[str, dict[str, Any]] = {}
    for task in built:
        if task.receives and task.receives.into == "block":
            source = by_name[task.receives.source]
            # The stream is one: what enters a block, every task above it receives.
            transfers[source.name] = {
                "source": source.name,
                "by": task.receives.by,
                "stop_gradient": task.receives.stop_gradient,
                "num_classes": (
                    source.num_classes if task.receives.by == "label_embedding" else None
                ),
            }
    backbone = HierarchicalBertBackbone(
        vocabulary_size=vocabulary_size,
        num_layers=encoder.layers,
        num_heads=encoder.heads,
        hidden_dim=encoder.hidden,
        intermediate_dim=encoder.intermediate or 4 * encoder.hidden,
        dropout=encoder.dropout,
        attention_dropout=encoder.attention_dropout,
        max_sequence_length=encoder.positions,
        poolers={task.name: task.layer for task in built if task.pools},
        transfers=list(transfers.values()),
        seed=seed,
        dtype=dtype,
    )
    return HierarchicalBertPretrainer(backbone, tasks, seed=seed, compile=False)
