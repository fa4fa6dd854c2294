import gzip
import json

import pytest

from hierbert_tf.config import SourceConfig
from hierbert_tf.corpus import plain_text
from hierbert_tf.corpus.document import Document
from hierbert_tf.corpus.reader import detect_format, read_documents, source_files, text_notice
from hierbert_tf.corpus.squad import PIECE_WORDS
from hierbert_tf.corpus.statistics import ReadStatistics
from hierbert_tf.errors import InputError

SQUAD = {
    "version": "1.1",
    "data": [
        {
            "title": "T",
            "paragraphs": [
                {
                    "context": "Rome fell. It was late.",
                    "qas": [{"question": "What fell?"}, {"question": "When  was it?", "id": "1"}],
                },
                {"context": "No questions here.", "qas": []},
            ],
        }
    ],
}


@pytest.fixture
def read(tmp_path):
    def read(name, content, statistics=None, **settings):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        source = SourceConfig(path=str(path), **settings)
        return list(read_documents(source, statistics or ReadStatistics()))

    return read


def texts(documents):
    return [document.texts for document in documents]


class TestPlainText:
    TEXT = "One wrapped\nline. Two.\n\n\nThree.\n \nFour.\n"

    def test_blank_line_ends_a_document(self, read):
        expected = [("One wrapped line. Two.",), ("Three.",), ("Four.",)]
        assert texts(read("a.txt", self.TEXT)) == expected

    def test_blank_line_ends_a_paragraph(self, read):
        documents = read("a.txt", self.TEXT, document_break="paragraph")
        assert texts(documents) == [("One wrapped line. Two.", "Three.", "Four.")]

    def test_each_line_is_a_document(self, read):
        documents = read("a.txt", self.TEXT, document_break="line")
        assert texts(documents) == [("One wrapped",), ("line. Two.",), ("Three.",), ("Four.",)]

    def test_wikitext_titles_begin_documents_and_headings_are_no_text(self, read):
        text = " \n = Robert = \n \n He ran 26 @.@ 9 km . \n \n = = Career = = \n \n He won . \n"
        documents = read("wiki.test.tokens", text + " \n = Next = \n \n It is . \n")
        assert texts(documents) == [("He ran 26.9 km .", "He won ."), ("It is .",)]

    def test_chapter_headings_end_paragraphs(self, read):
        documents = read("a.txt", "= Novel =\n\n== I ==\n\nIt began.\n\n== II ==\n\nIt went on.\n")
        assert texts(documents) == [("It began.", "It went on.")]
        documents = read("a.txt", "== I ==\nA.\n== II ==\nB.\n", document_break="paragraph")
        assert texts(documents) == [("A.", "B.")]

    def test_equations_and_rules_are_no_headings(self):
        levels = [plain_text.heading_level(line) for line in ("= a", "=====", "== b =", "a = b =")]
        assert levels == [0, 0, 0, 0]
        assert plain_text.heading_level("=== x ===") == 3

    def test_long_documents_come_in_pieces(self, read, monkeypatch):
        monkeypatch.setattr(plain_text, "LONGEST_LINE", 20)
        monkeypatch.setattr(plain_text, "LONGEST_DOCUMENT", 40)
        documents = read("a.txt", "word word word\n" * 9 + "\nNew.\n")
        assert [document.continues for document in documents] == [False, True, True, False]
        joined = " ".join(text for document in documents[:3] for text in document.texts)
        assert joined.split() == ["word"] * 27
        assert documents[3].texts == ("New.",)

    def test_unknown_document_break(self, read):
        with pytest.raises(InputError, match="document_break is 'page': use one of blank_line"):
            read("a.txt", "x", document_break="page")


class TestJsonLines:
    def test_default_fields_and_paragraphs(self, read):
        lines = [
            {"text": "One.\nstill one.\n\nTwo.", "url": "u"},
            {"text": ["A.", "B."]},
            {"text": " "},
            {"text_a": "Both sleep.", "text_b": "Nobody is awake."},
            {"text_a": "Alone.", "text_b": None},
        ]
        documents = read("a.jsonl", "\n".join(map(json.dumps, lines)) + "\n\n")
        assert documents == [
            Document(("One. still one.", "Two.")),
            Document(("A.", "B.")),
            Document(("Both sleep.", "Nobody is awake."), is_pair=True),
            Document(("Alone.",)),
        ]

    def test_named_fields(self, read):
        line = json.dumps({"text": "no", "title": "yes", "body": "too"})
        assert texts(read("a.jsonl", line, fields=("title",))) == [("yes",)]
        pair = read("a.jsonl", line, fields=("body", "title"))
        assert pair == [Document(("too", "yes"), is_pair=True)]

    def test_escaped_nul_and_lone_surrogate(self, read):
        statistics = ReadStatistics()
        documents = read("a.jsonl", r'{"text": "a\u0000b\ud800c é"}', statistics)
        assert texts(documents) == [("abc é",)]
        assert statistics.nul_bytes == 1

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ('{"text": "a"}\n{"text": }', r"a\.jsonl', line 2: not valid JSON"),
            ('{"text": "a"}\n[1]', r"line 2: a list where a JSON object"),
            ('{"text": "a"}\n\n{"t": "a"}', r"line 3: no field 'text' \(there are 't'\)"),
            ('{"text": 3}', "line 1: field 'text' holds a int"),
            ("[" * 100_000, "line 1: not valid JSON"),
            ('{"text": ' + "9" * 5000 + "}", "line 1: not valid JSON .Exceeds the limit"),
        ],
    )
    def test_errors_name_file_and_line(self, read, content, message):
        with pytest.raises(InputError, match=message):
            read("a.jsonl", content)

    def test_three_fields_are_no_pair(self, read):
        with pytest.raises(InputError, match="one field, or two"):
            read("a.jsonl", "{}", fields=("a", "b", "c"))

    def test_endless_record(self, read, monkeypatch):
        monkeypatch.setattr("hierbert_tf.corpus.json_lines._LONGEST_RECORD", 50)
        with pytest.raises(InputError, match="line 1: a record of more than 50 bytes"):
            read("a.jsonl", json.dumps({"text": "word " * 50}))


class TestPairs:
    def test_snli_keeps_pairs_without_gold_label(self, read):
        lines = [
            {"gold_label": "neutral", "sentence1": "A man.  Sits.", "sentence2": "He waits."},
            {"gold_label": "-", "sentence1": "A dog.", "sentence2": "A cat."},
        ]
        documents = read(
            "snli_dev.jsonl.gz", gzip.compress("\n".join(map(json.dumps, lines)).encode())
        )
        assert documents == [
            Document(("A man. Sits.", "He waits."), is_pair=True),
            Document(("A dog.", "A cat."), is_pair=True),
        ]

    @pytest.mark.parametrize(
        ("table", "expected"),
        [
            ('index\tsentence1\tsentence2\tlabel\n0\tA "b.\tC.\te\n', [('A "b.', "C.")]),  # RTE
            ("index\tquestion\tsentence\tlabel\n0\tWho?\tHe.\te\n", [("Who?", "He.")]),  # QNLI
            (
                "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tX.\tY.\n",
                [("X.", "Y.")],
            ),  # MRPC
            (
                "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\tP?\tQ?\t0\n",
                [("P?", "Q?")],
            ),  # QQP
            ("sentence\tlabel\nfine work\t1\n\nbad\t0\n", [("fine work",), ("bad",)]),  # SST-2
            ("gj04\t1\t\tI ran.\ngj04\t0\t*\tRan I.\n", [("I ran.",), ("Ran I.",)]),  # CoLA
            ("index\tsentence\n0\tHe left.\n", [("He left.",)]),  # CoLA's test table
        ],
    )
    def test_glue_tables(self, read, table, expected):
        documents = read("train.tsv", table)
        assert texts(documents) == expected
        assert all(document.is_pair == (len(expected[0]) == 2) for document in documents)

    def test_short_rows_are_left_out_and_counted(self, read):
        statistics = ReadStatistics()
        table = "index\tsentence1\tsentence2\n0\tA.\tB.\n1\tonly\n2\tC.\tD.\n"
        assert texts(read("a.tsv", table, statistics)) == [("A.", "B."), ("C.", "D.")]
        assert statistics.skipped_rows == 1

    def test_named_columns(self, read):
        table = "claim\tevidence\nEarth turns.\tIt does.\n"
        assert texts(read("a.tsv", table, fields=("evidence", "claim"))) == [
            ("It does.", "Earth turns.")
        ]
        with pytest.raises(InputError, match="no known text column among 'claim', 'evidence'"):
            read("a.tsv", table)
        with pytest.raises(InputError, match=r"fields \['x'\] are not one or two of the columns"):
            read("a.tsv", table, fields=("x",))


class TestSquad:
    @pytest.mark.parametrize("indent", [None, 2])
    def test_contexts_and_questions(self, read, indent):
        context = "Rome fell. It was late."
        assert read("dev.json", json.dumps(SQUAD, indent=indent)) == [
            Document((context,), group=context),
            Document(("What fell?", "When was it?"), group=context),
            Document(("No questions here.",), group="No questions here."),
        ]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ('{"data": [' + "9" * 5000 + "]}", r"dev\.json': not valid JSON .Exceeds"),
            ('{"data": [\n{"x": }]}', r"dev\.json': not valid JSON .*line 2"),
            ('{"articles": []}', "no 'data' with a list"),
            (
                '{"data": [{"paragraphs": [{"qas": []}]}]}',
                r"data\[0\].paragraphs\[0\]: no 'context'",
            ),
            (
                '{"data": [{"paragraphs": [{"context": "c", "qas": [{"q": 1}]}]}]}',
                r"qas\[0\]: no 'question' with a text",
            ),
        ],
    )
    def test_errors_name_the_place(self, read, content, message):
        with pytest.raises(InputError, match=message):
            read("dev.json", content, format="squad")

    def test_pairs_take_the_pieces_of_a_context_in_turn(self, read):
        words = [f"w{number}" for number in range(PIECE_WORDS + 5)]
        questions = [{"question": f"q{number}?"} for number in range(3)]
        paragraph = {"context": " ".join(words), "qas": questions}
        content = json.dumps({"data": [{"paragraphs": [paragraph]}]})
        plain, pairs = read("a.json", content), read("a.json", content, format="squad_pairs")
        assert pairs[: len(plain)] == plain
        first, rest = " ".join(words[:PIECE_WORDS]), " ".join(words[PIECE_WORDS:])
        added = pairs[len(plain) :]
        assert [pair.texts for pair in added] == [("q0?", first), ("q1?", rest), ("q2?", first)]
        assert all(pair.is_pair and pair.split_key == plain[0].split_key for pair in added)


class TestDispatch:
    @pytest.mark.parametrize(
        ("name", "content", "expected"),
        [
            ("a.txt", "Text.", "text"),
            ("noname", "{not json", "text"),
            ("a.jsonl", '{"text": "a"}', "json_lines"),
            ("a.jsonl", '{"sentence1": "a", "sentence2": "b"}', "nli"),
            ("a.json", '{"text": "a"}\n{"text": "b"}\n', "json_lines"),
            ("a.json", json.dumps(SQUAD), "squad"),
            ("a.json", json.dumps(SQUAD, indent=1), "squad"),
            ("a.tsv", "sentence\tlabel", "glue"),
            ("dump.xml", "\n<mediawiki xmlns='x'>", "wikipedia"),
            ("dump", "<mediawiki>", "wikipedia"),
            ("empty.txt", "", "text"),
        ],
    )
    def test_detection(self, tmp_path, name, content, expected):
        (tmp_path / name).write_text(content)
        assert detect_format(tmp_path / name) == expected

    def test_other_xml(self, tmp_path):
        (tmp_path / "a.xml").write_text("<tei/>")
        with pytest.raises(InputError, match="XML but no MediaWiki dump"):
            detect_format(tmp_path / "a.xml")

    def test_folder_of_several_formats(self, read, tmp_path):
        read("corpus/a.txt", "Plain.")
        read("corpus/b.jsonl", '{"text": "Json."}')
        source = SourceConfig(path=str(tmp_path / "corpus"))
        assert texts(read_documents(source, ReadStatistics())) == [("Plain.",), ("Json.",)]

    def test_wrong_settings(self):
        with pytest.raises(InputError, match="format 'pdf': use one of auto, text"):
            list(read_documents(SourceConfig(path="x", format="pdf"), ReadStatistics()))
        with pytest.raises(InputError, match="no `path`"):
            source_files(SourceConfig())

    def test_notices(self):
        assert text_notice(SourceConfig(path="wikipedia_excerpt")).licence == "CC BY-SA 3.0"
        assert text_notice(SourceConfig(path="my/texts")).name == "my/texts"
        assert text_notice(SourceConfig(tfds_name="glue/rte")).name == "glue/rte"


def test_a_pair_has_two_texts():
    with pytest.raises(ValueError, match="a pair has two texts, not 1"):
        Document(("one",), is_pair=True)
