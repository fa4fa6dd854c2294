import itertools
import unicodedata

import keras
import keras_hub
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from hierbert_tf.corpus.tokenizer import WordPieceTokenizer
from hierbert_tf.corpus.vocabulary import SPECIAL_TOKENS, Vocabulary
from hierbert_tf.errors import InputError
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer
from tests.models.tiny_encoder import tiny_backbone

LETTERS = "abcdefghijklmnopqrstuvwxyz"
PIECES = [*SPECIAL_TOKENS, *LETTERS, *(f"##{letter}" for letter in LETTERS), *".,!-", "cafe", "字"]
JAMO = ["ᄒ", "##ᅡ", "##ᆫ"]


@pytest.fixture(scope="module")
def tokenizer():
    return HierarchicalBertTokenizer([*PIECES, *JAMO])


@pytest.fixture(scope="module")
def offsets(tokenizer):
    """Traced once: text -> its tokens, each with the piece of text that it covers."""
    traced = tf.function(
        tokenizer.tokenize_with_offsets, input_signature=[tf.TensorSpec([None], tf.string)]
    )

    def of(text):
        data = text if isinstance(text, bytes) else text.encode()
        ids, starts, ends = (ragged[0].numpy().tolist() for ragged in traced([data]))
        tokens = [tokenizer.id_to_token(number) for number in ids]
        return [
            (token, data[start:end].decode(errors="replace"))
            for token, start, end in zip(tokens, starts, ends, strict=True)
        ]

    of.traced = traced
    return of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Café, a", [("cafe", "Café"), (",", ","), ("a", "a")]),
        ("cafe\u0301  a", [("cafe", "cafe\u0301"), ("a", "a")]),
        ("Aß", [("a", "A"), ("##s", "ß"), ("##s", "ß")]),
        ("ﬁn", [("f", "ﬁ"), ("##i", "ﬁ"), ("##n", "n")]),
        ("…a", [(".", "…"), (".", "…"), (".", "…"), ("a", "a")]),
        ("한", [("ᄒ", "한"), ("##ᅡ", "한"), ("##ᆫ", "한")]),
        ("İx", [("i", "İ"), ("##x", "x")]),
        ("a字b", [("a", "a"), ("字", "字"), ("b", "b")]),
        ("a\u200b b", [("a", "a"), ("b", "b")]),
        ("a\u00adb", [("a", "a"), ("##b", "b")]),
        ("a\u0301\u200b\r\nb", [("a", "a\u0301"), ("b", "b")]),
        ("\u200ba\ufeff", [("a", "a")]),
        ("a\x00b", [("a", "a"), ("b", "b")]),
        ("\U0001f600 a", [("[UNK]", "\U0001f600"), ("a", "a")]),
        ("שלום a", [("[UNK]", "שלום"), ("a", "a")]),
        ("", []),
        ("\u200b", []),
        ("\u0301", []),
        (b"ab\xff d", [("[UNK]", "ab\ufffd"), ("d", "d")]),
        (b"a \xe2\x80", [("a", "a"), ("[UNK]", "\ufffd")]),
    ],
)
def test_spans_by_hand(offsets, text, expected):
    assert offsets(text) == expected


def test_offsets_of_a_batch_do_not_touch_each_other(tokenizer, offsets):
    texts = ["ab", "", "\u200bcd", "ß", "é" * 3, "\u0301x"]
    ids, starts, ends = offsets.traced(texts)
    assert ids.to_list() == tokenizer.tokenize(texts).to_list()
    assert starts.dtype == ends.dtype == tf.int32
    assert starts.to_list() == [[0, 1], [], [3, 4], [0, 0], [0, 2, 4], [2]]
    assert ends.to_list() == [[1, 2], [], [4, 5], [2, 2], [2, 4, 6], [3]]
    assert [part.to_list() for part in offsets.traced(tf.constant([], tf.string))] == [[]] * 3


CHARACTERS = st.one_of(
    st.sampled_from("abAB. -ßﬁé…한\u0301\u200b\u00ad字İ\x00\r\n\t\U0001f600"), st.characters()
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.text(CHARACTERS, max_size=12), min_size=1, max_size=4))
def test_spans_are_whole_characters_in_order(offsets, tokenizer, texts):
    texts = [text.encode(errors="ignore").decode() for text in texts]
    ids, starts, ends = offsets.traced(texts)
    assert ids.to_list() == tokenizer.tokenize(texts).to_list()
    for text, row, first, end in zip(
        texts, ids.to_list(), starts.to_list(), ends.to_list(), strict=True
    ):
        data = text.encode()
        boundaries = {len(text[:n].encode()) for n in range(len(text) + 1)}
        assert {*first, *end} <= boundaries
        assert all(a < b for a, b in zip(first, end, strict=True))
        spans = list(zip(first, end, strict=True))
        for one, next_one in itertools.pairwise(spans):
            # Pieces of one character share it; all others follow each other.
            assert one[1] <= next_one[0] or (next_one[0] >= one[0] and next_one[1] >= one[1])
        for number, (a, b) in zip(row, spans, strict=True):
            piece = data[a:b].decode()
            assert unicodedata.category(piece[0]) not in ("Cc", "Mn")
            assert unicodedata.category(piece[-1]) != "Cc"
            token = tokenizer.id_to_token(number)
            if token != "[UNK]":
                folded = unicodedata.normalize("NFKD", piece).casefold()
                assert token.removeprefix("##") in folded, (token, piece)


def test_ids_equal_those_of_pre_training():
    texts = ["The Café (walking) the s'ings.", "a\u00a0b\tc\u200bd — 字walk", "É!?..", "", "ﬁ ß"]
    for lowercase in (True, False):
        vocabulary = Vocabulary([*PIECES, "é", "The"], lowercase)
        ours = HierarchicalBertTokenizer(vocabulary.tokens, lowercase=lowercase)
        ids, starts, ends = ours.tokenize_with_offsets(texts)
        expected = WordPieceTokenizer(vocabulary).tokenize(texts).to_list()
        assert ours.tokenize(texts).to_list() == ids.to_list() == expected
        assert ends[0][0] - starts[0][0] == (1 if lowercase else 3)


def test_keras_hub_conventions(tokenizer):
    assert isinstance(tokenizer, keras_hub.tokenizers.Tokenizer)
    assert tokenizer.vocabulary_size() == len(PIECES) + 3
    assert tokenizer.get_vocabulary() == [*PIECES, *JAMO]
    assert tokenizer.token_to_id("cafe") == PIECES.index("cafe")
    special = ("pad", "unknown", "cls", "sep", "mask")
    assert [getattr(tokenizer, f"{name}_token_id") for name in special] == [0, 1, 2, 3, 4]
    assert tokenizer.cls_token == "[CLS]"
    assert set(tokenizer.special_token_ids) == {0, 1, 2, 3, 4}
    assert tokenizer("cafe").numpy().tolist() == [PIECES.index("cafe")]
    assert tokenizer(["cafe", ""]) == [[PIECES.index("cafe")], []]
    ids = tokenizer.tokenize(["cafe ab", ""])
    assert tokenizer.detokenize(ids).numpy().tolist() == [b"cafe ab", b""]
    assert tokenizer.detokenize([[5, 6]]).numpy().tolist() == [b"a b"]


def test_in_a_data_set(tokenizer):
    data = tf.data.Dataset.from_tensor_slices(["a b", "cafe"]).batch(2)
    (batch,) = data.map(tokenizer)
    assert batch.to_list() == tokenizer.tokenize(["a b", "cafe"]).to_list()


def test_the_vocabulary_is_saved_in_a_preset(tmp_path):
    tokenizer = HierarchicalBertTokenizer([*PIECES, "É"], lowercase=False)
    # A line separator is an entry like any other.
    lines = HierarchicalBertTokenizer([*PIECES, "\u2028"])
    for number, one in enumerate((tokenizer, lines)):
        folder = str(tmp_path / str(number))
        tiny_backbone().save_to_preset(folder)
        one.save_to_preset(folder)
        again = keras_hub.tokenizers.Tokenizer.from_preset(folder)
        assert isinstance(again, HierarchicalBertTokenizer)
        assert again.get_vocabulary() == one.get_vocabulary()
        assert again.get_config() == one.get_config()
        assert again.tokenize(["É a"]).to_list() == one.tokenize(["É a"]).to_list()


def test_errors(tokenizer, tmp_path):
    with pytest.raises(InputError, match="has no vocabulary: give vocabulary="):
        HierarchicalBertTokenizer().tokenize(["a"])
    with pytest.raises(InputError, match=r"no entry \[MASK\]"):
        HierarchicalBertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"])
    with pytest.raises(InputError, match="cannot read vocabulary"):
        HierarchicalBertTokenizer(tmp_path / "none.txt")
    with pytest.raises(ValueError, match="'zebra' is no entry"):
        tokenizer.token_to_id("zebra")
    with pytest.raises(ValueError, match="id -1 is outside 0 to"):
        tokenizer.id_to_token(-1)
    with pytest.raises(ValueError, match="ids are integers, not 'string'"):
        HierarchicalBertTokenizer(PIECES, dtype="string")


def test_config_round_trip(tmp_path):
    path = tmp_path / "vocab.txt"
    Vocabulary(PIECES).save(path)
    tokenizer = HierarchicalBertTokenizer(path, lowercase=False, dtype="int64")
    assert tokenizer.tokenize(["a"]).dtype == tf.int64
    again = keras.layers.deserialize(keras.layers.serialize(tokenizer))
    assert (again.lowercase, again.compute_dtype) == (False, "int64")
