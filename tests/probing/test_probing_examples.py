"""Reading SentEval's format: what is kept, what is counted, what is refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from hierbert_tf.errors import InputError
from hierbert_tf.probing.example_files import (
    EMPTY_SENTENCE,
    IN_TRAINING,
    NULS,
    find_probing_tasks,
    read_probing_task,
)
from hierbert_tf.probing.examples import TEST, TRAIN, VALIDATION, sentence_words

LINES = (
    "tr\tPRES\tIt rains .",
    "tr\tPAST\tIt rained .",
    "tr\tPRES\tHe leaves .",
    "va\tPAST\tHe left .",
    "te\tPRES\tShe comes .",
    "te\tPAST\tShe came .",
)
WORDS = (
    "tr\tPRON VERB PUNCT\tIt rains .",
    "tr\tPRON VERB\tHe  left",
    "va\tVERB PUNCT\tCome !",
    "te\tPRON\tWe",
)


@pytest.fixture
def write(tmp_path):
    def write(content, name="tense.txt"):
        if not isinstance(content, bytes):
            content = "".join(f"{line}\n" for line in content).encode()
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def read(write):
    def read(content, word_level=False, name="tense.txt"):
        task = read_probing_task(write(content, name), word_level)
        assert task.counts.read == task.counts.kept + sum(task.counts.skipped.values())
        assert task.counts.kept == len(task.sentences)
        return task

    return read


def test_sentences(read):
    task = read(LINES)
    assert (task.name, task.word_level) == ("tense", False)
    assert Path(task.path).name == "tense.txt"
    assert task.sentences == tuple(line.split("\t")[2] for line in LINES)
    assert task.label_names == ("PAST", "PRES")
    assert task.labels.tolist() == [1, 0, 1, 0, 1, 0]
    assert task.splits.tolist() == [0, 0, 0, 1, 2, 2]
    assert task.sentence_index.tolist() == [0, 1, 2, 3, 4, 5]
    assert task.word_index.tolist() == [0] * 6
    types = [a.dtype for a in (task.sentence_index, task.word_index, task.labels, task.splits)]
    assert types == [np.int32, np.int32, np.int32, np.int8]
    assert [task.rows(split).tolist() for split in (TRAIN, VALIDATION, TEST)] == [
        [0, 1, 2],
        [3],
        [4, 5],
    ]
    assert task.rows(TRAIN).dtype == np.int64


def test_words(read):
    task = read(WORDS, word_level=True)
    assert task.label_names == ("PRON", "PUNCT", "VERB")
    assert task.sentence_index.tolist() == [0, 0, 0, 1, 1, 2, 2, 3]
    assert task.word_index.tolist() == [0, 1, 2, 0, 1, 0, 1, 0]
    assert task.labels.tolist() == [0, 2, 1, 0, 2, 2, 1, 0]
    assert task.splits.tolist() == [0, 0, 0, 0, 0, 1, 1, 2]
    assert task.rows(VALIDATION).tolist() == [5, 6]
    types = [a.dtype for a in (task.sentence_index, task.word_index, task.labels, task.splits)]
    assert types == [np.int32, np.int32, np.int32, np.int8]


def test_a_no_break_space_is_part_of_its_word(read):
    task = read(["tr\tNUM NOUN\t10\u00a0000 men", *WORDS], word_level=True)
    assert task.sentence_index.tolist()[:5] == [0, 0, 1, 1, 1]
    assert sentence_words(task.sentences[0]) == ["10\u00a0000", "men"]


def test_majority_is_that_of_training(read):
    task = read(LINES)
    assert task.majority() == task.majority(TEST) == 0.5
    assert task.majority(VALIDATION) == 0.0
    assert task.majority(TRAIN) == 2 / 3


def test_of_equally_frequent_labels_the_first_by_name_is_the_majority(read):
    assert read([*LINES, "tr\tPAST\tWe left ."]).majority(VALIDATION) == 1.0


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\n", "\r\n", 2),
        lambda text: text.replace("\n", "\r", 3),
        lambda text: "\ufeff" + text,
        lambda text: text.rstrip("\n"),
        lambda text: "\n \n" + text.replace("\n", "\n\n"),
        lambda text: text.replace("\n", " \t\n"),
        lambda text: text.replace("\t", " \t "),
    ],
    ids=["CRLF", "CR", "mixed", "CR first", "BOM", "no end", "blank", "tab at the end", "spaces"],
)
def test_forms_of_the_same_file(write, change):
    text = "".join(f"{line}\n" for line in LINES)
    plain = read_probing_task(write(text.encode()))
    other = read_probing_task(write(change(text).encode()))
    assert other.sentences == plain.sentences
    assert other.examples_sha256 == plain.examples_sha256
    assert other.counts.read == 6


def test_compressed(write):
    path = write(gzip.compress("\n".join(LINES).encode()))
    assert len(read_probing_task(path).sentences) == 6


def test_empty_sentences_are_skipped_and_counted(read):
    task = read([*LINES[:2], "tr\tPRES\t", "tr\t\t  ", *LINES[2:]])
    assert task.sentences == tuple(line.split("\t")[2] for line in LINES)
    assert task.counts.skipped == {EMPTY_SENTENCE: 2}
    assert task.counts.first_places[EMPTY_SENTENCE].endswith("tense.txt', line 3")


def test_sentences_in_training_and_test_are_kept_and_counted(read):
    task = read([*LINES, "te\tPRES\tIt rains .", "te\tPAST\tIt rained .", "va\tPRES\tIt rains ."])
    assert len(task.sentences) == 9
    assert task.counts.noted == {IN_TRAINING: 2}
    assert task.counts.first_places[IN_TRAINING].endswith("line 7")


def test_nul_characters_are_left_out_and_counted(read):
    task = read([*LINES, "te\tPRES\tIt\0 rains !"])
    assert task.sentences[-1] == "It rains !"
    assert task.counts.repaired == {NULS: 1}


def test_a_line_of_unicode_line_separators_is_one_line(read):
    assert (
        read([*LINES, "te\tPRES\tIt \u2028 rains \x85 !"]).sentences[-1] == "It \u2028 rains \x85 !"
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train\tPRES\tIt is .", "line 7: the split is 'train', but must be tr, va or te."),
        ("TR\tPRES\tIt is .", "line 7: the split is 'TR'"),
        ("\tPRES\tIt is .", "line 7: the split is ''"),
        ("tr\tPRES It is .", "line 7: 1 tabs where split, label and sentence have 2"),
        ("Read me", "line 7: 0 tabs where"),
        ("tr\tPRES\tIt is\there .", "line 7: a tab in the sentence"),
        ("tr\tPRES\t\tIt is .", "line 7: a tab in the sentence"),
        ("tr\t \tIt is .", "line 7: the label is empty"),
        ("te\tFUT\tIt will .", "line 7: the label 'FUT' is not in the split 'tr'"),
        ("va\tpres\tIt is .", "line 7: the label 'pres' is not in the split 'tr'"),
    ],
)
def test_a_wrong_line_is_named(write, line, message):
    with pytest.raises(InputError) as error:
        read_probing_task(write([*LINES, line]))
    assert message in str(error.value)
    assert "tense.txt', line 7" in str(error.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tr\tPRON VERB\tIt rains .", "line 5: 2 labels for 3 words"),
        ("tr\tPRON VERB PUNCT PUNCT\tIt rains .", "line 5: 4 labels for 3 words"),
        ("te\tPRON NOUN\tMy house", "line 5: the label 'NOUN' is not in the split 'tr'"),
        ("tr\t\tIt rains .", "line 5: the label is empty"),
    ],
)
def test_a_wrong_line_of_words_is_named(write, line, message):
    with pytest.raises(InputError, match=message):
        read_probing_task(write([*WORDS, line]), word_level=True)


def test_bytes_that_are_no_text_are_named(write):
    content = "\n".join(LINES[:2]).encode() + "\nva\tPAST\tHôtel .\n".encode("latin-1")
    with pytest.raises(InputError, match=r"line 3: byte 0xf4 is not UTF-8: convert the file."):
        read_probing_task(write(content))
    with pytest.raises(InputError, match="UTF-16"):
        read_probing_task(write("\n".join(LINES).encode("utf-16")))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file(write, content):
    with pytest.raises(InputError, match=r"tense.txt' is empty"):
        read_probing_task(write(content))


@pytest.mark.parametrize("split", ["tr", "va", "te"])
def test_a_split_without_sentences(write, split):
    kept = [line for line in LINES if not line.startswith(split)]
    with pytest.raises(InputError, match=f"has no sentence of the split '{split}'"):
        read_probing_task(write([*kept, f"{split}\tPRES\t "]))


def test_a_task_of_one_class(write):
    with pytest.raises(InputError, match=r"only the label 'PRES' in the split 'tr'"):
        read_probing_task(write([line.replace("PAST", "PRES") for line in LINES]))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*none.txt"):
        read_probing_task(tmp_path / "none.txt")


def test_a_line_without_end(write, monkeypatch):
    monkeypatch.setattr("hierbert_tf.probing.example_files._LONGEST_LINE", 50)
    with pytest.raises(InputError, match=r"line 7: more than 50 bytes: cut it."):
        read_probing_task(write([*LINES, "te\tPRES\t" + "very " * 20]))


def test_hashes_change_with_what_they_stand_for(read):
    task = read(LINES)
    same = read(LINES)
    assert (same.sentences_sha256, same.examples_sha256) == (
        task.sentences_sha256,
        task.examples_sha256,
    )
    swapped = read([LINES[1], LINES[0], *LINES[2:]])
    assert swapped.sentences_sha256 != task.sentences_sha256
    for change in (
        lambda line: line.replace("PAST", "PERF"),
        lambda line: line.replace("tr\tPRES\tHe", "va\tPRES\tHe"),
        lambda line: line.replace("PRES\tIt", "PAST\tIt"),
    ):
        other = read([change(line) for line in LINES])
        assert other.sentences_sha256 == task.sentences_sha256
        assert other.examples_sha256 != task.examples_sha256
    named = read(LINES, name="time.txt")
    assert named.sentences_sha256 == task.sentences_sha256
    assert named.examples_sha256 != task.examples_sha256


def test_words_and_sentences_have_other_vectors(read):
    # One word a sentence: the sentences and indices are the same.
    lines = ["tr\tA\tone", "tr\tB\ttwo", "va\tA\tthree", "te\tB\tfour"]
    words, sentences = read(lines, word_level=True), read(lines)
    assert words.sentence_index.tolist() == sentences.sentence_index.tolist()
    assert words.sentences_sha256 != sentences.sentences_sha256


@pytest.fixture
def folder(tmp_path):
    for name in ("b.txt", "a.txt", "c.d.txt", "._a.txt", "notes.md"):
        (tmp_path / name).touch()
    (tmp_path / "e.txt").mkdir()
    return tmp_path


def test_tasks_of_a_folder(folder):
    assert find_probing_tasks(folder) == [folder / n for n in ("a.txt", "b.txt", "c.d.txt")]
    assert find_probing_tasks(str(folder), ("c.d", "a")) == [folder / "a.txt", folder / "c.d.txt"]
    assert find_probing_tasks(folder, ("a",), ("b",)) == [folder / "a.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((("a", "z"),), "tasks names 'z', but the tasks in .* are 'a', 'b', 'c.d'."),
        (((), ("y",)), "word_level names 'y', but the tasks in .* are 'a', 'b', 'c.d'."),
    ],
)
def test_an_unknown_task(folder, arguments, message):
    with pytest.raises(InputError, match=message):
        find_probing_tasks(folder, *arguments)


def test_a_folder_without_tasks(folder):
    with pytest.raises(InputError, match="does not exist: check data"):
        find_probing_tasks(folder / "none")
    with pytest.raises(InputError, match="must be a folder of probing tasks"):
        find_probing_tasks(folder / "a.txt")
    with pytest.raises(InputError, match=r"holds no .txt file"):
        find_probing_tasks(folder / "e.txt")
