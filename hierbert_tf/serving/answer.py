"""Questions and contexts to answers, in one graph.

Dimension letters: B examples, W windows, T sequence, D longest answer in tokens.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from hierbert_tf.data.features import ENCODER_FEATURES
from hierbert_tf.errors import InputError
from hierbert_tf.layers.span_mask import MASKED_LOGIT
from hierbert_tf.models.answer_labels import END_BYTE, EXAMPLE, FIRST_BYTE
from hierbert_tf.models.question_answering import HierarchicalBertQuestionAnswering
from hierbert_tf.models.question_texts import ANSWER_END, ANSWER_START, CONTEXT, QUESTION
from hierbert_tf.serving.chunks import WINDOW_TOKENS_AT_ONCE, RowSpec, run_in_chunks
from hierbert_tf.serving.endpoint import (
    ModelEndpoint,
    feature_inputs,
    feature_requests,
    features_of,
    text_inputs,
    text_requests,
)

NULL_SCORE, SCORE = "null_score", "score"
# Places of bytes in a context are below this, so that two of them make one int64.
_PLACES = 1 << 31


class AnswerIds(ModelEndpoint):
    """Windows to span logits.

    Inputs: `token_ids`, `segment_ids`, `padding_mask` int32 [W, T]. Outputs: `answer_start` and
    `answer_end` float32 [W, T].

    Args:
        model: the question-answering model.
    """

    name = "answer_ids"

    def __init__(self, model: HierarchicalBertQuestionAnswering) -> None:
        self.inputs = feature_inputs()
        self._model = model
        self._run = tf.function(self._in_chunks, autograph=False, reduce_retracing=True)

    def __call__(self, *tensors: Any) -> dict[str, tf.Tensor]:
        """Computes logits."""
        return self._run(features_of(tensors))

    def _in_chunks(self, features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        width = tf.shape(features[ENCODER_FEATURES[0].name])[1]

        def logits(some: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            found = self.run(some)
            padded = {}
            for name, value in found.items():
                behind = [[0, 0], [0, width - tf.shape(value)[1]]]
                padded[name] = tf.pad(value, behind, constant_values=MASKED_LOGIT)
            return padded

        names = (ANSWER_START, ANSWER_END)
        return run_in_chunks(
            logits,
            features,
            dict.fromkeys(names, (tf.float32, [width])),
            tokens_at_once=WINDOW_TOKENS_AT_ONCE,
        )

    def requests(self) -> list[dict[str, np.ndarray]]:
        """Small batches."""
        return feature_requests()


class Answer(ModelEndpoint):
    """`question` and `context` string [B] to what the model's `predict` says of them.

    Outputs, all [B]: `answer` string (`""`: no answer, by the model's null threshold); `start` and
    `end` int64, its characters (Unicode code points) in the context (-1: no answer); `score`
    float32 of the best span, minus infinity without one; `null_score` float32 of no answer.

    A long context is cut into overlapping windows, and the best span of all of them is taken, as
    `hierbert_tf.models.answer_extraction` has it. Bytes that are no UTF-8 count as U+FFFD.

    Args:
        model: the question-answering model, with its preprocessor.

    Raises:
        InputError: the model has no preprocessor.

    Reference: Devlin et al., 2019, BERT, sections 4.2 and 4.3.
    """

    name = "answer"

    def __init__(self, model: HierarchicalBertQuestionAnswering) -> None:
        if model.preprocessor is None:
            raise InputError(f"{model.name} has no preprocessor, so it cannot take strings")
        self.inputs = text_inputs(QUESTION, CONTEXT)
        self._model = model
        self._preprocessor = model.preprocessor

    def __call__(self, *tensors: Any) -> dict[str, tf.Tensor]:
        """Makes windows, runs the model on them and merges what it finds."""
        questions, contexts = (
            tf.strings.unicode_transcode(text, "UTF-8", "UTF-8") for text in tensors
        )
        windows = self._preprocessor.windows(questions, contexts)
        # Of a window only these leave its chunk, not its scores of all spans.
        outputs: dict[str, RowSpec] = {
            SCORE: (tf.float32, []),
            NULL_SCORE: (tf.float32, []),
            FIRST_BYTE: (tf.int64, []),
            END_BYTE: (tf.int64, []),
        }
        example = windows.pop(EXAMPLE)
        best = run_in_chunks(
            self._best_spans, windows, outputs, tokens_at_once=WINDOW_TOKENS_AT_ONCE
        )
        return self._merged(contexts, example, best)

    def _best_spans(self, windows: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The best span of each window, the first of equals: score and bytes [W]."""
        features = {feature.name: windows[feature.name] for feature in ENCODER_FEATURES}
        logits = self.run(features)
        starts, ends = logits[ANSWER_START], logits[ANSWER_END]
        rows, length = tf.unstack(tf.shape(starts))
        longest = self._model.max_answer_length
        is_context = windows[FIRST_BYTE] >= 0
        nowhere = tf.constant(-np.inf, tf.float32)
        # The last token of each span that begins at a position: [T, D].
        last = tf.range(length)[:, tf.newaxis] + tf.range(longest)[tf.newaxis]
        inside = last < length
        last = tf.where(inside, last, 0)
        span_ends = tf.gather(tf.where(is_context, ends, nowhere), last, axis=1)  # [W, T, D]
        span_starts = tf.where(is_context, starts, nowhere)[:, :, tf.newaxis]
        scores = tf.where(inside, span_starts + span_ends, nowhere)
        scores = tf.reshape(scores, [rows, length * longest])
        place = tf.argmax(scores, axis=1, output_type=tf.int32)
        first = place // longest
        end = first + place % longest
        picked = {SCORE: (scores, place), FIRST_BYTE: (windows[FIRST_BYTE], first),
                  END_BYTE: (windows[END_BYTE], tf.minimum(end, length - 1))}  # fmt: skip
        found = {
            name: tf.gather(values, places, axis=1, batch_dims=1)
            for name, (values, places) in picked.items()
        }
        return {
            SCORE: found[SCORE],
            NULL_SCORE: starts[:, 0] + ends[:, 0],
            FIRST_BYTE: tf.cast(found[FIRST_BYTE], tf.int64),
            END_BYTE: tf.cast(found[END_BYTE], tf.int64),
        }

    def _merged(
        self, contexts: tf.Tensor, example: tf.Tensor, best: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """The best of each example's windows."""
        examples = tf.size(contexts)
        score = tf.math.unsorted_segment_max(best[SCORE], example, examples)
        # Without a span it is the dtype's lowest number where an example has no window at all, and
        # minus infinity where its windows have no context.
        has_span = score > best[SCORE].dtype.min
        score = tf.where(has_span, score, -np.inf)
        null_score = -tf.math.unsorted_segment_max(-best[NULL_SCORE], example, examples)
        # Of equal scores the first place in the text.
        place = best[FIRST_BYTE] * _PLACES + best[END_BYTE]
        is_best = tf.equal(best[SCORE], tf.gather(score, example))
        place = tf.where(is_best, place, tf.int64.max)
        place = tf.math.unsorted_segment_min(place, example, examples)
        chosen = has_span
        if self._model.null_threshold is not None:
            odds = tf.cast(null_score, tf.float64) - tf.cast(score, tf.float64)
            chosen &= odds <= self._model.null_threshold
        first = tf.where(chosen, place // _PLACES, 0)
        end = tf.where(chosen, place % _PLACES, 0)
        # The character that holds the first byte, and the one behind the last byte.
        start = _characters(contexts, first + 1) - 1
        stop = _characters(contexts, end)
        start, stop = (tf.where(chosen, value, 0) for value in (start, stop))
        answer = tf.strings.substr(contexts, start, stop - start, unit="UTF8_CHAR")
        return {
            "answer": answer,
            "start": tf.where(chosen, tf.cast(start, tf.int64), -1),
            "end": tf.where(chosen, tf.cast(stop, tf.int64), -1),
            SCORE: score,
            NULL_SCORE: null_score,
        }

    def requests(self) -> list[dict[str, np.ndarray]]:
        """One question, a batch of short ones, one on a long context."""
        return text_requests(QUESTION, CONTEXT)


def _characters(texts: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Number of characters that begin in the first `count` bytes: int32 [B]."""
    before = tf.strings.substr(texts, tf.zeros_like(count), count)
    return tf.strings.length(before, unit="UTF8_CHAR")
