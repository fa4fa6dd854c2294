"""Small vocabularies, texts and batches that the tests share."""

import os

# The tests are about values; TensorFlow's start-up messages are not.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.data.pairs import Text
from hierbert_tf.data.sequences import Relation, Sequences, TokenTable

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PUNCTUATION = [".", ",", "!"]
PIECES = ["##a", "##b", "##c", "##d"]
WORDS = [f"w{number}" for number in range(40)]
TOKENS = SPECIAL + PUNCTUATION + PIECES + WORDS
ID = {token: index for index, token in enumerate(TOKENS)}


def make_table() -> TokenTable:
    return TokenTable(
        is_continuation=np.array([token.startswith("##") for token in TOKENS]),
        is_punctuation=np.array([token in PUNCTUATION for token in TOKENS]),
        is_special=np.array([token in SPECIAL for token in TOKENS]),
        pad_id=0,
        cls_id=2,
        sep_id=3,
        mask_id=4,
    )


def make_sequences(rows: list[str], length: int = 0) -> Sequences:
    """Rows such as `"[CLS] w1 ##a [SEP] w2 [SEP]"`, padded to the longest or to `length`."""
    split = [row.split() for row in rows]
    length = max(length, *(len(row) for row in split))
    ids = np.zeros((len(rows), length), "int32")
    segments = np.zeros_like(ids)
    for number, row in enumerate(split):
        ids[number, : len(row)] = [ID[token] for token in row]
        first_end = row.index("[SEP]") + 1
        segments[number, first_end : len(row)] = 1
    mask = np.array([[1] * len(row) + [0] * (length - len(row)) for row in split], "int32")
    return Sequences(
        token_ids=tf.constant(ids),
        segment_ids=tf.constant(segments),
        padding_mask=tf.constant(mask),
        shifted=tf.zeros_like(ids),
        relation=tf.fill([len(rows)], int(Relation.NEXT)),
        is_pair=tf.zeros([len(rows)], tf.int32),
    )


def make_text(documents: list[list[list[int]]], is_pair: bool = False) -> Text:
    """Documents of sentences of token ids; document ids are their numbers."""
    lengths = [len(sentence) for document in documents for sentence in document]
    sentences = [len(document) for document in documents]
    flat = [token for document in documents for sentence in document for token in sentence]
    return Text(
        token_ids=tf.constant(flat, tf.int32),
        sentence_start=tf.constant(np.concatenate([[0], np.cumsum(lengths)]), tf.int32),
        first_sentence=tf.constant(np.concatenate([[0], np.cumsum(sentences)[:-1]]), tf.int32),
        sentences=tf.constant(sentences, tf.int32),
        document_id=tf.range(len(documents), dtype=tf.int64),
        is_pair=tf.fill([len(documents)], int(is_pair)),
    )


def show(ids: np.ndarray) -> str:
    """A row of ids as text, without padding."""
    return " ".join(TOKENS[index] for index in np.asarray(ids) if index)


@pytest.fixture(scope="session")
def table() -> TokenTable:
    return make_table()
