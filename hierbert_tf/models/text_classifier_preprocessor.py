"""Texts and pairs of texts to the features of the encoder.

Dimension letters: B batch, T sequence, C classes.
"""

from collections.abc import Sequence
from typing import Any

import keras
import keras_hub
import tensorflow as tf
from keras_hub.src.utils.tensor_utils import preprocessing_function

from hierbert_tf.data.features import PADDING_MASK, SEGMENT_IDS, TOKEN_IDS
from hierbert_tf.errors import InputError
from hierbert_tf.models.backbone import HierarchicalBertBackbone
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer


@keras.saving.register_keras_serializable(package="hierbert_tf")
class HierarchicalBertTextClassifierPreprocessor(keras_hub.models.TextClassifierPreprocessor):
    """Makes `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`, as in pre-training, padded to a batch's T.

    What is too long is cut from the longer of the two texts, token by token, at its end.

    Args:
        tokenizer: the one that the encoder was trained with.
        sequence_length: longest T, special tokens included.
        length_multiple: a batch is padded to the smallest multiple of it that holds its longest
            sequence, at most `sequence_length`; 0: always to `sequence_length`.
        labels: names of the classes 0 .. C-1, if `y` may be given as names.
        **kwargs: `name` and the like.

    Call arguments:
        x: one string, strings [B] (list or tensor), or a pair of two such in a tuple.
        y: classes as integers, or as names from `labels`; passed on as integers.
        sample_weight: passed on.

    Returns:
        Dict of int32 [B, T]: `token_ids`, `segment_ids`, `padding_mask`, without B for one string;
        with `y` and `sample_weight` behind it in a tuple if they were given.

    Raises:
        InputError: lengths that hold no text, or a label that is not among the names. Inside
            `tf.data` the latter is TensorFlow's `InvalidArgumentError`.

    Example:

    >>> tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"]
    >>> preprocessor = HierarchicalBertTextClassifierPreprocessor(
    ...     HierarchicalBertTokenizer(tokens), sequence_length=8, length_multiple=4)
    >>> x, y = preprocessor((["a b", "c"], ["b", "c"]), [1, 0])
    >>> x["token_ids"].numpy().tolist()
    [[2, 5, 6, 3, 6, 3, 0, 0], [2, 7, 3, 7, 3, 0, 0, 0]]
    >>> x["segment_ids"].numpy().tolist()
    [[0, 0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 0, 0, 0]]
    >>> preprocessor("a")["token_ids"].numpy().tolist()
    [2, 5, 3, 0]
    """

    backbone_cls = HierarchicalBertBackbone
    tokenizer_cls = HierarchicalBertTokenizer

    def __init__(
        self,
        tokenizer: HierarchicalBertTokenizer,
        sequence_length: int = 128,
        length_multiple: int = 16,
        labels: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(tokenizer, sequence_length=sequence_length, **kwargs)
        # [CLS] a [SEP] b [SEP] with a token of each.
        if sequence_length < 5:
            raise InputError(f"sequence_length is {sequence_length}: two texts need 5 tokens.")
        if length_multiple < 0:
            raise InputError(f"length_multiple is {length_multiple}: give 0 (no buckets) or more.")
        self.length_multiple = length_multiple
        self.labels = None if labels is None else tuple(str(label) for label in labels)

    def build(self, input_shape: Any) -> None:
        """Makes nothing: there are no weights."""
        self.built = True

    def __call__(self, x: Any, y: Any = None, sample_weight: Any = None, **kwargs: Any) -> Any:
        """Prepares texts; see the class.

        A tuple in the first place is always a pair of texts, never texts and their labels.
        """
        return super().__call__(x, y=y, sample_weight=sample_weight, **kwargs)

    @preprocessing_function
    def call(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Prepares texts; see the class."""
        texts = [_strings(text) for text in (x if isinstance(x, tuple) else (x,))]
        if len(texts) > 2:
            raise InputError(f"{len(texts)} texts an example were given: the encoder takes 1 or 2.")
        if y is not None:
            y = self._classes(y)
        if texts[0].shape.rank == 0:
            batch = self._features([text[tf.newaxis] for text in texts])
            features = {name: value[0] for name, value in batch.items()}
        else:
            features = self._features(texts)
        return keras.utils.pack_x_y_sample_weight(features, y, sample_weight)

    def _features(self, texts: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        """Strings [B], of one or two texts, to features [B, T]."""
        tokenizer = self.tokenizer
        room = self.sequence_length - 1 - len(texts)
        segments = _trim([tokenizer.tokenize(text) for text in texts], room)
        rows = tf.size(texts[0])
        start = tf.fill([rows, 1], tf.cast(tokenizer.cls_token_id, segments[0].dtype))
        end = tf.fill([rows, 1], tf.cast(tokenizer.sep_token_id, segments[0].dtype))
        parts = [start]
        for segment in segments:
            parts += [segment, end]
        token_ids = tf.concat(parts, axis=1)
        length = self._length(token_ids.row_lengths())
        dense = token_ids.to_tensor(tokenizer.pad_token_id)  # [B, longest]
        behind = [[0, 0], [0, length - tf.shape(dense, length.dtype)[1]]]
        first = segments[0].row_lengths() + 2
        place = tf.range(length)[tf.newaxis]  # [1, T]
        real = place < token_ids.row_lengths()[:, tf.newaxis]  # [B, T]
        features = {
            TOKEN_IDS: tf.pad(dense, behind, constant_values=tokenizer.pad_token_id),
            SEGMENT_IDS: real & (place >= first[:, tf.newaxis]),
            PADDING_MASK: real,
        }
        width = self.sequence_length if self.length_multiple == 0 else None
        return {
            name: tf.ensure_shape(tf.cast(value, tf.int32), [None, width])
            for name, value in features.items()
        }

    def _length(self, lengths: tf.Tensor) -> tf.Tensor:
        """The T of a batch, from its rows' lengths [B]."""
        limit = tf.constant(self.sequence_length, lengths.dtype)
        if self.length_multiple == 0:
            return limit
        multiple = tf.constant(self.length_multiple, lengths.dtype)
        # An empty batch has no longest row.
        longest = tf.reduce_max(tf.concat([lengths, [1]], axis=0))
        return tf.minimum((longest + multiple - 1) // multiple * multiple, limit)

    def _classes(self, y: Any) -> tf.Tensor:
        """Names to numbers; numbers as they are."""
        y = tf.convert_to_tensor(y)
        if y.dtype != tf.string:
            return y
        if self.labels is None:
            raise InputError("labels are given as names, but the preprocessor has no labels=.")
        names = tf.reshape(y, [-1])
        equal = names[:, tf.newaxis] == tf.constant(self.labels)  # [B, C]
        unknown = tf.boolean_mask(names, ~tf.reduce_any(equal, axis=1))
        known = f"known are {', '.join(self.labels)}"
        if tf.executing_eagerly():
            if tf.size(unknown):
                name = unknown.numpy()[0].decode(errors="replace")
                raise InputError(f"label {name!r} is unknown; {known}.")
        else:
            check = tf.debugging.Assert(tf.size(unknown) == 0, ["unknown labels", unknown, known])
            with tf.control_dependencies([check]):
                equal = tf.identity(equal)
        return tf.reshape(tf.argmax(tf.cast(equal, tf.int32), 1, tf.int32), tf.shape(y))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = super().get_config()
        del config["truncate"]
        return {
            **config,
            "length_multiple": self.length_multiple,
            "labels": None if self.labels is None else list(self.labels),
        }


def _strings(text: Any) -> tf.Tensor:
    """A string tensor, whatever the text came as."""
    tensor = tf.convert_to_tensor(text)
    if tensor.dtype != tf.string:
        if tf.executing_eagerly() and tf.size(tensor) == 0:
            return tf.zeros(tf.shape(tensor), tf.string)
        raise InputError(
            f"texts must be strings, not {tensor.dtype.name}; labels go in y, the second argument."
        )
    return tensor


def _trim(segments: list[tf.RaggedTensor], room: int) -> list[tf.RaggedTensor]:
    """Cuts one or two ragged tensors [B, (tokens)] so that they have `room` tokens together.

    The longer one is cut first, and where both are as long the first: in one step what
    `tensorflow_text.ShrinkLongestTrimmer` does in a loop over the tokens that are too many.
    """
    if len(segments) == 1:
        return [segments[0][:, :room]]
    lengths = [segment.row_lengths() for segment in segments]
    shares = (room // 2, room - room // 2)
    kept = [
        tf.minimum(length, tf.maximum(room - other, share))
        for length, other, share in zip(lengths, reversed(lengths), shares, strict=True)
    ]
    return [
        tf.RaggedTensor.from_tensor(segment[:, :room].to_tensor(), lengths=length)
        for segment, length in zip(segments, kept, strict=True)
    ]
