import pytest
import tensorflow as tf
import tensorflow_text

from hierbert_tf.corpus.tokenizer import WordPieceTokenizer
from hierbert_tf.corpus.vocabulary import SPECIAL_TOKENS, Vocabulary

PIECES = [*"abcdefghijklmnopqrstuvwxyz", *".,!?()'", "##s", "##ing", "walk", "the", "Dog", "é"]
VOCABULARY = Vocabulary([*SPECIAL_TOKENS, *PIECES])


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer(VOCABULARY)


def test_ids_by_hand(tokenizer):
    ids = VOCABULARY.ids
    ragged = tokenizer.tokenize(["The WALKS, walking!", "", "xyz", "É (the)"])
    assert ragged.dtype == tf.int32
    assert ragged.to_list() == [
        [ids["the"], ids["walk"], ids["##s"], ids[","], ids["walk"], ids["##ing"], ids["!"]],
        [],
        [ids["[UNK]"]],
        [ids["e"], ids["("], ids["the"], ids[")"]],
    ]


def test_text_never_gives_special_tokens(tokenizer):
    ids = tokenizer.tokenize(["[MASK] [CLS] a"]).to_list()[0]
    assert not {VOCABULARY.mask_id, VOCABULARY.cls_id} & set(ids)


def test_case_and_accents_are_kept_when_asked():
    cased = WordPieceTokenizer(Vocabulary(VOCABULARY.tokens, lowercase=False))
    ids = VOCABULARY.ids
    assert cased.tokenize(["Dog é The"]).to_list() == [[ids["Dog"], ids["é"], ids["[UNK]"]]]


def test_equals_the_reference_tokenizer(tokenizer):
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(
            list(VOCABULARY.tokens), tf.range(len(VOCABULARY), dtype=tf.int64)
        ),
        default_value=1,
    )
    reference = tensorflow_text.BertTokenizer(table, lower_case=True, token_out_type=tf.int64)
    sentences = ["The walks (walking) the s'ings.", "a\u00a0b\tc\u200bd — the字walk", "É!?.."]
    expected = reference.tokenize(sentences).merge_dims(1, 2).to_list()
    assert tokenizer.tokenize(sentences).to_list() == expected


def test_detokenize_reads_well(tokenizer):
    ids = tokenizer.tokenize(["The walking (a) walks, the!"]).to_list()[0]
    assert tokenizer.detokenize([2, *ids, 3, 4, 0, 0]) == (
        "[CLS] the walking (a) walks, the! [SEP] [MASK]"
    )
    assert tokenizer.detokenize([]) == ""
