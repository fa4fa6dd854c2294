import numpy as np
import pytest

from hierbert_tf.corpus.document import Document
from hierbert_tf.corpus.hold_out import HoldOut
from hierbert_tf.corpus.report import CorpusReport
from hierbert_tf.corpus.sentences import split_sentences
from hierbert_tf.errors import InputError


def test_abbreviations_and_initials_do_not_end_sentences():
    text = (
        "Dr. J. R. Smith met Mr. Brown at 5 p.m. in the U.S. embassy. He paid 3.5 percent, i.e. "
        'little. "Is it you?" he asked. It was No. 5 on Jan. 3, 1990.'
    )
    assert split_sentences(Document((text,))) == [
        "Dr. J. R. Smith met Mr. Brown at 5 p.m. in the U.S. embassy.",
        "He paid 3.5 percent, i.e. little.",
        '"Is it you?" he asked.',
        "It was No. 5 on Jan. 3, 1990.",
    ]


def test_no_sentence_crosses_a_paragraph_and_the_order_stays():
    document = Document(("One. Two", " three. ", "Four."))
    assert split_sentences(document) == ["One.", "Two", "three.", "Four."]


def test_the_texts_of_a_pair_stay_whole():
    document = Document(("He sat. She stood.", "Both moved. "), is_pair=True)
    assert split_sentences(document) == ["He sat. She stood.", "Both moved."]


class TestHoldOut:
    def test_share_and_seed(self):
        sides = []
        for seed in (1, 2):
            split = HoldOut(0.1, seed)
            hashes = [split.hash(f"document {i}") for i in range(5000)]
            for value in hashes:
                split.observe(value)
            sides.append([value < split.threshold() for value in hashes])
        assert [420 < sum(side) < 580 for side in sides] == [True, True]
        both = sum(a and b for a, b in zip(*sides, strict=True))
        assert 20 < both < 90

    def test_the_hash_is_stable_and_blind_to_white_space(self):
        assert HoldOut(0.1, 42).hash("a  b\n") == HoldOut(0.5, 42).hash("a b")
        assert HoldOut(0.1, 42).hash("a b") == 6705100344161230221

    def test_equal_documents_count_each(self):
        split = HoldOut(1e-19, 1)
        values = [5, 5, 9, 9, 9, 20]
        for value in values:
            split.observe(value)
        assert split.threshold() == 6

    @pytest.mark.parametrize("cuts", [(0,), (3, 700), (1, 2, 999)])
    def test_all_at_once_is_the_same(self, cuts):
        one, many = HoldOut(1e-3, 1), HoldOut(1e-3, 1)
        values = np.array([one.hash(str(i % 900)) for i in range(1000)], np.uint64)
        for value in values.tolist():
            one.observe(value)
        for part in np.split(values, cuts):
            many.observe_all(part)
        assert vars(many) == vars(one)

    def test_something_is_always_left_to_train_on(self):
        split = HoldOut(0.999999, 1)
        for value in (3, 8, 4):
            split.observe(value)
        assert split.threshold() == 8

    def test_nothing_is_held_out_when_asked(self):
        split = HoldOut(0.0, 1)
        for value in range(10):
            split.observe(value)
        assert split.threshold() == 0

    def test_wrong_share(self):
        with pytest.raises(InputError, match="held_out_fraction is 1"):
            HoldOut(1.0, 1)


def test_report_as_a_table():
    report = CorpusReport(
        texts=({"name": "my text", "licence": "mine"},),
        documents=1200,
        words=12_000,
        tokens=15_000,
        unknown_tokens=15,
        held_out_documents=60,
        held_out_tokens=700,
    )
    lines = report.to_markdown().splitlines()
    assert lines[0] == "Text: my text (mine)"
    assert any("1,200" in line and line.startswith("| documents ") for line in lines)
    assert any("15 | 0.100%" in line for line in lines)
    assert any("5.0% of documents, 700 WordPieces" in line for line in lines)
    assert len({len(line) for line in lines[2:]}) == 1
