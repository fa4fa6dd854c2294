"""A classifier of texts and pairs of texts on any layer of the encoder.

Dimension letters: B batch, T sequence, H hidden, L layers, C classes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import tensorflow as tf
from keras import ops

from hierbert_tf.data.features import PADDING_MASK
from hierbert_tf.errors import InputError
from hierbert_tf.layers.dropout import Dropout
from hierbert_tf.layers.mean_pooler import MeanPooler
from hierbert_tf.layers.pooler import ClsPooler
from hierbert_tf.layers.seeds import derived_seed, kernel_initializer
from hierbert_tf.models.backbone import HierarchicalBertBackbone
from hierbert_tf.models.class_labels import agreed_labels
from hierbert_tf.models.layer_choice import check_positions, chosen_layer
from hierbert_tf.models.preset_folder import preset_folder
from hierbert_tf.models.preset_task import with_precision
from hierbert_tf.models.text_classifier_preprocessor import (
    HierarchicalBertTextClassifierPreprocessor,
)
from hierbert_tf.training.optimizer import AdamW

POOLINGS = ("cls", "mean")


@keras.saving.register_keras_serializable(package="hierbert_tf")
class HierarchicalBertTextClassifier(keras_hub.models.TextClassifier):
    """An encoder with a classification head at a layer of choice.

    With a preprocessor `fit`, `predict` and `evaluate` take strings, or pairs `(first, second)` of
    lists of strings.

    Args:
        backbone: the encoder; its transfers stay at work below the head's layer.
        num_classes: number of classes C.
        labels: names of the classes, saved with the model; None: the preprocessor's, if it has any.
        layer: what the head reads: a layer 0 (the embeddings) .. L, None for L, or `"mix"` for a
            learned mean of all layers.
        pooling: `"cls"`: a dense layer with tanh on [CLS]. It starts from the encoder's pooler at
            that layer, next sentence's if there are several. `"mean"`: the mean over the tokens.
        preprocessor: None: inputs are features.
        activation: of the logits; None: they are logits.
        dropout: rate before the logits.
        seed: seed of the head's initial weights and of its dropout.
        **kwargs: `name` and the like.

    Call arguments:
        inputs: dict of int32 [B, T]: `token_ids`, `segment_ids`, `padding_mask`.

    Returns:
        float32 [B, C], under mixed precision too.

    Raises:
        InputError: a layer, pooling, labels or preprocessor that do not fit.

    Example:

    >>> from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer
    >>> tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad"]
    >>> backbone = HierarchicalBertBackbone(
    ...     len(tokens), num_layers=2, num_heads=2, hidden_dim=4, intermediate_dim=8)
    >>> model = HierarchicalBertTextClassifier(
    ...     backbone, num_classes=2, labels=["negative", "positive"], layer=1,
    ...     preprocessor=HierarchicalBertTextClassifierPreprocessor(
    ...         HierarchicalBertTokenizer(tokens), sequence_length=16))
    >>> [sorted(answer) for answer in model.classify(["good"])]
    [['label', 'probabilities', 'probability']]

    Reference: Devlin et al., 2019, BERT, section 4.1.
    """

    backbone_cls = HierarchicalBertBackbone
    preprocessor_cls = HierarchicalBertTextClassifierPreprocessor

    def __init__(
        self,
        backbone: HierarchicalBertBackbone,
        num_classes: int,
        labels: Sequence[str] | None = None,
        layer: int | str | None = None,
        pooling: str = "cls",
        preprocessor: HierarchicalBertTextClassifierPreprocessor | None = None,
        activation: Any = None,
        dropout: float = 0.1,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        labels = agreed_labels(num_classes, labels, preprocessor)
        if pooling not in POOLINGS:
            raise InputError(f"pooling {pooling!r} is unknown: choose {' or '.join(POOLINGS)}.")
        check_positions(backbone, preprocessor)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        policy = backbone.dtype_policy
        sequence, self.layer_mix = chosen_layer(backbone, layer)
        if pooling == "cls":
            self.pooler = ClsPooler(seed=derived_seed(seed, "pooler"), dtype=policy, name="pooler")
        else:
            self.pooler = MeanPooler(dtype=policy, name="pooler")
        self.output_dropout = Dropout(
            dropout,
            seed=derived_seed(seed, "classifier_dropout"),
            dtype=policy,
            name="classifier_dropout",
        )
        self.output_dense = keras.layers.Dense(
            num_classes,
            activation=activation,
            kernel_initializer=kernel_initializer(seed, "logits"),
            # A softmax over half-precision logits is coarse, and these are few.
            dtype="float32",
            name="logits",
        )

        # === Functional model ===
        if pooling == "cls":
            pooled = self.pooler(sequence)
            _start_from(backbone, backbone.num_layers if layer is None else layer, self.pooler)
        else:
            pooled = self.pooler(sequence, padding_mask=backbone.input[PADDING_MASK])
        logits = self.output_dense(self.output_dropout(pooled))
        # Before the base class's constructor, whose `compile` looks at it.
        self.activation = keras.activations.get(activation)
        super().__init__(inputs=dict(backbone.input), outputs=logits, **kwargs)

        # === Config ===
        self.num_classes = num_classes
        self.labels = labels
        self.layer = layer
        self.pooling = pooling
        self.dropout = dropout
        self.seed = seed

    def compile(
        self,
        optimizer: Any = "auto",
        loss: Any = "auto",
        *,
        metrics: Any = "auto",
        jit_compile: Any = False,
        **kwargs: Any,
    ) -> None:
        """Sets the model up for `fit`; `"auto"` stands for what suits classification.

        Args:
            optimizer: `"auto"`: `AdamW(5e-5)` of this package.
            loss: `"auto"`: sparse categorical cross-entropy.
            metrics: `"auto"`: accuracy.
            jit_compile: as of `keras.Model.compile`; off, since batches differ in length and XLA
                compiles anew for each.
            **kwargs: as of `keras.Model.compile`.
        """
        if optimizer == "auto":
            optimizer = AdamW(5e-5)
        if metrics == "auto":
            metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
        super().compile(
            optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile, **kwargs
        )

    # `tf.data` would turn the error into one of AutoGraph's.
    @tf.autograph.experimental.do_not_convert
    def preprocess_samples(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Prepares what `fit`, `predict` and `evaluate` were given.

        Raises:
            InputError: strings, and the model has no preprocessor.
        """
        if self.preprocessor is None and _has_strings(x):
            raise InputError(
                f"{type(self).__name__} {self.name!r} was given strings but has no preprocessor: "
                "make it with preprocessor=, or give token_ids, segment_ids and padding_mask."
            )
        return super().preprocess_samples(x, y, sample_weight)

    def classify(self, texts: Any, batch_size: int = 32) -> list[dict[str, Any]]:
        """Says for each text what it is.

        Args:
            texts: list of strings, or a pair `(first, second)` of lists of strings.
            batch_size: texts at once.

        Returns:
            For each text `label` (name, or number if the model has no names), `probability`, and
            `probabilities` of all labels by label.

        Raises:
            InputError: the model has no preprocessor.
        """
        if self.preprocessor is None:
            raise InputError(f"{type(self).__name__} {self.name!r} has no preprocessor for texts.")
        columns = texts if isinstance(texts, tuple) else (texts,)
        if isinstance(columns[0], str):
            raise InputError("classify takes a list of texts; put the one text into a list.")
        if len(columns[0]) == 0:
            return []
        outputs = self.predict(texts, batch_size=batch_size, verbose=0)
        names: Sequence[Any] = self.labels or range(self.num_classes)
        return [
            {
                "label": names[int(row.argmax())],
                "probability": float(row.max()),
                "probabilities": dict(zip(names, row.tolist(), strict=True)),
            }
            for row in self._probabilities(outputs)
        ]

    def _probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs [B, C] to probabilities [B, C]."""
        if self.activation is keras.activations.softmax:
            return outputs
        return ops.convert_to_numpy(ops.softmax(outputs, axis=-1))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "labels": None if self.labels is None else list(self.labels),
            "layer": self.layer,
            "pooling": self.pooling,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "seed": self.seed,
        }

    @classmethod
    def from_preset(
        cls, preset: str | Path, load_weights: bool = True, **kwargs: Any
    ) -> "HierarchicalBertTextClassifier":
        """Loads a fine-tuned classifier, or puts a new head on a pre-trained encoder.

        Args:
            preset: a preset's folder or address, or a pre-training run.
            load_weights: False: architecture and vocabulary alone.
            **kwargs: with `num_classes` or `labels` the head is new; other arguments of the
                constructor, and `dtype` of the encoder.

        Raises:
            InputError: there is no preset, no tokenizer, or no head and neither `num_classes` nor
                `labels`.
        """
        folder = preset_folder(preset, needs_tokenizer="preprocessor" not in kwargs)
        if kwargs.get("labels") is not None:
            kwargs.setdefault("num_classes", len(kwargs["labels"]))
        if "num_classes" in kwargs:
            # Made here, so that the head can start from the encoder's weights, and so that the
            # names of a fine-tuned preset's classes do not stay with the new head.
            kwargs.setdefault("labels", None)
            if "preprocessor" not in kwargs:
                kwargs["preprocessor"] = cls.preprocessor_cls.from_preset(
                    folder, labels=kwargs["labels"]
                )
            if "backbone" not in kwargs:
                kwargs["backbone"] = cls.backbone_cls.from_preset(
                    folder, load_weights=load_weights, dtype=kwargs.pop("dtype", None)
                )
            return cls(**kwargs)
        if Path(folder).is_dir() and not (Path(folder) / "task.json").is_file():
            raise InputError(
                f"{folder} is an encoder without a classifier: give num_classes= or labels=."
            )
        return super().from_preset(folder, load_weights, **with_precision(folder, kwargs))


def _has_strings(x: Any) -> bool:
    leaves = keras.tree.flatten(x)
    return any(
        isinstance(leaf, str) or getattr(leaf, "dtype", None) == tf.string for leaf in leaves
    )


def _start_from(backbone: HierarchicalBertBackbone, layer: int | str, pooler: ClsPooler) -> None:
    """Gives the pooler the weights of the encoder's pooler at its layer, if there is one."""
    names = [name for name, place in backbone.poolers.items() if place == layer]
    if names:
        name = "next_sentence" if "next_sentence" in names else names[0]
        source = backbone.get_layer(f"{name}_pooler")
        pooler.set_weights([ops.convert_to_numpy(weight) for weight in source.weights])
