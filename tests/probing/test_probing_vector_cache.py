import dataclasses
import errno
import json
import os

import numpy as np
import pytest

from hierbert_tf.config_probing import ProbedConfig
from hierbert_tf.errors import InputError, RunStopped
from hierbert_tf.probing import vector_cache
from hierbert_tf.probing.encode import EncodingCounts, encode
from hierbert_tf.probing.probed_encoder import ProbedEncoder
from hierbert_tf.probing.vector_cache import RECORD_FILE, VectorCache
from tests.models.tiny_encoder import stirred, tiny_backbone, tiny_tokenizer
from tests.probing.small_encoders import make_task, our_encoder

CONFIG = ProbedConfig()
TASK = make_task()


@pytest.fixture(scope="module")
def encoder() -> ProbedEncoder:
    return our_encoder()


@pytest.fixture
def passes(monkeypatch):
    """The poolings of each pass over sentences."""
    seen = []

    def counting(encoder, task, vectors, *rest):
        seen.append(tuple(vectors))
        return encode(encoder, task, vectors, *rest)

    monkeypatch.setattr(vector_cache, "encode", counting)
    return seen


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_second_reading_gives_the_same_bytes(encoder, tmp_path, passes):
    first = VectorCache(tmp_path).vectors(encoder, TASK, ("cls", "mean"), CONFIG)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    second = VectorCache(tmp_path).vectors(encoder, TASK, ("cls", "mean"), CONFIG)
    assert passes == [("cls", "mean")]
    assert before == {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    for pooling, array in first.items():
        assert isinstance(array, np.memmap) and not array.flags.writeable
        assert array.dtype == np.float32 and array.shape == (3, 5, 8)
        assert array.tobytes() == second[pooling].tobytes()


def test_vectors_are_the_encoders(encoder, tmp_path):
    got = VectorCache(tmp_path).vectors(encoder, TASK, ("max",), CONFIG)["max"]
    want = {"max": np.zeros([3, 5, 8], "float32")}
    encode(encoder, TASK, want, 32, CONFIG.batch_tokens)
    np.testing.assert_allclose(got, want["max"], atol=1e-6)


def test_only_missing_poolings_are_made(encoder, tmp_path, passes):
    cache = VectorCache(tmp_path)
    cache.vectors(encoder, TASK, ("cls",), CONFIG)
    cache.vectors(encoder, TASK, ("max", "cls", "mean"), CONFIG)
    assert passes == [("cls",), ("max", "mean")]


def test_layout(encoder, tmp_path):
    VectorCache(tmp_path).vectors(encoder, TASK, ("cls",), CONFIG)
    folder = f"{encoder.sha256[:16]}/planted-{TASK.sentences_sha256[:16]}-32"
    assert files(tmp_path) == [f"{folder}/cls.npy", f"{folder}/{RECORD_FILE}"]
    record = json.loads((tmp_path / folder / RECORD_FILE).read_text())
    assert record["encoder_sha256"] == encoder.sha256
    assert record["sentences_sha256"] == TASK.sentences_sha256
    assert (record["layers"], record["hidden"], record["sequence_length"]) == (3, 8, 32)
    assert record["cut_sentences"] == 0


def test_other_weights_sentences_and_lengths_have_other_folders(encoder, tmp_path, passes):
    cache = VectorCache(tmp_path)
    old = cache.vectors(encoder, TASK, ("mean",), CONFIG)["mean"].copy()
    changed = ProbedEncoder(stirred(tiny_backbone(), seed=5), tiny_tokenizer(), "ours")
    new = cache.vectors(changed, TASK, ("mean",), CONFIG)["mean"]
    assert not np.allclose(old, new)
    short = dataclasses.replace(CONFIG, sequence_length=4)
    cut = cache.vectors(encoder, TASK, ("mean",), short)["mean"]
    assert not np.allclose(old, cut)
    assert cache.counts(encoder, TASK, short) == EncodingCounts(cut_sentences=3)
    assert cache.counts(encoder, TASK, CONFIG) == EncodingCounts()
    cache.vectors(encoder, make_task(["w1", "w2"]), ("mean",), CONFIG)
    assert len(passes) == 4
    np.testing.assert_array_equal(cache.vectors(encoder, TASK, ("mean",), CONFIG)["mean"], old)


def test_labels_need_no_new_vectors(encoder, tmp_path, passes):
    cache = VectorCache(tmp_path)
    cache.vectors(encoder, TASK, ("cls",), CONFIG)
    relabelled = dataclasses.replace(TASK, labels=TASK.labels[::-1].copy())
    cache.vectors(encoder, relabelled, ("cls",), CONFIG)
    assert len(passes) == 1


def test_words_are_kept_by_example(encoder, tmp_path):
    task = make_task(["w1s w2", "w3"], word_level=True)
    got = VectorCache(tmp_path).vectors(encoder, task, ("first_token",), CONFIG)
    assert got["first_token"].shape == (3, 3, 8)


@pytest.mark.parametrize("word_level, pooling", [(True, "mean"), (False, "first_token")])
def test_poolings_of_the_other_kind_of_task_are_refused(encoder, tmp_path, word_level, pooling):
    with pytest.raises(ValueError, match="task 'planted' is about"):
        VectorCache(tmp_path).vectors(encoder, make_task(word_level=word_level), (pooling,), CONFIG)


# === Damage ===


@pytest.fixture
def filled(encoder, tmp_path):
    """A cache with the vectors of one task, and their folder."""
    cache = VectorCache(tmp_path)
    cache.vectors(encoder, TASK, ("cls",), CONFIG)
    return cache, next(tmp_path.glob("*/*"))


@pytest.mark.parametrize(
    "key, value",
    [("encoder_sha256", "0" * 64), ("sentences_sha256", "0"), ("layers", 4), ("format", 2)],
)
def test_vectors_of_another_encoder_are_refused(encoder, filled, key, value):
    cache, folder = filled
    path = folder / RECORD_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(InputError, match=rf"another encoder's .*: {key} is .*; remove {folder}"):
        cache.vectors(encoder, TASK, ("cls",), CONFIG)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"cut_sentences": null}'])
def test_a_broken_record_is_refused(encoder, filled, text):
    cache, folder = filled
    (folder / RECORD_FILE).write_text(text)
    with pytest.raises(InputError, match=rf"vectors\.json cannot be read: remove {folder}"):
        cache.vectors(encoder, TASK, ("cls",), CONFIG)


@pytest.mark.parametrize("size", [0, 40, -4])
def test_a_truncated_file_is_refused(encoder, filled, size):
    cache, folder = filled
    path = folder / "cls.npy"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=rf"{path} is damaged .*: remove it"):
        cache.vectors(encoder, TASK, ("cls",), CONFIG)


def test_another_shape_is_refused(encoder, filled):
    cache, folder = filled
    np.save(folder / "cls.npy", np.zeros([3, 5, 7], "float32"))
    with pytest.raises(InputError, match=r"cls\.npy has float32 values \[3, 5, 7\], not .*remove"):
        cache.vectors(encoder, TASK, ("cls",), CONFIG)


def test_vectors_without_a_record_are_made_again(encoder, filled, passes):
    cache, folder = filled
    (folder / RECORD_FILE).unlink()
    np.save(folder / "cls.npy", np.zeros([3, 5, 8], "float32"))
    assert cache.vectors(encoder, TASK, ("cls",), CONFIG)["cls"].any()
    assert passes == [("cls",)]


def test_counts_need_vectors(encoder, tmp_path):
    with pytest.raises(InputError, match=r"has no vectors\.json: make the vectors first"):
        VectorCache(tmp_path).counts(encoder, TASK, CONFIG)


# === Writing ===


def test_nothing_is_left_of_a_failed_pass(encoder, tmp_path, monkeypatch):
    def failing(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(vector_cache, "encode", failing)
        VectorCache(tmp_path).vectors(encoder, TASK, ("cls", "mean"), CONFIG)
    assert files(tmp_path) == []
    assert VectorCache(tmp_path).vectors(encoder, TASK, ("cls",), CONFIG)["cls"].any()


def test_a_full_disk_is_noticed_before_it_is_mapped(encoder, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(RunStopped, match="the disk is full"):
        VectorCache(tmp_path).vectors(encoder, TASK, ("cls",), CONFIG)
    assert files(tmp_path) == []


def test_a_file_system_that_cannot_reserve_is_written_to(encoder, tmp_path, monkeypatch):
    def unable(*arguments):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", unable, raising=False)
    assert VectorCache(tmp_path).vectors(encoder, TASK, ("cls",), CONFIG)["cls"].any()


def test_a_place_that_cannot_be_written_is_named(encoder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        VectorCache(tmp_path / "file").vectors(encoder, TASK, ("cls",), CONFIG)
