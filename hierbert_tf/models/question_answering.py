"""Extractive question answering on any layer of the encoder.

Dimension letters: B examples, W windows, T sequence, L layers.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from hierbert_tf.data.features import SEGMENT_IDS, TOKEN_IDS
from hierbert_tf.errors import InputError
from hierbert_tf.layers.dropout import Dropout
from hierbert_tf.layers.seeds import derived_seed, kernel_initializer
from hierbert_tf.layers.span_mask import SpanMask
from hierbert_tf.models.answer_extraction import ExtractedAnswers
from hierbert_tf.models.answer_questions import answer_arrays, answer_questions
from hierbert_tf.models.backbone import HierarchicalBertBackbone
from hierbert_tf.models.layer_choice import check_positions, chosen_layer
from hierbert_tf.models.preset_folder import preset_folder
from hierbert_tf.models.preset_task import preset_has_task, with_precision
from hierbert_tf.models.question_answering_preprocessor import (
    HierarchicalBertQuestionAnsweringPreprocessor,
)
from hierbert_tf.models.question_texts import (
    ANSWER_END,
    ANSWER_START,
    ANSWER_TEXT,
    CONTEXT,
    as_strings,
    check_answers,
    questions_and_contexts,
)
from hierbert_tf.training.losses import GlobalMeanCrossEntropy
from hierbert_tf.training.optimizer import AdamW


@keras.saving.register_keras_serializable(package="hierbert_tf")
class HierarchicalBertQuestionAnswering(keras_hub.models.Task):
    """An encoder that points at the answer's first and last token in a context.

    With a preprocessor `fit`, `evaluate` and `predict` take texts of any length,
    `{"question": strings [B], "context": strings [B]}`; features that it made before, too.

    Args:
        backbone: the encoder; its transfers stay at work below the head's layer.
        layer: what the head reads: a layer 0 (the embeddings) .. L, None for L, or `"mix"` for a
            learned mean of all layers.
        preprocessor: None: inputs are features, and `answer` is not there.
        dropout: rate before the logits.
        max_answer_length: longest answer, in tokens.
        null_threshold: "no answer" where the null odds are above it; None: always answer. May be
            set later; saved with the model.
        seed: seed of the head's initial weights and of its dropout.
        **kwargs: `name` and the like.

    Call arguments:
        inputs: dict of int32 [W, T]: `token_ids`, `segment_ids`, `padding_mask`.

    Returns:
        Dict of float32 [W, T], `answer_start` and `answer_end`: logits of the answer's first and
        last token, -1e9 where neither a context token nor [CLS] ("no answer") stands.

    Raises:
        InputError: a layer or preprocessor that does not fit.

    Example:

    >>> from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer
    >>> entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "who", "sleeps", "cats"]
    >>> backbone = HierarchicalBertBackbone(
    ...     len(entries), num_layers=2, num_heads=2, hidden_dim=4, intermediate_dim=8)
    >>> model = HierarchicalBertQuestionAnswering(
    ...     backbone, max_answer_length=1,
    ...     preprocessor=HierarchicalBertQuestionAnsweringPreprocessor(
    ...         HierarchicalBertTokenizer(entries), sequence_length=16, stride=8,
    ...         max_question_length=4))
    >>> answers = model.predict({"question": ["Who?"], "context": ["Cats."]}, verbose=0)
    >>> sorted(answers), answers["answer"][0] in ("Cats", ".")
    (['answer', 'end', 'null_score', 'score', 'start'], True)

    Reference: Devlin et al., 2019, BERT, sections 4.2 and 4.3.
    """

    backbone_cls = HierarchicalBertBackbone
    preprocessor_cls = HierarchicalBertQuestionAnsweringPreprocessor

    def __init__(
        self,
        backbone: HierarchicalBertBackbone,
        layer: int | str | None = None,
        preprocessor: HierarchicalBertQuestionAnsweringPreprocessor | None = None,
        dropout: float = 0.1,
        max_answer_length: int = 30,
        null_threshold: float | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        if max_answer_length < 1:
            raise InputError(f"max_answer_length is {max_answer_length}: give at least 1 token.")
        check_positions(backbone, preprocessor)

        # === Layers ===
        self.backbone, self.preprocessor = backbone, preprocessor
        sequence, self.layer_mix = chosen_layer(backbone, layer)
        own = {"dtype": backbone.dtype_policy, "name": "span_dropout"}
        self.output_dropout = Dropout(dropout, seed=derived_seed(seed, "span_dropout"), **own)
        kernel = kernel_initializer(seed, "span_logits")
        self.output_dense = keras.layers.Dense(
            2, kernel_initializer=kernel, dtype="float32", name="span_logits"
        )
        self.span_mask = SpanMask(name="span_mask")

        # === Functional model ===
        logits = self.output_dense(self.output_dropout(sequence))
        starts, ends = self.span_mask(logits, segment_ids=backbone.input[SEGMENT_IDS])
        super().__init__(
            inputs=dict(backbone.input), outputs={ANSWER_START: starts, ANSWER_END: ends}, **kwargs
        )

        # === Config ===
        self.layer = layer
        self.dropout = dropout
        self.max_answer_length = max_answer_length
        self.null_threshold = null_threshold
        self.seed = seed

    def compile(
        self,
        optimizer: Any = "auto",
        loss: Any = "auto",
        *,
        loss_weights: Any = "auto",
        weighted_metrics: Any = "auto",
        jit_compile: Any = False,
        **kwargs: Any,
    ) -> None:
        """Sets the model up for `fit`; `"auto"` stands for what suits question answering.

        Args:
            optimizer: `"auto"`: `AdamW(5e-5)` of this package.
            loss: `"auto"`: cross-entropy of the first and of the last token.
            loss_weights: `"auto"`: the two losses' mean, as in BERT.
            weighted_metrics: `"auto"`: accuracy of the first and of the last token in a window.
            jit_compile: off, since batches differ in length and XLA compiles anew for each.
            **kwargs: as of `keras.Model.compile`.
        """
        names = (ANSWER_START, ANSWER_END)
        optimizer = AdamW(5e-5) if optimizer == "auto" else optimizer
        if loss == "auto":
            loss = {name: GlobalMeanCrossEntropy() for name in names}
        if loss_weights == "auto":
            loss_weights = dict.fromkeys(names, 0.5)
        if weighted_metrics == "auto":
            accuracy = keras.metrics.SparseCategoricalAccuracy
            weighted_metrics = {name: [accuracy("accuracy")] for name in names}
        super().compile(
            optimizer=optimizer,
            loss=loss,
            loss_weights=loss_weights,
            weighted_metrics=weighted_metrics,
            jit_compile=jit_compile,
            **kwargs,
        )

    # Else AutoGraph, which none of it needs, wraps an `InputError` inside a dataset into its own.
    @tf.autograph.experimental.do_not_convert
    def preprocess_samples(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Makes windows of strings; features pass through."""
        if isinstance(x, Mapping) and TOKEN_IDS in x:
            return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
        return self._for_strings()(x, y=y, sample_weight=sample_weight)

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """Trains as `keras.Model.fit` does.

        Args:
            x: texts, or features; or a dataset of batches `(x, y)`.
            y: dict of `answer_start` (characters) and `answer_text`, `""` for no answer.
            **kwargs: as of `keras.Model.fit`.

        Raises:
            InputError: an answer does not stand at its start (in a dataset it gets weight 0).
        """
        if isinstance(x, Mapping) and CONTEXT in x and isinstance(y, Mapping) and ANSWER_TEXT in y:
            starts = np.ravel(y[ANSWER_START]).tolist()
            check_answers(as_strings(x[CONTEXT]), starts, as_strings(y[ANSWER_TEXT]))
        return super().fit(x, y, **kwargs)

    def predict(
        self, x: Any = None, batch_size: int | None = None, verbose: Any = "auto", **kwargs: Any
    ) -> dict[str, np.ndarray]:
        """Answers questions; of features, the logits.

        Args:
            x: texts, or a dataset of batches of them; or features.
            batch_size: questions, and windows, at once; 32 if None.
            verbose: 0 for no progress bar.
            **kwargs: with features, as of `keras.Model.predict`.

        Returns:
            For texts, arrays [B]: `answer` (`""`: no answer, by `null_threshold`); `start` and
            `end`, its characters in the context (-1: no answer); `score` of the best span and
            `null_score` of no answer.

        Raises:
            InputError: texts without a preprocessor, or in another form.
        """
        texts = questions_and_contexts(x)
        if texts is None:
            return super().predict(x, batch_size=batch_size, verbose=verbose, **kwargs)
        if kwargs:
            raise InputError(f"predict takes no {', '.join(kwargs)} with strings.")
        answers = self.answer(*texts, batch_size=batch_size or 32, verbose=verbose)
        return answer_arrays(answers, self.null_threshold)

    def answer(
        self,
        questions: Sequence[str],
        contexts: Sequence[str],
        n_best: int = 1,
        batch_size: int = 32,
        verbose: Any = 0,
    ) -> list[ExtractedAnswers]:
        """The best answers to each question, whatever `null_threshold` says.

        Args:
            questions: B questions.
            contexts: their B contexts.
            n_best: candidates of each.
            batch_size: questions, and windows, at once.
            verbose: 0 for no progress bar.

        Returns:
            B of them; probabilities are among the 20 best, or `n_best` if more.

        Raises:
            InputError: no preprocessor, or not as many contexts as questions.
        """
        self._for_strings()
        texts = as_strings(questions), as_strings(contexts)
        return answer_questions(self, *texts, n_best=n_best, batch_size=batch_size, verbose=verbose)

    def _for_strings(self) -> Any:
        if self.preprocessor is None:
            raise InputError(
                f"{type(self).__name__} {self.name!r} was given strings but has no preprocessor: "
                "make it with preprocessor=, or give token_ids, segment_ids and padding_mask."
            )
        return self.preprocessor

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "layer": self.layer,
            "dropout": self.dropout,
            "max_answer_length": self.max_answer_length,
            "null_threshold": self.null_threshold,
            "seed": self.seed,
        }

    @classmethod
    def from_preset(
        cls, preset: str | Path, load_weights: bool = True, **kwargs: Any
    ) -> "HierarchicalBertQuestionAnswering":
        """Loads a fine-tuned model, or puts a new head on a pre-trained encoder.

        Args:
            preset: a preset's folder or address, or a pre-training run.
            load_weights: False: architecture and vocabulary alone.
            **kwargs: of the constructor, and `dtype` of the encoder. Without `preprocessor` a new
                head's windows are as long as the encoder's positions, at most 384.

        Raises:
            InputError: no preset, or no tokenizer.
        """
        folder = preset_folder(preset, needs_tokenizer="preprocessor" not in kwargs)
        if not Path(folder).is_dir() or preset_has_task(folder, cls):
            return super().from_preset(folder, load_weights, **with_precision(folder, kwargs))
        if "backbone" not in kwargs:
            kwargs["backbone"] = cls.backbone_cls.from_preset(
                folder, load_weights=load_weights, dtype=kwargs.pop("dtype", None)
            )
        if "preprocessor" not in kwargs:
            kwargs["preprocessor"] = cls.preprocessor_cls.for_positions(
                cls.preprocessor_cls.tokenizer_cls.from_preset(folder),
                kwargs["backbone"].max_sequence_length,
            )
        return cls(**kwargs)
