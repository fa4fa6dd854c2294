"""WordPiece with exact offsets, as a keras-hub tokenizer.

Dimension letters: B batch.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_hub
import tensorflow as tf
import tensorflow_text

from hierbert_tf.corpus.vocabulary import CLS, MASK, PAD, SEP, UNKNOWN, Vocabulary
from hierbert_tf.errors import InputError
from hierbert_tf.models.backbone import HierarchicalBertBackbone

VOCABULARY_FILE = "vocabulary.txt"

_SPECIAL = {
    "cls_token": CLS,
    "sep_token": SEP,
    "pad_token": PAD,
    "mask_token": MASK,
    "unknown_token": UNKNOWN,
}


@keras.saving.register_keras_serializable(package="hierbert_tf")
class HierarchicalBertTokenizer(keras_hub.tokenizers.Tokenizer):
    """Text to the ids that pre-training saw, by graph ops that an export carries.

    The two halves of TensorFlow Text's `FastBertTokenizer`, which prepared the pre-training text,
    are kept apart, since the offsets of the second are put right with what the first removed.

    Args:
        vocabulary: path of a `vocab.txt`, or its entries in the order of their ids; None: it comes
            later, from a preset or a `.keras` file.
        lowercase: text is lower-cased and stripped of accents first; as in pre-training.
        dtype: integer dtype of the ids.
        **kwargs: `name` and the like.

    Attributes:
        cls_token_id: id of [CLS]; likewise `sep_token_id`, `pad_token_id`, `mask_token_id` and
            `unknown_token_id`, and `cls_token` and so on, the entries.

    Raises:
        InputError: the vocabulary cannot be read, or its entries are wrong.

    Example:

    >>> tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "go", "##ing", "s", "##s"]
    >>> tokenizer = HierarchicalBertTokenizer(tokens)
    >>> tokenizer.tokenize(["Going.", "", "No"]).to_list()
    [[6, 7, 5], [], [1]]
    >>> ids, starts, ends = tokenizer.tokenize_with_offsets(["Gôing  ß"])  # bytes of UTF-8
    >>> ids.to_list(), starts.to_list(), ends.to_list()
    ([[6, 7, 8, 9]], [[0, 3, 8, 8]], [[3, 6, 10, 10]])

    Reference: Song et al., 2021, Fast WordPiece Tokenization.
    """

    backbone_cls = HierarchicalBertBackbone

    def __init__(
        self,
        vocabulary: str | Path | Iterable[str] | None = None,
        lowercase: bool = True,
        dtype: str = "int32",
        **kwargs: Any,
    ) -> None:
        if not keras.backend.is_int_dtype(dtype):
            raise ValueError(f"a tokenizer's ids are integers, not {dtype!r}")
        super().__init__(dtype=dtype, **kwargs)
        self.lowercase = lowercase
        self.file_assets = [VOCABULARY_FILE]
        self._vocabulary: Vocabulary | None = None
        for name, token in _SPECIAL.items():
            self._add_special_token(token, name)
        self._normalizer = tensorflow_text.FastBertNormalizer(
            lower_case_nfd_strip_accents=lowercase
        )
        if vocabulary is not None:
            self.set_vocabulary(vocabulary)

    # === Vocabulary ===

    def set_vocabulary(self, vocabulary: str | Path | Iterable[str]) -> None:
        """Takes the entries from a file or a list."""
        if isinstance(vocabulary, str | Path):
            self._vocabulary = Vocabulary.load(vocabulary, self.lowercase)
        else:
            self._vocabulary = Vocabulary(vocabulary, self.lowercase)
        self._wordpiece = tensorflow_text.FastWordpieceTokenizer(
            vocab=list(self._vocabulary.tokens), token_out_type=tf.int32, unknown_token=UNKNOWN
        )
        self._update_special_token_ids()

    @property
    def vocabulary(self) -> Vocabulary:
        """The entries; raises `InputError` while there are none."""
        if self._vocabulary is None:
            raise InputError(
                f"{type(self).__name__} {self.name!r} has no vocabulary: give vocabulary=, the "
                "path of the vocab.txt that the encoder was trained with."
            )
        return self._vocabulary

    def vocabulary_size(self) -> int:
        """Number of ids V."""
        return len(self.vocabulary)

    def get_vocabulary(self) -> list[str]:
        """Entries in the order of their ids."""
        return list(self.vocabulary.tokens)

    def id_to_token(self, id: int) -> str:
        """Entry of an id."""
        if not 0 <= id < self.vocabulary_size():
            raise ValueError(f"id {id} is outside 0 to {self.vocabulary_size() - 1}")
        return self.vocabulary.tokens[id]

    def token_to_id(self, token: str) -> int:
        """Id of an entry."""
        if token not in self.vocabulary.ids:
            raise ValueError(f"{token!r} is no entry of the vocabulary")
        return self.vocabulary.ids[token]

    # === Text to ids and back ===

    def tokenize(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Ids of texts; without [CLS] and [SEP], which no text can contain.

        Args:
            inputs: one string, or a list or string tensor [B]. Bytes that are no UTF-8 become
                unknown tokens.
            *args: none.
            **kwargs: none.

        Returns:
            Ragged integer tensor [B, (tokens)]; an integer tensor for one string.
        """
        assert self.vocabulary
        texts = tf.convert_to_tensor(inputs, tf.string)
        if texts.shape.rank == 0:
            return self.tokenize(texts[tf.newaxis])[0]
        ids = self._wordpiece.tokenize(self._normalizer.normalize(texts))
        return tf.cast(ids, self.compute_dtype)

    def tokenize_with_offsets(
        self, inputs: Sequence[str] | tf.Tensor
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """Ids, and where in the text each token stands.

        A character that the vocabulary sees as several (`ß` as `ss`, `ﬁ` as `fi`, a Hangul syllable
        as its letters) belongs whole to each piece that has a part of it. Combining marks belong to
        the token before them; other characters that are removed (zero-width space, controls) to
        none.

        Args:
            inputs: list or string tensor [B].

        Returns:
            Ragged [B, (tokens)]: the ids, and int32 first bytes and ends (one past the last byte)
            in the text as UTF-8. Token i is `text[starts[i]:ends[i]]`, never empty, and always
            whole characters.
        """
        assert self.vocabulary
        texts = tf.convert_to_tensor(inputs, tf.string)
        normal, offsets = self._normalizer.normalize_with_offsets(texts)
        ids, starts, ends = self._wordpiece.tokenize_with_offsets(normal)
        rows = ids.value_rowids()
        # One line of numbers for all texts, with a gap of one after each so that none touch.
        lengths = tf.cast(tf.strings.length(texts), tf.int64)
        base = tf.cumsum(lengths + 1, exclusive=True)
        known = offsets.values + tf.gather(base, offsets.value_rowids())
        first = tf.gather(offsets.row_starts(), rows)
        token_starts = tf.gather(known, first + starts.values)
        # The start of the text that follows: the next character that was not removed.
        last = tf.gather(known, first + ends.values - 1)
        following = tf.gather(known, tf.searchsorted(known, last, side="right"))
        visible = _visible_ends(texts, lengths, base, known)
        token_ends = tf.gather(visible, tf.searchsorted(visible, following, side="right") - 1)
        origin = tf.gather(base, rows)
        return (
            tf.cast(ids, self.compute_dtype),
            ids.with_values(tf.cast(token_starts - origin, tf.int32)),
            ids.with_values(tf.cast(token_ends - origin, tf.int32)),
        )

    def detokenize(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Texts of ids: entries with spaces between words.

        Args:
            inputs: list or ragged or dense integer tensor [..., (tokens)].
            *args: none.
            **kwargs: none.

        Returns:
            String tensor [...].
        """
        ids = tf.ragged.constant(inputs) if isinstance(inputs, list) else inputs
        tokens = tf.gather(tf.constant(self.vocabulary.tokens), ids)
        text = tf.strings.reduce_join(tokens, axis=-1, separator=" ")
        return tf.strings.regex_replace(text, " ##", "")

    # === Files ===

    def save_assets(self, dir_path: str) -> None:
        """Writes the vocabulary into a folder; Keras calls it when a model is saved."""
        self.vocabulary.save(Path(dir_path) / VOCABULARY_FILE)

    def load_assets(self, dir_path: str) -> None:
        """Reads the vocabulary that `save_assets` wrote."""
        self.set_vocabulary(Path(dir_path) / VOCABULARY_FILE)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, less the vocabulary, which is a file of its own."""
        return {**super().get_config(), "lowercase": self.lowercase, "dtype": self.compute_dtype}


def _visible_ends(
    texts: tf.Tensor, lengths: tf.Tensor, base: tf.Tensor, known: tf.Tensor
) -> tf.Tensor:
    """Where, on the line of all texts, the characters end that a token's span may end with.

    Args:
        texts: strings [B].
        lengths: int64 [B], in bytes.
        base: int64 [B], where each text begins on the line.
        known: int64, ascending: places on the line that the normalised text kept.

    Returns:
        int64, ascending: ends of the characters that were kept or are combining marks.
    """
    characters, offsets = tf.strings.unicode_decode_with_offsets(texts, "UTF-8")
    rows = offsets.value_rowids()
    starts = offsets.values + tf.gather(base, rows)
    next_starts = tf.concat([starts[1:], [starts.dtype.max]], axis=0)
    ends = tf.minimum(next_starts, tf.gather(base + lengths, rows))
    place = tf.minimum(tf.searchsorted(known, starts), tf.size(known) - 1)
    removed = tf.not_equal(tf.gather(known, place), starts)
    # Few are removed, so a regular expression each is cheap.
    letters = tf.strings.unicode_encode(characters.values[removed][:, tf.newaxis], "UTF-8")
    hidden = tf.where(removed)[~tf.strings.regex_full_match(letters, r"\pM")]
    visible = tf.tensor_scatter_nd_update(
        tf.ones_like(removed), hidden, tf.zeros_like(hidden[:, 0], tf.bool)
    )
    return ends[visible]
