import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.config import DataConfig, ReceivesConfig, TaskConfig
from hierbert_tf.data.pipeline import PretrainingData
from hierbert_tf.data.shards import Manifest, ShardWriter, Split
from hierbert_tf.errors import InputError
from hierbert_tf.tasks import build_tasks
from tests.conftest import ID, TOKENS, make_table, show

CONFIG = DataConfig(sequence_length=16, batch_size=4, length_multiple=4, window_shards=2)
TASKS = (
    TaskConfig("next_sentence", 1),
    TaskConfig("bigram_shift", 1),
    TaskConfig("masked_lm", 2, receives=ReceivesConfig("next_sentence")),
)


def write(folder: Path, documents: list[list[list[int]]], shard_tokens: int = 60) -> Path:
    """Prepares documents of sentences of ids; every fifth is held out."""
    splits = {}
    for split in ("train", "held_out"):
        writer = ShardWriter(folder, split, "uint16", shard_tokens, CONFIG.sequence_length)
        for number, document in enumerate(documents):
            if (number % 5 == 4) == (split == "held_out"):
                lengths = np.array([len(sentence) for sentence in document])
                writer.add(number, np.concatenate(document), lengths, False)
        shards = tuple(writer.close())
        splits[split] = Split(
            *(
                sum(getattr(s, name) for s in shards)
                for name in ("documents", "sentences", "tokens")
            ),
            shards,
        )
    Manifest("uint16", "0" * 64, len(TOKENS), True, 16, "0" * 64, splits).save(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    random = np.random.default_rng(4)
    documents = [
        [random.integers(ID["."], len(TOKENS), random.integers(2, 9)) for _ in range(sentences)]
        for sentences in random.integers(1, 9, 40)
    ]
    return write(tmp_path_factory.mktemp("shards"), documents)


def data(folder: Path, tasks=TASKS, seed: int = 42, **changes) -> PretrainingData:
    config = dataclasses.replace(CONFIG, **changes)
    return PretrainingData(folder, build_tasks(tasks, 2), make_table(), config, seed)


def arrays(dataset: tf.data.Dataset) -> list:
    return list(dataset.as_numpy_iterator())


def assert_same(one: list, other: list) -> None:
    assert len(one) == len(other)
    tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def test_batches_have_the_declared_features_and_labels(folder):
    pretraining = data(folder)
    batches = arrays(pretraining.training(12))
    assert len(batches) == 12
    for features, labels, weights in batches:
        assert set(features) == {feature.name for feature in pretraining.features()}
        for feature in pretraining.features():
            feature.check(features[feature.name])
        assert set(labels) == set(weights) == {"next_sentence", "bigram_shift", "masked_lm"}
        for name, label in labels.items():
            assert label.dtype == np.int32 and weights[name].dtype == np.float32
            assert label.shape == weights[name].shape
        length = features["token_ids"].shape[1]
        longest = features["padding_mask"].sum(1).max()
        assert length % 4 == 0 and length - 4 < longest <= length
        assert features["masked_lm_positions"].shape[1] == -(-15 * length // 100)


def test_the_same_seed_gives_the_same_bytes_whatever_runs_in_parallel(folder):
    wide = data(folder).training(30)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    assert_same(arrays(wide), arrays(data(folder).training(30).with_options(options)))
    other = arrays(data(folder, seed=43).training(30))
    assert any(
        not np.array_equal(a[0]["token_ids"], b[0]["token_ids"])
        for a, b in zip(arrays(wide), other, strict=True)
    )


@pytest.mark.parametrize("start", [1, 7, 13, 29])
def test_a_run_resumes_at_any_step_with_the_same_batches(folder, start):
    whole = arrays(data(folder).training(30))
    assert_same(whole[start:], arrays(data(folder).training(30, start)))


def test_an_epoch_is_drawn_differently_from_the_next(folder):
    pretraining = data(folder)
    steps = pretraining.epoch_steps()
    assert 0 < steps <= sum(pretraining.examples("train")) // 4
    batches = arrays(pretraining.training(2 * steps))
    first = {b[0]["token_ids"].tobytes() for b in batches[:steps]}
    second = {b[0]["token_ids"].tobytes() for b in batches[steps:]}
    assert not first & second


def test_another_task_does_not_change_what_a_task_draws(folder):
    alone = arrays(data(folder, (TASKS[0], TASKS[2])).training(8))
    with_others = arrays(data(folder, (*TASKS, TaskConfig("sentence_order", 1))).training(8))
    for one, other in zip(alone, with_others, strict=True):
        random = one[1]["next_sentence"] == 0
        np.testing.assert_array_equal(random, other[2]["sentence_order"] == 0)


def test_held_out_documents_are_read_whole_and_alike(folder):
    pretraining = data(folder)
    batches = arrays(pretraining.held_out())
    assert sum(len(b[0]["token_ids"]) for b in batches) == sum(pretraining.examples("held_out"))
    assert_same(batches, arrays(pretraining.held_out()))


def test_without_a_pair_task_sequences_have_one_segment(folder):
    pretraining = data(folder, (TaskConfig("masked_lm", 2),))
    (features, _, _), *_ = arrays(pretraining.training(1))
    assert not features["segment_ids"].any()
    assert sum(pretraining.examples("train")) >= sum(data(folder).examples("train"))


def test_padding_to_the_full_length(folder):
    batches = arrays(data(folder, length_multiple=0).training(9))
    assert {b[0]["token_ids"].shape for b in batches} == {(4, 16)}
    assert {b[0]["masked_lm_positions"].shape for b in batches} == {(4, 3)}


def test_a_golden_batch(tmp_path):
    """One batch, written out: a change of any draw or layout shows here."""
    texts = ["w0 w1 w2 . | w3 w4 w5 .", "w6 w7 ##a w8 . | w9 w10 w11 , w12 .",
             "w13 w14 w15 . | w16 w17 .", "w18 w19 w20 w21 . | w22 w23 ."]  # fmt: skip
    documents = [[[ID[t] for t in s.split()] for s in text.split("|")] for text in texts]
    write(tmp_path, documents)
    ((features, labels, weights),) = arrays(data(tmp_path, seed=1).training(1))
    assert [show(row) for row in features["token_ids"]] == GOLDEN_TEXT
    assert {name: label.tolist() for name, label in labels.items()} == GOLDEN_LABELS
    assert features["masked_lm_positions"].tolist() == GOLDEN_POSITIONS
    assert weights["masked_lm"].tolist() == GOLDEN_WEIGHTS


GOLDEN_TEXT = [
    "[CLS] w6 w1 w2 . [SEP] w3 w4 w5 . [SEP]",
    "[CLS] w13 w14 w15 . [SEP] w16 [MASK] . [SEP]",
    "[CLS] w6 w8 w7 ##a . [SEP] w22 w23 [MASK] [SEP]",
    "[CLS] w18 w19 w20 w21 . [SEP] [MASK] w10 w11 , w12 . [SEP]",
]
GOLDEN_LABELS = {
    "next_sentence": [1, 1, 0, 0],
    "bigram_shift": [0, 0, 1, 0],
    "masked_lm": [[12, 0, 0], [29, 0, 0], [5, 0, 0], [21, 22, 0]],
}
GOLDEN_POSITIONS = [[1, 0, 0], [7, 0, 0], [9, 0, 0], [7, 8, 0]]
GOLDEN_WEIGHTS = [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]


def test_errors_say_what_to_do(folder, tmp_path):
    with pytest.raises(InputError, match="sequences of 16 tokens, not data.sequence_length 32"):
        data(folder, sequence_length=32)
    with pytest.raises(InputError, match="fewer than data.batch_size 4000; lower it or add text"):
        data(folder, batch_size=4000).training(1)
    write(tmp_path, [[[20, 21], [22]], [[23], [24]]])
    with pytest.raises(InputError, match="no held-out text"):
        data(tmp_path).held_out()
