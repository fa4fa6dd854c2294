"""What the corruption works on: sequences of token ids, and the vocabulary as lookup tables."""

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf


class Relation(IntEnum):
    """How a sequence's second segment stands to its first; the pair tasks' labels follow."""

    NEXT = 0
    """It follows in the text (or was given as a pair, premise and hypothesis)."""
    RANDOM = 1
    """It comes from another document."""
    REVERSED = 2
    """The two segments follow each other and were exchanged."""


class Sequences(NamedTuple):
    """A batch of sequences `[CLS] A [SEP] B [SEP]` or `[CLS] A [SEP]`, padded to T.

    Args:
        token_ids: int32 [B, T].
        segment_ids: int32 [B, T].
        padding_mask: int32 [B, T].
        shifted: int32 [B, T], 1 where a token's word was moved: it must not be masked.
        relation: int32 [B], see `Relation`.
        is_pair: int32 [B], 1 where the text itself came as a pair (NLI), not as running text.
    """

    token_ids: tf.Tensor
    segment_ids: tf.Tensor
    padding_mask: tf.Tensor
    shifted: tf.Tensor
    relation: tf.Tensor
    is_pair: tf.Tensor


@dataclass(frozen=True)
class TokenTable:
    """Facts about each vocabulary entry, as arrays of length V.

    Args:
        is_continuation: bool [V], pieces that continue a word (`##ing`).
        is_punctuation: bool [V].
        is_special: bool [V], [PAD], [UNK], [CLS], [SEP], [MASK] and unused entries.
        pad_id: id of [PAD].
        cls_id: id of [CLS].
        sep_id: id of [SEP].
        mask_id: id of [MASK].
    """

    is_continuation: np.ndarray
    is_punctuation: np.ndarray
    is_special: np.ndarray
    pad_id: int
    cls_id: int
    sep_id: int
    mask_id: int

    @classmethod
    def of(cls, vocabulary: Any) -> "TokenTable":
        """The facts that a `hierbert_tf.corpus.vocabulary.Vocabulary` knows."""
        return cls(**{field.name: getattr(vocabulary, field.name) for field in fields(cls)})

    @property
    def regular_ids(self) -> np.ndarray:
        """int32 [R], every id that is not special: what a random replacement draws from."""
        return np.flatnonzero(~self.is_special).astype(np.int32)

    def content(self, sequences: Sequences) -> tf.Tensor:
        """bool [B, T], the tokens of the text: neither padding nor [CLS] or [SEP]."""
        ids = sequences.token_ids
        return (sequences.padding_mask > 0) & (ids != self.cls_id) & (ids != self.sep_id)
