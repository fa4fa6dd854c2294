import os
import subprocess
import sys
import unicodedata

import numpy as np
import pytest

from hierbert_tf.corpus.vocabulary import SPECIAL_TOKENS, Vocabulary, is_punctuation
from hierbert_tf.corpus.vocabulary_learner import learn_vocabulary
from hierbert_tf.errors import InputError

TOKENS = [*SPECIAL_TOKENS, "[unused0]", "[", "##.", "go", "##ing", "##", "…", "$"]
SENTENCES = ["The low sun; the lower suns.", "Zürich's lowest streets, 字 字.", "Lows low."] * 5

# Many ties: the counts of most pieces are equal.
LEARN = """
import random
from hierbert_tf.corpus.vocabulary_learner import learn_vocabulary
generator = random.Random(0)
letters = "abcdefghijklmnop"
words = ["".join(generator.choices(letters, k=generator.randint(2, 9))) for _ in range(3000)]
text = [" ".join(words[i : i + 10]) for i in range(0, 3000, 10)]
print(learn_vocabulary(lambda: text, size=700).sha256)
"""


def test_what_the_entries_are():
    vocabulary = Vocabulary(TOKENS)
    named = {name: set() for name in ("is_special", "is_continuation", "is_punctuation")}
    for name, tokens in named.items():
        flags = getattr(vocabulary, name)
        assert flags.dtype == bool and flags.shape == (len(TOKENS),)
        tokens.update(np.array(TOKENS)[flags])
    assert named["is_special"] == {*SPECIAL_TOKENS, "[unused0]"}
    assert named["is_continuation"] == {"##.", "##ing"}
    assert named["is_punctuation"] == {"[", "##.", "##", "…", "$"}


def test_ids_follow_the_order():
    vocabulary = Vocabulary(["[MASK]", "[SEP]", "[CLS]", "a", "[UNK]", "[PAD]"])
    ids = (vocabulary.pad_id, vocabulary.unknown_id, vocabulary.cls_id)
    assert ids == (5, 4, 2)
    assert (vocabulary.sep_id, vocabulary.mask_id, len(vocabulary)) == (1, 0, 6)


def test_punctuation_is_berts():
    for character in map(chr, range(0x250)):
        ascii_symbol = character < "\x7f" and character > " " and not character.isalnum()
        expected = ascii_symbol or unicodedata.category(character).startswith("P")
        assert is_punctuation(character) == expected


def test_save_and_load(tmp_path):
    # U+2028 stands in real vocabularies; it is no line end.
    vocabulary = Vocabulary([*TOKENS, "\u2028"])
    vocabulary.save(tmp_path / "vocab.txt")
    loaded = Vocabulary.load(tmp_path / "vocab.txt", lowercase=False)
    assert loaded.tokens == vocabulary.tokens
    assert loaded.sha256 == vocabulary.sha256
    assert not loaded.lowercase
    assert os.listdir(tmp_path) == ["vocab.txt"]


def test_windows_line_ends(tmp_path):
    (tmp_path / "vocab.txt").write_bytes("\r\n".join(SPECIAL_TOKENS).encode() + b"\r\n")
    assert Vocabulary.load(tmp_path / "vocab.txt").tokens == SPECIAL_TOKENS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"vocab\.txt' is empty"),
        ("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n", r"vocab\.txt' has no entry \[MASK\]"),
        (
            "\n".join([*SPECIAL_TOKENS, "a", "b", "a"]),
            r"vocab\.txt', line 8: entry 'a' occurs twice",
        ),
        ("\n".join([*SPECIAL_TOKENS, "", "b"]), r"line 6: an empty entry"),
        (b"\xff\xfe", "no UTF-8"),
    ],
)
def test_wrong_files(tmp_path, content, message):
    path = tmp_path / "vocab.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        Vocabulary.load(path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"cannot read vocabulary '.*none\.txt'"):
        Vocabulary.load(tmp_path / "none.txt")


def test_a_vocabulary_must_fit():
    vocabulary = Vocabulary(TOKENS)
    vocabulary.check_fits(vocabulary.sha256, len(TOKENS))
    with pytest.raises(InputError, match=f"of 7 entries, this one has {len(TOKENS)}"):
        vocabulary.check_fits(vocabulary.sha256, 7)
    swapped = Vocabulary([*TOKENS[:-2], TOKENS[-1], TOKENS[-2]])
    with pytest.raises(InputError, match="the run was made with another vocabulary of this size"):
        vocabulary.check_fits(swapped.sha256, len(TOKENS), holder="the run")


class TestLearning:
    def test_special_tokens_then_characters_then_longer_pieces(self):
        vocabulary = learn_vocabulary(lambda: SENTENCES, size=90)
        tokens = vocabulary.tokens
        letters = sorted(set("thelowsun;r.zic',字"))
        assert tokens[:5] == SPECIAL_TOKENS
        assert list(tokens[5 : 5 + len(letters)]) == letters
        continuing = [f"##{letter}" for letter in letters if letter not in ";.',字"]
        end = 5 + len(letters) + len(continuing)
        assert list(tokens[5 + len(letters) : end]) == continuing
        assert list(tokens[end:]) == sorted(tokens[end:])
        assert "low" in tokens[end:] and "the" in tokens[end:]

    def test_the_size_is_kept(self):
        assert len(learn_vocabulary(lambda: SENTENCES, size=50)) == 50
        assert len(learn_vocabulary(lambda: SENTENCES, size=90)) == 59  # there are no more pieces

    def test_case_is_kept_when_asked(self):
        vocabulary = learn_vocabulary(lambda: SENTENCES, size=120, lowercase=False)
        assert {"T", "Z", "ü", "The"} <= set(vocabulary.tokens)
        assert {"T", "Z", "ü"}.isdisjoint(learn_vocabulary(lambda: SENTENCES, 120).tokens)

    def test_rare_characters_give_way_when_there_are_too_many(self):
        text = ["".join(map(chr, range(0x4E00, 0x4E00 + 300))), "common words " * 50]
        vocabulary = learn_vocabulary(lambda: text, size=80)
        characters = [t for t in vocabulary.tokens if len(t) == 1]
        assert len(characters) == 25
        assert set("comnwrds") <= set(characters)

    def test_the_same_text_gives_the_same_ids_in_any_process(self):
        hashes = {
            subprocess.run(
                [sys.executable, "-c", LEARN],
                env=os.environ | {"PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": threads},
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            for seed, threads in (("1", "1"), ("2", "4"), ("3", "2"))
        }
        assert len(hashes) == 1
        assert len(hashes.pop()) == 64

    def test_endless_words_are_left_out(self):
        vocabulary = learn_vocabulary(lambda: ["x" * 1_000_000 + " short words " * 5], size=40)
        assert not any(token.startswith("xx") for token in vocabulary.tokens)
        assert "short" in vocabulary.tokens

    def test_no_text(self):
        with pytest.raises(InputError, match="hold no text"):
            learn_vocabulary(lambda: [" ", ""], size=100)

    def test_too_small(self):
        with pytest.raises(InputError, match=r"vocabulary\.size 6 is too small"):
            learn_vocabulary(lambda: SENTENCES, size=6)
