import dataclasses
import errno
import json
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.config import (
    CorpusConfig,
    DataConfig,
    RunConfig,
    SourceConfig,
    VocabularyConfig,
)
from hierbert_tf.corpus import prepare as module
from hierbert_tf.corpus.chunk import read_chunk, sentences_path
from hierbert_tf.corpus.learn_stage import sample_chunk
from hierbert_tf.corpus.prepare import prepare
from hierbert_tf.corpus.prepared_folder import publish
from hierbert_tf.corpus.sentence_cache import CachedDocument, SentenceCache
from hierbert_tf.corpus.tokenizer import WordPieceTokenizer
from hierbert_tf.corpus.vocabulary import SPECIAL_TOKENS, Vocabulary
from hierbert_tf.data.manifest import Manifest
from hierbert_tf.data.shards import TOKEN_COUNTS, token_counts
from hierbert_tf.errors import InputError, RunStopped

WORDS = [
    "river",
    "stone",
    "letter",
    "garden",
    "window",
    "morning",
    "captain",
    "silver",
    "market",
    "evening",
]


def document(number):
    words = [(WORDS[(number + i) % 10], WORDS[(number * 3 + i) % 10]) for i in range(4)]
    return " ".join(f"The {one} near the {other} was number {number}." for one, other in words)


def make_config(path, **settings):
    return RunConfig(
        seed=settings.pop("seed", 42),
        corpus=CorpusConfig(
            sources=(SourceConfig(path=str(path), **settings.pop("source", {})),),
            held_out_fraction=settings.pop("held_out_fraction", 0.2),
            shard_tokens=settings.pop("shard_tokens", 500),
        ),
        vocabulary=VocabularyConfig(**{"size": 300} | settings.pop("vocabulary", {})),
        data=DataConfig(sequence_length=32),
    )


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n\n".join(document(i) for i in range(40)))
    return path


@pytest.fixture(scope="module")
def prepared(text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared") / "corpus"
    return folder, prepare(make_config(text), folder)


def read(folder, split):
    """Documents of a split: {document id: sentences of token ids}."""
    documents = {}
    manifest = Manifest.load(folder)
    for shard in manifest.splits[split].shards:
        for raw in tf.data.TFRecordDataset(str(folder / shard.file)).as_numpy_iterator():
            feature = tf.train.Example.FromString(raw).features.feature
            lengths = np.frombuffer(feature["sentence_lengths"].bytes_list.value[0], "<i4")
            tokens = np.frombuffer(feature["token_ids"].bytes_list.value[0], "<u2")
            number = feature["document_id"].int64_list.value[0]
            documents.setdefault(number, []).extend(np.split(tokens, np.cumsum(lengths)[:-1]))
    return documents


def test_every_sentence_stands_in_the_shards(prepared):
    folder, manifest = prepared
    documents = read(folder, "train") | read(folder, "held_out")
    tokenizer = WordPieceTokenizer(Vocabulary.load(folder / "vocab.txt"))
    assert sorted(documents) == list(range(40))
    for number, sentences in documents.items():
        expected = [f"{s}." for s in document(number).rstrip(".").split(". ")]
        assert [s.tolist() for s in sentences] == tokenizer.tokenize(expected).to_list()
    assert manifest.token_dtype == "uint16"
    assert len(manifest.splits["train"].shards) > 1


def test_splits_are_disjoint_and_of_the_right_size(prepared):
    folder, manifest = prepared
    train, held_out = read(folder, "train"), read(folder, "held_out")
    assert not set(train) & set(held_out)
    assert 3 <= len(held_out) <= 14
    assert manifest.splits["held_out"].documents == len(held_out)


def test_the_report_counts(prepared):
    folder, manifest = prepared
    report = json.loads((folder / "corpus_report.json").read_text())
    assert report == manifest.report
    assert (report["documents"], report["sentences"], report["words"]) == (40, 160, 160 * 8)
    assert report["tokens"] == sum(split.tokens for split in manifest.splits.values())
    assert report["held_out_documents"] == manifest.splits["held_out"].documents
    assert report["vocabulary_size"] == manifest.vocabulary_size
    assert report["texts"][0]["licence"] == "not stated: the user's own text"


def test_nothing_else_is_left(prepared):
    folder, manifest = prepared
    shards = [shard.file for split in manifest.splits.values() for shard in split.shards]
    expected = {*shards, "vocab.txt", "manifest.json", "corpus_report.json", TOKEN_COUNTS}
    assert {path.name for path in folder.iterdir()} == expected
    assert [path.name for path in folder.parent.iterdir()] == ["corpus"]


def test_tokens_of_the_training_split_are_counted(prepared):
    folder, manifest = prepared
    tokens = np.concatenate([s for d in read(folder, "train").values() for s in d])
    expected = np.bincount(tokens, minlength=manifest.vocabulary_size)
    np.testing.assert_array_equal(np.load(folder / TOKEN_COUNTS), expected)
    np.testing.assert_array_equal(token_counts(folder), expected)


def test_a_prepared_corpus_is_found_again(prepared, text, monkeypatch):
    folder, manifest = prepared
    monkeypatch.setattr(module, "_prepare_into", lambda *_: pytest.fail("prepared again"))
    assert prepare(make_config(text), folder) == manifest
    assert prepare(make_config(text), folder, replace=False) == manifest


def test_the_current_folder(prepared, text, tmp_path, monkeypatch):
    folder, manifest = prepared
    monkeypatch.chdir(folder)
    assert prepare(make_config(text), ".") == manifest
    monkeypatch.chdir(tmp_path)
    for path in (".", "..", "/"):
        with pytest.raises(InputError, match=r"is the current folder|is no prepared corpus"):
            prepare(make_config(text), path)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(InputError, match=r"empty' is the current folder or one above it"):
        prepare(make_config(text), ".")


def test_other_settings_or_text_prepare_again(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(document(i) for i in range(10)))
    folder = tmp_path / "corpus"
    first = prepare(make_config(text), folder)
    second = prepare(make_config(text, seed=1), folder)
    assert second.config_sha256 != first.config_sha256
    # Same size, other bytes.
    text.write_text(text.read_text().replace("number 3", "number 7"))
    third = prepare(make_config(text, seed=1), folder)
    assert third.config_sha256 != second.config_sha256
    assert Manifest.load(folder) == third
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "text.txt"]


def test_two_processes_give_the_same_bytes(prepared, text, tmp_path):
    folder, _ = prepared
    program = (
        "import sys; sys.path.insert(0, sys.argv[3]);"
        "from test_prepare import make_config, prepare;"
        "prepare(make_config(sys.argv[1]), sys.argv[2])"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(text), str(tmp_path / "b"), os.path.dirname(__file__)],
        env=os.environ | {"PYTHONHASHSEED": "7"},
        check=True,
        capture_output=True,
    )
    for path in folder.iterdir():
        assert (tmp_path / "b" / path.name).read_bytes() == path.read_bytes(), path.name


def test_equal_documents_and_premises_stay_together(tmp_path):
    path = tmp_path / "pairs.jsonl"
    lines = [
        {"sentence1": f"Premise {i % 30} here.", "sentence2": f"Claim {i}."} for i in range(90)
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    manifest = prepare(make_config(path), tmp_path / "corpus")
    sides = {}
    for split in ("train", "held_out"):
        for number in read(tmp_path / "corpus", split):
            sides.setdefault(number % 30, set()).add(split)
    assert all(len(side) == 1 for side in sides.values())
    assert {split for side in sides.values() for split in side} == {"train", "held_out"}
    assert manifest.report["pairs"] == 90
    assert manifest.report["duplicate_lines"] == 60
    # Each pair has 5 + 3 tokens at most: one example.
    assert sum(split.pair_examples for split in manifest.splits.values()) == 90


def test_a_context_and_its_questions_stay_together(tmp_path):
    paragraphs = [
        {"context": document(i), "qas": [{"question": f"Which {i}?"}, {"question": f"Why {i}?"}]}
        for i in range(12)
    ]
    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    prepare(make_config(path), tmp_path / "corpus")
    held_out = set(read(tmp_path / "corpus", "held_out"))
    assert held_out and {number ^ 1 for number in held_out} == held_out


def test_learnt_from_training_documents_only(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(f"Zebra{chr(97 + i)} ran. It {WORDS[i]}." for i in range(10)))
    config = make_config(text, held_out_fraction=0.3)
    prepare(config, tmp_path / "corpus")
    vocabulary = Vocabulary.load(tmp_path / "corpus" / "vocab.txt")
    held_out = read(tmp_path / "corpus", "held_out")
    assert held_out
    for number in held_out:
        assert WORDS[number] not in vocabulary.ids
    for number in read(tmp_path / "corpus", "train"):
        assert WORDS[number] in vocabulary.ids


def test_much_text_is_sampled_evenly_for_the_vocabulary(tmp_path):
    (tmp_path / "chunk").mkdir()
    with SentenceCache(sentences_path(tmp_path / "chunk", 0)) as cache:
        for number, value in enumerate((3, 1 << 63, (1 << 64) - 1)):
            sentences = [f"{number} {i}" for i in range(1000)]
            cache.write(CachedDocument(number, value, False, sentences))
    for name, threshold, share, expected in [
        ("a", 4, 0.1, {"1": 100, "2": 100}),
        ("b", 0, 1.0, {"0": 1000, "1": 1000, "2": 1000}),
    ]:
        (tmp_path / name).mkdir()
        arguments = {"chunk": ["chunk", 0], "threshold": threshold, "share": share}
        sample_chunk(arguments, tmp_path, tmp_path / name)
        kept = [s for document in read_chunk(tmp_path / name, 0) for s in document.sentences]
        assert Counter(sentence.split()[0] for sentence in kept) == expected


def test_given_vocabulary(text, tmp_path):
    Vocabulary([*SPECIAL_TOKENS, "the", ".", "was"]).save(tmp_path / "vocab.txt")
    config = make_config(text, vocabulary={"path": str(tmp_path / "vocab.txt")})
    manifest = prepare(config, tmp_path / "corpus")
    assert manifest.vocabulary_size == 8
    # "the" twice, "was" and "." are known; five words of each sentence are not.
    assert manifest.report["unknown_tokens"] == 160 * 5
    assert manifest.report["unknown_share"] == 5 / 9


@pytest.mark.parametrize(("count", "held_out"), [(1, 0), (2, 1), (3, 1), (4, 2), (7, 2)])
def test_few_documents(tmp_path, count, held_out):
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(document(i) for i in range(count)))
    manifest = prepare(make_config(text, held_out_fraction=1e-9), tmp_path / "corpus")
    assert manifest.splits["held_out"].documents == held_out
    assert manifest.splits["train"].documents == count - held_out


def test_text_that_is_all_the_same_is_all_for_training(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join([document(1)] * 6))
    manifest = prepare(make_config(text, held_out_fraction=0.9), tmp_path / "corpus")
    assert manifest.splits["held_out"].documents == 0
    assert manifest.report["duplicate_lines"] == 5


def test_dirty_text(tmp_path):
    text = tmp_path / "text.txt"
    text.write_bytes(b"One\0 caf\xe9. Two. Three.\n\nFour.\n\n" + b"long word " * 120_000)
    report = prepare(make_config(text), tmp_path / "corpus").report
    assert (report["undecodable_bytes"], report["nul_bytes"], report["cut_lines"]) == (1, 1, 1)
    assert (report["documents"], report["too_short_documents"]) == (3, 1)


def test_progress_is_told(text, tmp_path):
    told = []
    prepare(make_config(text), tmp_path / "corpus", lambda *told_now: told.append(told_now))
    assert told == [("reading", 40), ("vocabulary", 0), ("tokens", 40)]


class TestErrors:
    @pytest.fixture(autouse=True)
    def nothing_is_left(self, tmp_path):
        yield
        assert not list(tmp_path.glob("corpus.tmp*"))

    def test_empty_corpus(self, tmp_path):
        (tmp_path / "a.txt").write_text(" \n\n \n")
        with pytest.raises(InputError, match=r"corpus is empty: no text in '.*a\.txt'"):
            prepare(make_config(tmp_path / "a.txt"), tmp_path / "corpus")
        assert not (tmp_path / "corpus").exists()

    def test_text_without_tokens(self, tmp_path):
        (tmp_path / "a.txt").write_text("\u200b\u200b\n")
        with pytest.raises(InputError, match="no text"):
            prepare(make_config(tmp_path / "a.txt"), tmp_path / "corpus")

    def test_no_source(self, tmp_path):
        config = dataclasses.replace(RunConfig(), corpus=CorpusConfig(sources=()))
        with pytest.raises(InputError, match=r"corpus\.sources is empty"):
            prepare(config, tmp_path / "corpus")

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"held_out_fraction": 1.0}, r"held_out_fraction is 1\.0"),
            ({"held_out_fraction": -0.1}, r"held_out_fraction is -0\.1"),
            ({"shard_tokens": 0}, "shard_tokens is 0"),
            ({"vocabulary": {"size": 5}}, r"vocabulary\.size 5 is too small"),
            ({"vocabulary": {"path": "nowhere/vocab.txt"}}, "cannot read vocabulary"),
            ({"source": {"format": "pdf"}}, "format 'pdf'"),
        ],
    )
    def test_wrong_settings(self, text, tmp_path, settings, message):
        with pytest.raises(InputError, match=message):
            prepare(make_config(text, **settings), tmp_path / "corpus")
        assert not (tmp_path / "corpus").exists()

    def test_wrong_language_and_length(self, text, tmp_path):
        config = make_config(text)
        wrong = dataclasses.replace(config.corpus, language="English")
        with pytest.raises(InputError, match=r"corpus\.language is 'English'"):
            prepare(dataclasses.replace(config, corpus=wrong), tmp_path / "corpus")
        wrong = DataConfig(sequence_length=3)
        with pytest.raises(InputError, match=r"sequence_length is 3"):
            prepare(dataclasses.replace(config, data=wrong), tmp_path / "corpus")

    def test_a_folder_of_something_else_is_not_touched(self, text, tmp_path):
        (tmp_path / "corpus").mkdir()
        (tmp_path / "corpus" / "thesis.tex").write_text("mine")
        with pytest.raises(InputError, match="is no prepared corpus"):
            prepare(make_config(text), tmp_path / "corpus")
        assert (tmp_path / "corpus" / "thesis.tex").read_text() == "mine"

    def test_an_empty_folder_is_used(self, text, tmp_path):
        (tmp_path / "corpus").mkdir()
        prepare(make_config(text), tmp_path / "corpus")
        assert (tmp_path / "corpus" / "manifest.json").is_file()

    @pytest.mark.parametrize(
        ("settings", "named"),
        [
            ({"seed": 1}, "seed"),
            (
                {"vocabulary": {"size": 200}, "shard_tokens": 300},
                "corpus.shard_tokens, vocabulary.size",
            ),
            ({"source": {"document_break": "line"}}, "other corpus.sources"),
        ],
    )
    def test_what_must_not_be_replaced_stays(self, prepared, text, settings, named):
        folder, manifest = prepared
        message = rf"other text or settings \({named}\), .* or --from-scratch"
        with pytest.raises(InputError, match=message):
            prepare(make_config(text, **settings), folder, replace=False)
        assert Manifest.load(folder) == manifest
        manifest.verify(folder, content=True)

    def test_changed_text_is_named_and_a_folder_without_record_refused(self, tmp_path):
        text = tmp_path / "text.txt"
        text.write_text(document(1))
        manifest = prepare(make_config(text), tmp_path / "corpus", replace=False)
        text.write_text(document(2))
        with pytest.raises(InputError, match=r"settings \(the sources' files changed\), and"):
            prepare(make_config(text), tmp_path / "corpus", replace=False)
        dataclasses.replace(manifest, preparation={}).save(tmp_path / "corpus")
        with pytest.raises(InputError, match="prepared from other text or settings, and"):
            prepare(make_config(text), tmp_path / "corpus", replace=False)
        assert prepare(make_config(text), tmp_path / "corpus").preparation

    def test_a_failed_rename_leaves_the_old_one(self, tmp_path, monkeypatch):
        for name in ("corpus", "work"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "name").write_text(name)
        rename = os.rename

        def fail(source, target):
            if source == tmp_path / "work":
                raise OSError(errno.EIO, "broken")
            rename(source, target)

        monkeypatch.setattr(os, "rename", fail)
        with pytest.raises(OSError, match="broken"):
            publish(tmp_path / "work", tmp_path / "corpus")
        assert (tmp_path / "corpus" / "name").read_text() == "corpus"

    def test_a_damaged_shard_is_named(self, text, tmp_path):
        prepare(make_config(text), tmp_path / "corpus")
        (tmp_path / "corpus" / "train-00001.tfrecord").write_bytes(b"")
        with pytest.raises(InputError, match=r"train-00001\.tfrecord' has 0 bytes"):
            prepare(make_config(text), tmp_path / "corpus")

    @pytest.mark.parametrize(
        ("error", "raised", "message"),
        [
            (OSError(errno.ENOSPC, "No space left on device"), RunStopped, "the disk is full"),
            (OSError(errno.EROFS, "Read-only file system"), InputError, "Read-only file system"),
            (
                tf.errors.ResourceExhaustedError(None, None, "f.tfrecord; No space left on device"),
                RunStopped,
                "the disk is full",
            ),
            (tf.errors.PermissionDeniedError(None, None, "no"), InputError, "choose another place"),
        ],
    )
    def test_storage_fails(self, text, tmp_path, monkeypatch, error, raised, message):
        def fail(*_):
            raise error

        monkeypatch.setattr("hierbert_tf.data.shards.ShardWriter._write", fail)
        with pytest.raises(raised, match=message):
            prepare(make_config(text), tmp_path / "corpus")
        assert not (tmp_path / "corpus").exists()

    def test_a_failed_repetition_leaves_the_old_one_whole(self, text, tmp_path, monkeypatch):
        manifest = prepare(make_config(text), tmp_path / "corpus")
        monkeypatch.setattr(
            "hierbert_tf.corpus.report.CorpusReport.save",
            lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")),
        )
        with pytest.raises(RunStopped):
            prepare(make_config(text, seed=2), tmp_path / "corpus")
        assert Manifest.load(tmp_path / "corpus") == manifest
        manifest.verify(tmp_path / "corpus")

    def test_what_a_killed_preparation_left_is_removed(self, text, tmp_path):
        manifest = prepare(make_config(text), tmp_path / "corpus")
        work, retired = tmp_path / "corpus.tmp", tmp_path / "corpus.tmp-retired"
        # Killed after the new folder was in place, before the old one was gone.
        (work / "read").mkdir(parents=True)
        retired.mkdir()
        assert prepare(make_config(text), tmp_path / "corpus") == manifest
        assert not work.exists()
        assert not retired.exists()
