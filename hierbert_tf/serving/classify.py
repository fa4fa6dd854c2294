"""Classes of texts and of pairs of texts.

Dimension letters: B batch, T sequence, C classes.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hierbert_tf.errors import InputError
from hierbert_tf.models.text_classifier import HierarchicalBertTextClassifier
from hierbert_tf.serving.chunks import run_in_chunks
from hierbert_tf.serving.embed import TEXT
from hierbert_tf.serving.endpoint import (
    CLASSIFY,
    Endpoint,
    ModelEndpoint,
    feature_inputs,
    feature_requests,
    features_of,
    in_order,
    text_inputs,
    text_requests,
)

TEXT_PAIR = "text_pair"
OUTPUTS = "outputs"


class ClassifyIds(ModelEndpoint):
    """Features to classes.

    Inputs: `token_ids`, `segment_ids`, `padding_mask` int32 [B, T]. Outputs: `probabilities` and
    `logits` float32 [B, C]; `labels` string [B, C], the classes' names in that order; `label`
    string [B], the most probable; `margin` float32 [B], its probability less the next one's.

    Args:
        model: the classifier; without labels the classes are called by their numbers.
    """

    name = "classify_ids"

    def __init__(self, model: HierarchicalBertTextClassifier) -> None:
        self.inputs = feature_inputs()
        self.labels = tuple(model.labels or map(str, range(model.num_classes)))
        self._model = model
        self._run = tf.function(self._in_chunks, autograph=False, reduce_retracing=True)

    def __call__(self, *tensors: Any) -> dict[str, tf.Tensor]:
        """Classifies features."""
        return self._run(features_of(tensors))

    def _in_chunks(self, features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        count = len(self.labels)
        found = run_in_chunks(self._outputs, features, {OUTPUTS: (tf.float32, [count])})[OUTPUTS]
        if self._model.activation is keras.activations.softmax:
            # Logits are known but for a constant.
            probabilities, logits = found, tf.math.log(found)
        else:
            probabilities, logits = tf.nn.softmax(found), found
        names = tf.constant(self.labels)
        best = tf.math.top_k(probabilities, 2).values
        return {
            "probabilities": probabilities,
            "logits": logits,
            "labels": tf.repeat(names[tf.newaxis], tf.shape(found)[0], axis=0),
            "label": tf.gather(names, tf.argmax(found, axis=1)),
            "margin": best[:, 0] - best[:, 1],
        }

    def _outputs(self, features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {OUTPUTS: self.run(features)}

    def requests(self) -> list[dict[str, np.ndarray]]:
        """Small batches."""
        return feature_requests()


class Classify(Endpoint):
    """`text` string [B], and `text_pair` for a model of pairs, to the outputs of `ClassifyIds`.

    Args:
        classify_ids: the model's part.
        model: has the preprocessor.
        text_fields: 1 or 2 texts an example.

    Raises:
        InputError: the model has no preprocessor, or another number of texts is asked for.
    """

    name = "classify"

    def __init__(
        self,
        classify_ids: ClassifyIds,
        model: HierarchicalBertTextClassifier,
        text_fields: int,
    ) -> None:
        if model.preprocessor is None:
            raise InputError(f"{model.name} has no preprocessor, so it cannot take strings")
        if text_fields not in (1, 2):
            raise InputError(f"text_fields is {text_fields}; a classifier reads 1 or 2 texts")
        self.fields = (TEXT, TEXT_PAIR)[:text_fields]
        self.inputs = text_inputs(*self.fields)
        self._classify_ids = classify_ids
        self._preprocessor = model.preprocessor

    def __call__(self, *tensors: Any) -> dict[str, tf.Tensor]:
        """Tokenises and classifies."""
        texts = tensors if len(tensors) > 1 else tensors[0]
        return self._classify_ids(*in_order(self._preprocessor(texts)))

    def requests(self) -> list[dict[str, np.ndarray]]:
        """One example, a batch of short ones, a long one."""
        return text_requests(*self.fields)


class ClassifyExamples(Endpoint):
    """The server's Classify method: `tf.train.Example`s to classes and scores.

    Input: `inputs` string [B], serialised examples with one string in `text`, and in `text_pair`
    for a model of pairs; an absent one is empty. Outputs: `classes` string and `scores` float32
    [B, C], probabilities.

    Args:
        classify: the same for tensors of strings.
    """

    name = "classify_examples"
    method = CLASSIFY

    def __init__(self, classify: Classify) -> None:
        self.inputs = text_inputs("inputs")
        self._classify = classify

    def __call__(self, *tensors: Any) -> dict[str, tf.Tensor]:
        """Parses and classifies."""
        (inputs,) = tensors
        absent = tf.io.FixedLenFeature([], tf.string, default_value="")
        texts = tf.io.parse_example(inputs, dict.fromkeys(self._classify.fields, absent))
        found = self._classify(*(texts[name] for name in self._classify.fields))
        return {"classes": found["labels"], "scores": found["probabilities"]}

    def requests(self) -> list[dict[str, np.ndarray]]:
        """The requests of `classify`, as examples."""
        return [
            {
                "inputs": np.array(
                    [self._example(row) for row in zip(*texts.values(), strict=True)], object
                )
            }
            for texts in self._classify.requests()
        ]

    def _example(self, texts: tuple[bytes, ...]) -> bytes:
        features = {
            name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text]))
            for name, text in zip(self._classify.fields, texts, strict=True)
        }
        return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
