import gzip
import json

import pytest

from hierbert_tf.downstream.question_examples import (
    MOVED,
    NOT_FOUND_NEARBY,
    NOT_IN_CONTEXT,
    GoldAnswer,
    QuestionExample,
    read_question_examples,
)
from hierbert_tf.errors import InputError

CONTEXT = "Der Bär  schläft.\r\nΩδή 😀 cafe\u0301 schläft\rnicht,\u2028sagt\tRa\u200bm."
NICHT = CONTEXT.index("nicht")


def question(name, *answers, **more):
    found = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": name, "question": f"Who is {name}?", "answers": found, **more}


def squad(*questions, context=CONTEXT, title="Schlaf"):
    paragraphs = [{"context": context, "qas": list(questions)}]
    return {"version": "2.0", "data": [{"title": title, "paragraphs": paragraphs}]}


@pytest.fixture
def read(tmp_path):
    """Writes a set and reads it; checks counts and the places of all answers."""

    def write_and_read(data, name="dev.json", for_training=True, **settings):
        path = tmp_path / name
        data = json.dumps(data, ensure_ascii=False) if isinstance(data, dict) else data
        path.write_bytes(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data)
        examples, counts = read_question_examples(path, for_training=for_training, **settings)
        check(examples, counts, for_training)
        return examples, counts

    return write_and_read


def check(examples, counts, for_training):
    assert counts.read == counts.kept + sum(counts.skipped.values())
    assert counts.kept == len(examples)
    for example in examples:
        for gold in example.answers:
            if for_training or gold.start >= 0:
                end = gold.start + len(gold.text)
                assert example.context[gold.start : end] == gold.text
        assert example.answers or example.is_impossible or not for_training


def test_squad_1(read):
    starts = [(text, CONTEXT.index(text)) for text in ("Bär", "Bär  schläft.\r\nΩ", "cafe\u0301")]
    examples, counts = read(squad(question("1", *starts), question("2", ("nicht", NICHT + 2))))
    gold = tuple(GoldAnswer(text, start) for text, start in starts)
    assert examples == [
        QuestionExample("1", "Schlaf", "Who is 1?", CONTEXT, gold, False),
        QuestionExample("2", "Schlaf", "Who is 2?", CONTEXT, (GoldAnswer("nicht", NICHT),), False),
    ]
    assert counts.read == 2
    assert counts.repaired == {MOVED: 1}
    assert counts.first_places[MOVED].endswith("dev.json', question '2'")


def test_characters_beyond_the_basic_plane_count_once(read):
    (example,), counts = read(squad(question("1", ("cafe\u0301", CONTEXT.index("cafe")))))
    assert not counts.repaired
    assert example.context == CONTEXT
    escaped = json.dumps(squad(question("1", ("cafe\u0301", CONTEXT.index("cafe")))))
    assert "\\ud83d\\ude00" in escaped
    assert read(escaped)[0] == [example]


@pytest.mark.parametrize("for_training", [True, False])
def test_squad_2(read, for_training):
    data = squad(
        question("1", ("Bär", 4), is_impossible=False),
        question("2", is_impossible=True, plausible_answers=[{"text": "Bär", "answer_start": 4}]),
    )
    examples, counts = read(data, for_training=for_training)
    assert [(e.id, e.answers, e.is_impossible) for e in examples] == [
        ("1", (GoldAnswer("Bär", 4),), False),
        ("2", (), True),
    ]
    assert (counts.skipped, counts.repaired, counts.noted) == ({}, {}, {})


#          0         1         2         3
#          0123456789012345678901234567890123456789
REPEATED = "ab xx ab xx xx cd xx xx xx xx ab ef xx"


@pytest.mark.parametrize(
    ("text", "start", "within", "found", "fault"),
    [
        ("cd", 15, 64, 15, ""),
        ("cd", 14, 1, 15, MOVED),
        ("cd", 16, 1, 15, MOVED),
        ("cd", 13, 1, -1, NOT_FOUND_NEARBY),
        ("cd", 17, 1, -1, NOT_FOUND_NEARBY),
        ("cd", 0, 64, 15, MOVED),
        ("cd", -1, 64, 15, MOVED),
        ("cd", 10_000, 64, -1, NOT_FOUND_NEARBY),
        ("ab", 6, 0, 6, ""),
        ("ab", 7, 64, -1, NOT_FOUND_NEARBY),
        ("ab", 7, 6, 6, MOVED),
        ("ab", 7, 7, -1, NOT_FOUND_NEARBY),
        ("ab", 3, 3, -1, NOT_FOUND_NEARBY),
        ("ab", 25, 10, 30, MOVED),
        ("ab", None, 64, -1, NOT_FOUND_NEARBY),
        ("ef", None, 0, 33, MOVED),
        ("gh", 3, 64, -1, NOT_IN_CONTEXT),
        ("AB", 0, 64, -1, NOT_IN_CONTEXT),
        ("  ", 2, 64, -1, "an empty answer"),
        ("", 0, 64, -1, "an empty answer"),
    ],
)
def test_answer_starts(read, text, start, within, found, fault):
    data = squad(question("q", (text, start)), context=REPEATED)
    examples, counts = read(data, repair_within=within)
    scored, scored_counts = read(data, repair_within=within, for_training=False)
    assert scored[0].answers == (GoldAnswer(text, found),)
    if found >= 0:
        assert examples[0].answers == (GoldAnswer(text, found),)
        assert counts.repaired == scored_counts.repaired == ({fault: 1} if fault else {})
        assert (counts.skipped, scored_counts.noted) == ({}, {})
    else:
        assert examples == []
        assert counts.skipped == {f"no answer left: {fault}": 1}
        assert scored_counts.noted == {f"{fault}: kept for scoring": 1}
        assert scored_counts.first_places[f"{fault}: kept for scoring"].endswith("question 'q'")


def test_training_leaves_out_one_answer_of_several(read):
    data = squad(question("1", ("Bär", 4), ("Wolf", 0)), question("2", ("Wolf", 0)))
    examples, counts = read(data)
    assert [(example.id, len(example.answers)) for example in examples] == [("1", 1)]
    assert counts.noted == {f"{NOT_IN_CONTEXT}: left out": 1}
    assert counts.skipped == {f"no answer left: {NOT_IN_CONTEXT}": 1}
    assert counts.first_places[f"no answer left: {NOT_IN_CONTEXT}"].endswith("question '2'")
    examples, counts = read(data, for_training=False)
    assert examples[0].answers == (GoldAnswer("Bär", 4), GoldAnswer("Wolf", -1))
    assert examples[1].answers == (GoldAnswer("Wolf", -1),)
    assert counts.noted == {f"{NOT_IN_CONTEXT}: kept for scoring": 2}


def test_questions_without_answers(read):
    data = squad(
        question("none"),
        {"id": 7, "question": "Key missing?"},
        question("both", ("Bär", 4), is_impossible=True),
        {"id": "empty", "question": " \n", "answers": []},
    )
    examples, counts = read(data)
    assert examples == []
    assert counts.skipped == {
        "no answer": 2,
        "a question that is_impossible but has answers": 1,
        "an empty question": 1,
    }
    examples, counts = read(data, for_training=False)
    assert [(e.id, e.answers, e.is_impossible) for e in examples] == [
        ("none", (), False),
        ("7", (), False),
        ("both", (GoldAnswer("Bär", 4),), False),
    ]
    assert counts.skipped == {"an empty question": 1}
    assert counts.noted == {
        "no gold answer": 2,
        "is_impossible, but with answers: scored by its answers": 1,
    }


def test_empty_contexts_are_skipped(read):
    for for_training in (True, False):
        data = squad(question("1", ("x", 0)), question("2"), context=" \n")
        examples, counts = read(data, for_training=for_training)
        assert examples == []
        assert counts.skipped == {"an empty context": 2}
        assert counts.first_places["an empty context"].endswith("question '1'")


def test_characters_without_a_utf8_form_keep_their_places(read):
    text = json.dumps(squad(question("1\ud800", ("c", 4)), context="a\0\ud800bc", title="\udfff"))
    (example,), counts = read(text)
    assert example.context == "a\ufffd\ufffdbc"
    assert (example.id, example.title) == ("1\ufffd", "\ufffd")
    assert example.answers == (GoldAnswer("c", 4),)
    assert sum(counts.repaired.values()) == 4  # title, context, id and question
    raw = json.dumps(squad(question("1", ("c", 3)), context="aé¿c"), ensure_ascii=False, indent=1)
    (example,), counts = read(raw.encode().replace("¿".encode(), b"\xff"))
    assert example.context == "aé\ufffdc"
    (place,) = counts.first_places.values()
    line = raw[: raw.index("¿")].count("\n") + 1
    assert place.endswith(f"dev.json', line {line}")


def test_a_context_of_100_000_characters(read):
    context = "Ein Bär 😀. " * 10_000 + "Ein Wolf."
    start = context.index("Wolf")
    (example,), counts = read(squad(question("1", ("Wolf", start + 60)), context=context))
    assert len(example.context) > 100_000
    assert example.answers == (GoldAnswer("Wolf", start),)
    assert counts.repaired == {MOVED: 1}


def test_compressed(read):
    data = squad(question("1", ("Bär", 4)))
    examples, _ = read(gzip.compress(json.dumps(data).encode()), "dev.json.gz")
    assert examples[0].context == CONTEXT


def test_crlf_between_the_lines_of_a_file_changes_no_context(read):
    text = json.dumps(squad(question("1", ("Bär", 4))), indent=1).replace("\n", "\r\n")
    assert read("\ufeff" + text)[0][0].context == CONTEXT


WHOLE = json.dumps(squad(question("1", ("Bär", 4))), indent=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WHOLE[: WHOLE.index('"qas"')], r"dev.json', line 9, column \d+: not valid JSON .*cut sh"),
        (
            WHOLE[: WHOLE.index("Who is")],
            r"dev.json', line \d+, column \d+: not valid JSON .Untermin",
        ),
        ("", r"dev.json', line 1, column 1: not valid JSON"),
        ("[" * 100_000, r"dev.json': not valid JSON"),
        ('{"date": []}', r"dev.json': no 'data' with a list: this is not SQuAD's form"),
        ("[1]", r"dev.json': no 'data' with a list"),
        ('{"data": [{"title": "a"}]}', r"data\[0\]: no 'paragraphs' with a list"),
        (
            '{"data": [{"paragraphs": [{}]}]}',
            r"data\[0\].paragraphs\[0\]: no 'context' with a text",
        ),
        (squad({"id": "1"}), r"paragraphs\[0\].qas\[0\]: no 'question' with a text"),
        (squad({"question": "Who?"}), r"qas\[0\]: no 'id' with a text"),
        (squad({"question": "Who?", "id": True}), r"qas\[0\]: no 'id' with a text"),
        (squad(question("1"), question("1")), r"'1': two questions have this id"),
        (squad(question("1", ("Bär", 1.5))), r"question '1': 'answer_start' is 1.5 where a number"),
        (squad(question("1", ("Bär", True))), r"question '1': 'answer_start' is true where"),
        (squad(question("1", (4, 4))), r"question '1', answers: no 'text' with a text"),
        (
            squad({"id": 1, "question": "?", "answers": 3}),
            r"question '1': no 'answers' with a list",
        ),
        (
            squad(question("1", is_impossible="no")),
            r"question '1': 'is_impossible' is .no., not true",
        ),
    ],
)
def test_bad_files(read, content, message):
    with pytest.raises(InputError, match=message):
        read(content)


def test_bad_sources(tmp_path):
    for source, settings, message in (
        (tmp_path / "no.json", {}, "no.json' does not exist"),
        (tmp_path, {}, "is a folder: name one of its files"),
        ("tfds:squad/v2.0", {}, "a TFDS source needs a name and a split"),
        (tmp_path, {"repair_within": -1}, "repair_within is -1: give a number of characters >= 0"),
    ):
        with pytest.raises(InputError, match=message):
            read_question_examples(source, for_training=True, **settings)


@pytest.fixture(scope="module")
def tfds_folder(tmp_path_factory):
    import tensorflow as tf
    import tensorflow_datasets as tfds
    from tensorflow_datasets.question_answering.qa_utils import squadlike_features

    folder = str(tmp_path_factory.mktemp("tfds"))

    def store(name, features, rows):
        spec = features.get_tensor_info()
        signature = {
            key: {inner: tf.TensorSpec(i.shape, i.tf_dtype) for inner, i in info.items()}
            if isinstance(info, dict)
            else tf.TensorSpec(info.shape, info.tf_dtype)
            for key, info in spec.items()
        }
        tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version="1.0.0",
            features=features,
            split_datasets={
                "validation": tf.data.Dataset.from_generator(
                    lambda: iter(rows), output_signature=signature
                )
            },
            data_dir=folder,
        )

    def row(name, answers, **more):
        texts, starts = [text for text, _ in answers], [start for _, start in answers]
        return {
            "id": name,
            "title": "Schlaf",
            "context": CONTEXT,
            "question": f"Who is {name}?",
            "answers": {"text": texts, "answer_start": starts},
            **more,
        }

    store("tiny_squad", squadlike_features(), [row("1", [("Bär", 4), ("nicht", NICHT)])])
    version_2 = tfds.features.FeaturesDict(
        {
            **dict(squadlike_features().items()),
            "plausible_answers": squadlike_features()["answers"],
            "is_impossible": tf.bool,
        }
    )
    none = {"text": [], "answer_start": []}
    rows = [
        row("1", [("Bär", 5)], plausible_answers=none, is_impossible=False),
        row("2", [], plausible_answers={"text": ["Ra"], "answer_start": [9]}, is_impossible=True),
    ]
    store("tiny_squad2", version_2, rows)
    text = tfds.features.Text()
    flat = {"id": text, "question": text, "context": text, "answers": text}
    store("flat", tfds.features.FeaturesDict(flat), [dict.fromkeys(flat, "x")])
    return folder


def test_tfds(tfds_folder):
    def read(name):
        examples, counts = read_question_examples(
            f"tfds:{name}", for_training=True, tfds_split="validation", data_dir=tfds_folder
        )
        check(examples, counts, True)
        return sorted(examples, key=lambda example: example.id), counts

    examples, counts = read("tiny_squad")
    gold = (GoldAnswer("Bär", 4), GoldAnswer("nicht", NICHT))
    assert examples == [QuestionExample("1", "Schlaf", "Who is 1?", CONTEXT, gold, False)]
    assert not counts.repaired
    examples, counts = read("tiny_squad2")
    assert [(e.id, e.answers, e.is_impossible) for e in examples] == [
        ("1", (GoldAnswer("Bär", 4),), False),
        ("2", (), True),
    ]
    assert counts.repaired == {MOVED: 1}
    assert counts.first_places[MOVED] == ("TFDS 'tiny_squad2', split 'validation', question '1'")
    with pytest.raises(InputError, match="no 'answers.text', 'answers.answer_start': this set"):
        read("flat")
