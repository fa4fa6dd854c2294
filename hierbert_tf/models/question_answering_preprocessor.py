"""Questions and contexts to windows of ids, and answers to token positions in them.

Dimension letters: B examples, W windows, T sequence.
"""

from collections.abc import Mapping
from typing import Any

import keras
import keras_hub
import tensorflow as tf

from hierbert_tf.data.features import PADDING_MASK, SEGMENT_IDS, TOKEN_IDS
from hierbert_tf.errors import InputError
from hierbert_tf.models.answer_labels import (
    END_BYTE,
    EXAMPLE,
    FIRST_BYTE,
    answer_bytes,
    answer_labels,
)
from hierbert_tf.models.backbone import HierarchicalBertBackbone
from hierbert_tf.models.question_texts import ANSWER_START, ANSWER_TEXT, CONTEXT, QUESTION
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer

# [CLS] question [SEP] context [SEP]
_SPECIAL_TOKENS = 3


@keras.saving.register_keras_serializable(package="hierbert_tf")
class HierarchicalBertQuestionAnsweringPreprocessor(keras_hub.models.Preprocessor):
    """Cuts each context into overlapping windows, each with its question before it.

    A window is `[CLS] question [SEP] piece of the context [SEP]`. A context that fits is one
    window; of a longer one, windows start every `stride` tokens, and the last ends where the
    context ends: every context token is in at least one. Each call gives W >= B windows, in the
    order of the examples. Graph ops only, for `tf.data` and exports.

    Args:
        tokenizer: the encoder's.
        sequence_length: longest window T in tokens.
        stride: tokens from one window's start to the next one's, as in BERT's `run_squad` (some
            libraries call the *overlap* stride).
        max_question_length: a question is cut to so many tokens.
        length_multiple: the windows of a call are padded to the smallest multiple of this that
            holds the longest of them; 0: to `sequence_length`.
        **kwargs: `name` and the like.

    Call arguments:
        x: dict of strings [B], `question` and `context`.
        y: dict of `answer_start` int [B], in characters (Unicode code points) of the context, and
            `answer_text` strings [B], `""` where there is no answer.
        sample_weight: float [B].

    Returns:
        Features, or with `y` (features, labels, weights). Features: int32 [W, T] `token_ids`,
        `segment_ids`, `padding_mask`. Labels: int32 [W] `answer_start` and `answer_end`, the
        answer's first and last token in the window, both 0 ([CLS]) where the window does not hold
        the whole answer. A token that the answer holds only a part of is the answer's.
        Weights: float32 [W], the example's; 0 where the answer does not stand at its start
        or has no token, so that nothing wrong is learnt.

    Raises:
        InputError: settings that leave no room for the context or would skip tokens; inputs
            without the names above, or of different numbers.

    Example:

    >>> entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "who", "a", "b", "c", "d", "e"]
    >>> preprocessor = HierarchicalBertQuestionAnsweringPreprocessor(
    ...     HierarchicalBertTokenizer(entries), sequence_length=7, stride=2, max_question_length=1,
    ...     length_multiple=0)
    >>> features, labels, weights = preprocessor(
    ...     {"question": ["Who?"], "context": ["a b c d e"]},
    ...     {"answer_start": [6], "answer_text": ["d e"]})
    >>> features["token_ids"].numpy().tolist()
    [[2, 5, 3, 6, 7, 8, 3], [2, 5, 3, 8, 9, 10, 3]]
    >>> labels["answer_start"].numpy().tolist(), labels["answer_end"].numpy().tolist()
    ([0, 4], [0, 5])

    Reference: Devlin et al., 2019, BERT, section 4.2.
    """

    backbone_cls = HierarchicalBertBackbone
    tokenizer_cls = HierarchicalBertTokenizer

    def __init__(
        self,
        tokenizer: HierarchicalBertTokenizer,
        sequence_length: int = 384,
        stride: int = 128,
        max_question_length: int = 64,
        length_multiple: int = 16,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _validate(sequence_length, stride, max_question_length, length_multiple)
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length
        self.stride = stride
        self.max_question_length = max_question_length
        self.length_multiple = length_multiple
        self.built = True

    @classmethod
    def for_positions(
        cls, tokenizer: HierarchicalBertTokenizer, positions: int
    ) -> "HierarchicalBertQuestionAnsweringPreprocessor":
        """One with BERT's settings, or the like for an encoder with fewer positions than those."""
        length = min(384, positions)
        question = min(64, length // 4)
        stride = min(128, max(1, (length - _SPECIAL_TOKENS - question) // 2))
        return cls(tokenizer, length, stride, question)

    def call(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Makes the windows of a batch, and their labels where there are answers."""
        with tf.device("cpu"):  # strings are there, whatever the model runs on
            questions, contexts = _texts(x)
            windows = self.windows(questions, contexts)
            features = {name: windows[name] for name in (TOKEN_IDS, SEGMENT_IDS, PADDING_MASK)}
            if y is None:
                return features
            start, text = _answers(y)
            first_byte, end_byte, stands = answer_bytes(contexts, start, text)
            labels, has_token = answer_labels(windows, first_byte, end_byte)
            # An answer of invisible characters only has no token to be a label.
            weights = tf.cast(stands & (has_token | tf.equal(text, "")), tf.float32)
            if sample_weight is not None:
                weights *= tf.reshape(tf.cast(sample_weight, tf.float32), [-1])
            return features, labels, tf.gather(weights, windows[EXAMPLE])

    def windows(self, questions: Any, contexts: Any) -> dict[str, tf.Tensor]:
        """Windows, and where in the contexts their tokens stand.

        Args:
            questions: strings [B], or one.
            contexts: strings [B], or one.

        Returns:
            int32 tensors: the features [W, T] of a call; `example` [W], each window's example, in
            order; `first_byte` and `end_byte` (one past the last) [W, T], each token's bytes in its
            context as UTF-8, -1 where no context token stands.
        """
        questions, contexts = _texts({QUESTION: questions, CONTEXT: contexts})
        with tf.device("cpu"):
            question = self.tokenizer.tokenize(questions)[:, : self.max_question_length]
            context, starts, ends = self.tokenizer.tokenize_with_offsets(contexts)
            return self._windows(
                tf.cast(question, tf.int32), tf.cast(context, tf.int32), starts, ends
            )

    def _windows(
        self,
        question: tf.RaggedTensor,
        context: tf.RaggedTensor,
        starts: tf.RaggedTensor,
        ends: tf.RaggedTensor,
    ) -> dict[str, tf.Tensor]:
        asked = tf.cast(question.row_lengths(), tf.int32)  # [B]
        tokens = tf.cast(context.row_lengths(), tf.int32)
        room = self.sequence_length - _SPECIAL_TOKENS - asked
        further = tf.maximum(tokens - room, 0)
        counts = 1 + (further + self.stride - 1) // self.stride
        example = tf.repeat(tf.range(tf.size(counts)), counts)  # [W]
        number = tf.range(tf.size(example)) - tf.gather(tf.cumsum(counts, exclusive=True), example)
        begin = number * self.stride
        asked, tokens, room = (tf.gather(values, example) for values in (asked, tokens, room))
        length = tf.minimum(tokens - begin, room)

        position = tf.range(self._width(asked + length + _SPECIAL_TOKENS))[tf.newaxis, :]  # [1, T]
        asked, length, begin = (
            values[:, tf.newaxis] for values in (asked, length, begin)
        )  # [W, 1]
        piece_start = asked + 2
        piece_end = piece_start + length
        in_question = (position > 0) & (position <= asked)
        in_context = (position >= piece_start) & (position < piece_end)
        is_sep = tf.equal(position, asked + 1) | tf.equal(position, piece_end)

        # The place of each token in all contexts' tokens, then all questions', then these three.
        words = tf.size(context.values)
        special = words + tf.size(question.values)
        context_place = _row_starts(context, example) + begin + position - piece_start
        question_place = words + _row_starts(question, example) + position - 1
        place = tf.where(tf.equal(position, 0), special, special + 2)
        place = tf.where(is_sep, special + 1, place)
        place = tf.where(in_question, question_place, place)
        place = tf.where(in_context, context_place, place)
        tokenizer = self.tokenizer
        specials = [tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id]
        ids = tf.concat([context.values, question.values, specials], axis=0)
        byte_place = tf.where(in_context, context_place, words)
        return {
            TOKEN_IDS: tf.gather(ids, place),
            SEGMENT_IDS: tf.cast((position >= piece_start) & (position <= piece_end), tf.int32),
            PADDING_MASK: tf.cast(position <= piece_end, tf.int32),
            EXAMPLE: example,
            FIRST_BYTE: tf.gather(tf.concat([starts.values, [-1]], axis=0), byte_place),
            END_BYTE: tf.gather(tf.concat([ends.values, [-1]], axis=0), byte_place),
        }

    def _width(self, lengths: tf.Tensor) -> tf.Tensor | int:
        """T of windows of these lengths [W]."""
        if not self.length_multiple:
            return self.sequence_length
        longest = tf.reduce_max(tf.concat([lengths, [_SPECIAL_TOKENS]], axis=0))
        padded = -(-longest // self.length_multiple) * self.length_multiple
        return tf.minimum(padded, self.sequence_length)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "sequence_length": self.sequence_length,
            "stride": self.stride,
            "max_question_length": self.max_question_length,
            "length_multiple": self.length_multiple,
        }


def _validate(
    sequence_length: int, stride: int, max_question_length: int, length_multiple: int
) -> None:
    if max_question_length < 1 or length_multiple < 0 or stride < 1:
        raise InputError(
            "max_question_length and stride must be at least 1 and length_multiple 0, not "
            f"{max_question_length}, {stride} and {length_multiple}."
        )
    room = sequence_length - _SPECIAL_TOKENS - max_question_length
    if room < 1:
        raise InputError(
            f"sequence_length {sequence_length} leaves no token for the context beside "
            f"{_SPECIAL_TOKENS} special tokens and max_question_length {max_question_length}: "
            "raise it, or cut questions shorter."
        )
    if stride > room:
        raise InputError(
            f"stride {stride} would skip tokens: a window has room for {room} context tokens "
            f"(sequence_length {sequence_length} - {_SPECIAL_TOKENS} - max_question_length "
            f"{max_question_length}); give at most that."
        )


def _texts(x: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Questions and contexts: strings [B] each."""
    if not isinstance(x, Mapping) or not {QUESTION, CONTEXT} <= set(x):
        raise InputError(f"x must be a dict with {QUESTION!r} and {CONTEXT!r}.")
    questions, contexts = (
        tf.reshape(tf.convert_to_tensor(x[name], tf.string), [-1]) for name in (QUESTION, CONTEXT)
    )
    if not questions.shape.is_compatible_with(contexts.shape):
        raise InputError(
            f"{questions.shape[0]} questions and {contexts.shape[0]} contexts: give one context "
            "for each question."
        )
    return questions, contexts


def _answers(y: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Starts and texts of the answers [B]."""
    if not isinstance(y, Mapping) or not {ANSWER_START, ANSWER_TEXT} <= set(y):
        raise InputError(f"y must be a dict with {ANSWER_START!r} and {ANSWER_TEXT!r}.")
    start = tf.reshape(tf.cast(y[ANSWER_START], tf.int32), [-1])
    return start, tf.reshape(tf.convert_to_tensor(y[ANSWER_TEXT], tf.string), [-1])


def _row_starts(ragged: tf.RaggedTensor, rows: tf.Tensor) -> tf.Tensor:
    """Where the given rows [W] begin among all values: int32 [W, 1]."""
    return tf.gather(tf.cast(ragged.row_starts(), tf.int32), rows)[:, tf.newaxis]
