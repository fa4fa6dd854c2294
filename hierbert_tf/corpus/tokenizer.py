"""Text to WordPiece ids, by the same TensorFlow op that an export carries."""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf
import tensorflow_text

from hierbert_tf.corpus.vocabulary import PAD, UNKNOWN, Vocabulary

_NO_SPACE_BEFORE = frozenset(".,!?;:)]%")


class WordPieceTokenizer:
    """TensorFlow Text's FastBertTokenizer over a vocabulary.

    Args:
        vocabulary: its entries and its lower-casing.

    Example:

    >>> vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "go", "##ing"])
    >>> WordPieceTokenizer(vocabulary).tokenize(["Going.", "", "No"]).to_list()
    [[6, 7, 5], [], [1]]
    """

    def __init__(self, vocabulary: Vocabulary):
        self.vocabulary = vocabulary
        self._tokenizer = tensorflow_text.FastBertTokenizer(
            vocab=list(vocabulary.tokens),
            token_out_type=tf.int32,
            unknown_token=UNKNOWN,
            lower_case_nfd_strip_accents=vocabulary.lowercase,
        )

    def tokenize(self, sentences: list[str] | tf.Tensor) -> tf.RaggedTensor:
        """Ids of a batch of sentences; without [CLS] and [SEP].

        Args:
            sentences: list or string tensor [B]. Thousands at once are 30 times faster than one.

        Returns:
            int32 ragged tensor [B, (tokens)].
        """
        return self._tokenizer.tokenize(tf.convert_to_tensor(sentences, tf.string))

    def detokenize(self, token_ids: Iterable[int]) -> str:
        """Text of ids for a person to read; padding is left out, special tokens are kept.

        Example:

        >>> tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "go", "##ing"]
        >>> WordPieceTokenizer(Vocabulary(tokens)).detokenize([2, 6, 7, 4, 5, 3, 0, 0])
        '[CLS] going [MASK]. [SEP]'
        """
        text = ""
        tokens, continuing = self.vocabulary.tokens, self.vocabulary.is_continuation
        for token_id in np.asarray(list(token_ids), np.int64):
            token = tokens[token_id]
            if token == PAD:
                continue
            if continuing[token_id]:
                text += token[2:]
            elif token in _NO_SPACE_BEFORE or not text or text[-1] in "([":
                text += token
            else:
                text += f" {token}"
        return text
