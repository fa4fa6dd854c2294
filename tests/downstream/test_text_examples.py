import gzip
import json

import pytest

from hierbert_tf.downstream.text_examples import (
    NO_CONSENSUS,
    TextExample,
    check_labels,
    label_names,
    read_text_examples,
)
from hierbert_tf.downstream.text_files import BAD_CHARACTERS
from hierbert_tf.errors import InputError

SHORT, LONG = "a row with too few columns", "a row with more columns than the header"


@pytest.fixture
def read(tmp_path):
    """Writes lines to a file and reads it; checks that every example is accounted for."""

    def write_and_read(name, content, **settings):
        path = tmp_path / name
        if isinstance(content, list):
            lines = (
                line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)
                for line in content
            )
            content = "".join(f"{line}\n" for line in lines)
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        examples, counts = read_text_examples(path, **settings)
        assert counts.source == str(path)
        assert counts.read == counts.kept + sum(counts.skipped.values())
        assert counts.kept == len(examples)
        return examples, counts

    return write_and_read


def nli(premise, hypothesis, label, **more):
    return {"gold_label": label, "sentence1": premise, "sentence2": hypothesis, **more}


def test_snli_json_lines(read):
    examples, counts = read(
        "snli_1.0_dev.jsonl",
        [
            nli("Two dogs. ", " One “cat”.", "contradiction", pairID="12.jpg#0r1c", annotator=[]),
            nli("A man.", "A boy.", "-"),
            "",
            nli("A man.", "", "neutral"),
            nli("  ", "A boy.", "neutral"),
            nli(None, "A boy.", "-"),
            nli("A man.", "A human.", "entailment"),
        ],
    )
    assert examples == [
        TextExample("12.jpg#0r1c", "Two dogs.", "One “cat”.", "contradiction"),
        TextExample("line 7", "A man.", "A human.", "entailment"),
    ]
    assert counts.read == 6
    assert counts.skipped == {
        NO_CONSENSUS: 1,
        "no text in 'sentence2'": 1,
        "no text in 'sentence1'": 2,
    }
    assert counts.first_places[NO_CONSENSUS].endswith("snli_1.0_dev.jsonl', line 2")
    assert counts.first_places["no text in 'sentence2'"].endswith("line 4")
    assert counts.first_places["no text in 'sentence1'"].endswith("line 5")


def test_multinli_test_lines_hide_their_labels(read):
    examples, counts = read("test.jsonl", [nli("A.", "B.", "hidden"), nli("C.", "D.", "hidden")])
    assert [example.label for example in examples] == [None, None]
    assert not counts.skipped


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"text_a": "A.", "text_b": None, "label": "1"}, ("A.", None, "1")),
        ({"text_a": "A.", "text_b": "B.", "label": 0}, ("A.", "B.", "0")),
        ({"premise": "A.", "hypothesis": "B.", "label": 2.0}, ("A.", "B.", "2")),
        ({"sentence": "A.", "label": True}, ("A.", None, "true")),
        ({"text": "A.", "label": None}, ("A.", None, None)),
        ({"question": "Q?", "sentence": "A.", "label": "x"}, ("Q?", "A.", "x")),
        ({"question": "Q?", "passage": "A.", "label": False}, ("Q?", "A.", "false")),
        ({"text": "A."}, ("A.", None, None)),
    ],
)
def test_known_keys(read, record, expected):
    # Two records: the first of a JSON-lines file must not be taken for a header.
    examples, _ = read("a.jsonl", [record, {**record, "id": 7}])
    assert [(e.text_a, e.text_b, e.label) for e in examples] == [expected, expected]
    assert [e.id for e in examples] == ["line 1", "7"]


def test_named_fields_of_json_and_table(read):
    expected = [TextExample("line 2", "P", "H", "yes")]
    examples, _ = read(
        "a.data",
        ["", {"label": "no", "p": "P", "h": "H", "gold": "yes"}],
        fields=("p", "h"),
        label_field="gold",
    )
    assert examples == expected
    table = ["label\th\tgold\tp", "no\tH\tyes\tP"]
    assert read("a.txt", table, fields=("p", "h"), label_field="gold")[0] == expected
    assert read("b.txt", table, fields=("h",))[0] == [TextExample("line 2", "H", None, "no")]


GLUE = {
    "RTE": (
        ["index\tsentence1\tsentence2\tlabel", '0\tA "b.\tC.\tnot_entailment'],
        TextExample("0", 'A "b.', "C.", "not_entailment"),
    ),
    "RTE test": (["index\tsentence1\tsentence2", "0\tA.\tC."], TextExample("0", "A.", "C.", None)),
    "MNLI": (
        [
            "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t"
            "sentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label",
            "0\t1\t1n\tgovernment\t( a )\t( b )\t(R a)\t(R b)\tA.\tB.\tentailment\tneutral",
        ],
        TextExample("1n", "A.", "B.", "neutral"),
    ),
    "SNLI txt": (
        [
            "gold_label\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\t"
            "sentence2_parse\tsentence1\tsentence2\tcaptionID\tpairID\tlabel1\tlabel2",
            "neutral\t( a )\t( b )\t(R a)\t(R b)\tA.\tB.\t3.jpg#1\t3.jpg#1r1n\tneutral",
        ],
        TextExample("3.jpg#1r1n", "A.", "B.", "neutral"),
    ),
    "MRPC": (
        ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String", "1\t70\t71\tA.\tB."],
        TextExample("line 2", "A.", "B.", "1"),
    ),
    "QNLI": (
        ["index\tquestion\tsentence\tlabel", "5\tA?\tB.\tentailment"],
        TextExample("5", "A?", "B.", "entailment"),
    ),
    "QQP": (
        ["id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate", "9\t1\t2\tA?\tB?\t0"],
        TextExample("9", "A?", "B?", "0"),
    ),
    "SST-2": (["sentence\tlabel", "fine \t1"], TextExample("line 2", "fine", None, "1")),
    "SST-2 test": (["index\tsentence", "0\tfine"], TextExample("0", "fine", None, None)),
    "CoLA": (["gj04\t0\t*\tHim slept."], TextExample("line 1", "Him slept.", None, "0")),
    "one column": (["sentence", "fine"], TextExample("line 2", "fine", None, None)),
}


@pytest.mark.parametrize("name", GLUE)
def test_glue_tables(read, name):
    lines, expected = GLUE[name]
    examples, counts = read("SNLI.txt" if "txt" in name else "dev.tsv", lines)
    assert examples == [expected]
    assert (counts.read, counts.skipped) == (1, {})


def test_all_rows_of_cola_are_read(read):
    examples, _ = read("train.tsv", ["gj04\t1\t\tHe slept.", "gj04\t0\t*\tHim slept."])
    assert examples == [
        TextExample("line 1", "He slept.", None, "1"),
        TextExample("line 2", "Him slept.", None, "0"),
    ]


def test_rows_of_other_widths_are_counted(read):
    examples, counts = read(
        "dev.tsv",
        [
            "index\tsentence1\tsentence2\tlabel",
            "0\tA.\tB.",
            "1\tA.\tB.\tyes\t\t ",
            "2\tA\t.\tB.\tyes",
            "3\tA.",
            "4\tA.\t\tyes",
            "5\tA.\tB.\t",
        ],
    )
    assert examples == [TextExample("1", "A.", "B.", "yes")]
    assert counts.read == 6
    assert counts.skipped == {
        SHORT: 2,
        LONG: 1,
        "no text in 'sentence2'": 1,
        "no label in a set that has labels": 1,
    }
    assert counts.first_places[SHORT].endswith("dev.tsv', line 2")
    assert counts.first_places[LONG].endswith("line 4")
    assert counts.first_places["no label in a set that has labels"].endswith("line 7")


def test_a_column_that_is_always_empty_makes_no_pairs(read):
    examples, counts = read("dev.tsv", ["text_a\ttext_b\tlabel", "A.\t\t1", "B.\t \t0"])
    assert [example.text_b for example in examples] == [None, None]
    assert not counts.skipped


def test_a_set_of_pairs_needs_every_second_text(read):
    records = [{"text_a": "A.", "text_b": "B."}, {"text_a": "C."}, {"text_a": "D.", "text_b": None}]
    examples, counts = read("a.jsonl", records)
    assert examples == [TextExample("line 1", "A.", "B.", None)]
    assert counts.skipped == {"no text in 'text_b'": 2}


def test_minus_one_in_a_file_stays_a_class_but_is_noted(read):
    examples, counts = read("a.jsonl", [{"text": "A.", "label": -1}, {"text": "B.", "label": 1}])
    assert [example.label for example in examples] == ["-1", "1"]
    assert counts.noted == {"label -1, kept as a class of its own": 1}


def test_mixed_line_endings(read):
    table = b"\xef\xbb\xbfindex\tsentence\tlabel\r\n0\tA.\tx\n1\tB.\ty\r2\tC.\tz\r\n\r\n"
    examples, counts = read("dev.tsv", table)
    assert [(e.id, e.text_a, e.label) for e in examples] == [
        ("0", "A.", "x"),
        ("1", "B.", "y"),
        ("2", "C.", "z"),
    ]
    assert counts.read == 3
    lines = b'{"text": "A.", "label": "x"}\r\n{"text": "B.\\r\\nC.", "label": "y"}\n'
    assert [example.text_a for example in read("a.jsonl", lines)[0]] == ["A.", "B.\r\nC."]


def test_compressed(read):
    raw = "index\tsentence\tlabel\n0\tÄ.\tx\n".encode()
    examples, _ = read("dev.tsv.gz", gzip.compress(raw))
    assert examples == [TextExample("0", "Ä.", None, "x")]
    with pytest.raises(InputError, match=r"'.*dev2.tsv.gz' is truncated or damaged"):
        read("dev2.tsv.gz", gzip.compress(raw * 100)[:-12])


def test_bad_characters_are_dropped_and_counted(read):
    examples, counts = read("dev.tsv", b"sentence\tlabel\nA\xff.\tx\nB\0.\ty\nC.\tx\n")
    assert [example.text_a for example in examples] == ["A.", "B.", "C."]
    assert counts.repaired == {BAD_CHARACTERS: 2}
    assert counts.first_places[BAD_CHARACTERS].endswith("line 2")
    lines = '{"text": "A."}\n{"text": "B\\u0000\\ud800\\ud83d\\ude00."}\n'
    examples, counts = read("a.jsonl", lines)
    assert [example.text_a for example in examples] == ["A.", "B\U0001f600."]
    assert counts.repaired == {BAD_CHARACTERS: 1}
    assert counts.first_places[BAD_CHARACTERS].endswith("line 2")


def test_a_very_long_text(read):
    text = "word " * 300_000 + "end"
    examples, _ = read("dev.tsv", [f"sentence\tlabel\n{text}\tx"])
    assert examples == [TextExample("line 2", text, None, "x")]


def test_nothing_usable_leaves_nothing_but_counts(read):
    examples, counts = read("a.jsonl", [nli("A.", "B.", "-")])
    assert examples == []
    assert counts.skipped == {NO_CONSENSUS: 1}
    assert read("b.jsonl", "")[1].read == 0


GOOD = '{"text": "A.", "label": "x"}\n'


@pytest.mark.parametrize(
    ("name", "content", "settings", "message"),
    [
        ("a.jsonl", GOOD + '{"text": "B.", "la', {}, r"a.jsonl', line 2: not valid JSON"),
        ("a.json", '{\n"text": "A."}\n', {}, r"a.json', line 1: not valid JSON"),
        ("a.jsonl", GOOD + '["B."]\n', {}, r"line 2: a list where a JSON object"),
        ("a.jsonl", GOOD + '{"text": 3}\n', {}, r"line 2: 'text' holds a int where text"),
        ("a.jsonl", '{"text": "A.", "label": 0.5}\n', {}, r"line 1: the label is 0.5 where a name"),
        ("a.jsonl", '{"text": "A.", "label": [1]}\n', {}, r"line 1: the label is \[1\] where"),
        ("a.jsonl", '{"body": "A."}\n', {}, r"line 1: no known text field .there are 'body'"),
        ("a.jsonl", "{}\n", {}, r"line 1: no known text field .there are none"),
        (
            "a.jsonl",
            GOOD,
            {"fields": ("text", "b")},
            r"`fields` \['text', 'b'\] are not one",
        ),
        ("a.jsonl", GOOD, {"fields": ("text",) * 3}, r"`fields` .* are not one or two"),
        ("a.jsonl", GOOD, {"label_field": "gold"}, r"`label_field` 'gold' is not there: use one"),
        ("a.tsv", "a\tb\nc\td\n", {}, r"a.tsv', line 1: no known text field .there are 'a', 'b'"),
        ("a.tsv", "text\ttext\nc\td\n", {}, r"line 1: the header names the column 'text' twice"),
        ("a.tsv", "text\tlabel\n", {"label_field": "y"}, r"line 1: `label_field` 'y' is not there"),
        ("a.tsv", "\n", {}, r"a.tsv': the table is empty"),
        ("a.csv", "text,label\nA.,x\n", {}, r"a.csv' separates its columns by commas"),
    ],
)
def test_bad_files(read, name, content, settings, message):
    with pytest.raises(InputError, match=message):
        read(name, content, **settings)


def test_bad_sources(tmp_path):
    with pytest.raises(InputError, match=r"nothing.tsv' does not exist"):
        read_text_examples(tmp_path / "nothing.tsv")
    with pytest.raises(InputError, match="is a folder: name one of its files"):
        read_text_examples(tmp_path)
    for source, split in (("tfds:glue/rte", ""), ("tfds:", "train")):
        with pytest.raises(InputError, match=f"'{source}': a TFDS source needs a name and a split"):
            read_text_examples(source, tfds_split=split)


def labelled(*labels):
    return [TextExample(f"line {i}", "A.", None, label) for i, label in enumerate(labels, 1)]


def test_label_names():
    assert label_names(labelled("b", "a", None, "b")) == ("a", "b")
    assert label_names(labelled("10", "9", "-1")) == ("-1", "9", "10")
    assert label_names(labelled("10", "9", "x")) == ("10", "9", "x")
    with pytest.raises(InputError, match="none of the 2 examples has a label"):
        label_names(labelled(None, None))


def test_check_labels():
    check_labels(labelled("a", None, "b"), ("a", "b"), "dev.tsv")
    with pytest.raises(
        InputError, match="'dev.tsv', example 'line 2': label 'c' .*'a', 'b' .2 such"
    ):
        check_labels(labelled("a", "c", "d"), ("a", "b"), "dev.tsv")


@pytest.fixture(scope="module")
def tfds_folder(tmp_path_factory):
    import tensorflow as tf
    import tensorflow_datasets as tfds

    folder = str(tmp_path_factory.mktemp("tfds"))

    def store(name, columns, **features):
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version="1.0.0",
            features=tfds.features.FeaturesDict(features),
            split_datasets={"validation": tf.data.Dataset.from_tensor_slices(columns)},
            data_dir=folder,
        )

    text, classes = tfds.features.Text, tfds.features.ClassLabel
    store(
        "tiny_nli",
        {
            "premise": ["A mañ.", "B.", "C.", "\xff".encode("latin-1")],
            "hypothesis": ["D.", "E.", "", "F."],
            "label": [0, -1, 1, 1],
            "idx": [70, 71, 72, 73],
            "kind": [3, 3, 4, -1],
            "score": [0.5, 0.5, 0.5, 0.5],
            "parse": [["x", "y"]] * 4,
        },
        premise=text(),
        hypothesis=text(),
        label=classes(names=["entailment", "neutral"]),
        idx=tf.int32,
        kind=tf.int32,
        score=tf.float32,
        parse=tfds.features.Sequence(text()),
    )
    store(
        "tiny_test",
        {"sentence": ["A.", "B."], "label": [-1, -1]},
        sentence=text(),
        label=classes(num_classes=2),
    )
    return folder


def read_tfds(folder, name, **settings):
    examples, counts = read_text_examples(
        f"tfds:{name}", **{"tfds_split": "validation", "data_dir": folder} | settings
    )
    assert counts.read == counts.kept + sum(counts.skipped.values())
    # TFDS shuffles a set when it writes it.
    return sorted(examples, key=lambda example: example.text_a), counts


def test_tfds(tfds_folder):
    examples, counts = read_tfds(tfds_folder, "tiny_nli")
    assert examples == [
        TextExample("70", "A mañ.", "D.", "entailment"),
        TextExample("73", "\ufffd", "F.", "neutral"),
    ]
    assert counts.skipped == {
        "no label in a set that has labels": 1,
        "no text in 'hypothesis'": 1,
    }
    place = counts.first_places["no text in 'hypothesis'"]
    assert place.startswith("TFDS 'tiny_nli', split 'validation', example ")
    assert list(counts.noted.values()) == [1]


def test_tfds_split_in_the_source(tfds_folder):
    settings = {"tfds_split": "train"}
    named, _ = read_tfds(tfds_folder, "tiny_nli@validation", **settings)
    assert named == read_tfds(tfds_folder, "tiny_nli")[0]


def test_tfds_test_sets_have_no_labels(tfds_folder):
    examples, counts = read_tfds(tfds_folder, "tiny_test")
    assert [(e.text_a, e.text_b, e.label) for e in examples] == [
        ("A.", None, None),
        ("B.", None, None),
    ]
    assert sorted(example.id for example in examples) == ["example 0", "example 1"]
    assert not counts.skipped


def test_tfds_named_fields(tfds_folder):
    examples, _ = read_tfds(tfds_folder, "tiny_nli", fields=("hypothesis",), label_field="kind")
    assert [(e.text_a, e.text_b, e.label) for e in examples] == [
        ("D.", None, "3"),
        ("E.", None, "3"),
    ]
    examples, _ = read_tfds(tfds_folder, "tiny_nli", fields=("premise",), label_field="hypothesis")
    assert [example.label for example in examples] == ["D.", "E.", "F."]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fields": ("parse",)}, r"`fields` \['parse'\] are not one or two of .*'hypothesis'"),
        ({"label_field": "nope"}, "`label_field` 'nope' is not there"),
        ({"label_field": "score"}, "the label 'score' is neither a class nor a text nor an int"),
        ({"tfds_split": "train"}, "TFDS cannot load 'tiny_nli', split 'train'"),
    ],
)
def test_tfds_errors(tfds_folder, settings, message):
    with pytest.raises(InputError, match=message):
        read_tfds(tfds_folder, "tiny_nli", **settings)
