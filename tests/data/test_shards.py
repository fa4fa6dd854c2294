import json

import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.data.manifest import Manifest
from hierbert_tf.data.shards import (
    TOKEN_COUNTS,
    ShardWriter,
    example_count,
    save_token_counts,
    token_counts,
)
from hierbert_tf.errors import InputError


def read(path, dtype="<u2"):
    """Records of a shard as (token ids, sentence lengths, document id, is pair)."""
    records = []
    for raw in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        feature = tf.train.Example.FromString(raw).features.feature
        assert set(feature) == {"token_ids", "sentence_lengths", "document_id", "is_pair"}
        records.append(
            (
                np.frombuffer(feature["token_ids"].bytes_list.value[0], dtype).tolist(),
                np.frombuffer(feature["sentence_lengths"].bytes_list.value[0], "<i4").tolist(),
                feature["document_id"].int64_list.value[0],
                feature["is_pair"].int64_list.value[0],
            )
        )
    return records


def write(folder, documents, dtype="uint16", shard_tokens=1000, sequence_length=8):
    writer = ShardWriter(folder, "train", dtype, shard_tokens, sequence_length)
    start = 0
    for number, (lengths, is_pair) in enumerate(documents):
        tokens = np.arange(start, start + sum(lengths))
        start += sum(lengths)
        writer.add(number, tokens, np.array(lengths, np.int64), is_pair)
    return writer


def test_golden_shard(tmp_path):
    split = write(tmp_path, [((2, 0, 1), False), ((1, 2), True)]).split()
    assert read(tmp_path / "train-00000.tfrecord") == [
        ([0, 1, 2], [2, 1], 0, 0),
        ([3, 4, 5], [1, 2], 1, 1),
    ]
    (shard,) = split.shards
    assert (shard.records, shard.documents, shard.sentences, shard.tokens) == (2, 2, 4, 6)
    assert shard.bytes == (tmp_path / shard.file).stat().st_size
    assert (split.documents, split.sentences, split.tokens) == (2, 4, 6)


def test_same_documents_give_the_same_bytes(tmp_path):
    documents = [((3, 4), False), ((1, 2), True)] * 20
    hashes = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shards = write(tmp_path / name, documents, shard_tokens=30).close()
        hashes.append([shard.sha256 for shard in shards])
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) > 5


def test_large_ids_need_int32(tmp_path):
    writer = ShardWriter(tmp_path, "train", "int32", 100, 8)
    writer.add(0, np.array([70_000, 1]), np.array([2]), False)
    writer.close()
    assert read(tmp_path / "train-00000.tfrecord", "<i4") == [([70_000, 1], [2], 0, 0)]


def test_a_shard_closes_once_it_is_full(tmp_path):
    shards = write(tmp_path, [((4, 4), False)] * 5, shard_tokens=15).close()
    assert [shard.tokens for shard in shards] == [16, 16, 8]
    assert [shard.file for shard in shards] == [f"train-0000{i}.tfrecord" for i in range(3)]


def test_a_long_document_is_cut_at_sentence_ends_and_keeps_its_id(tmp_path):
    split = write(tmp_path, [((3, 3, 3, 12, 2), False), ((1,), False)], shard_tokens=7).split()
    records = [record for shard in split.shards for record in read(tmp_path / shard.file)]
    assert [(lengths, number) for _, lengths, number, _ in records] == [
        ([3, 3], 0),
        ([3], 0),
        ([12], 0),
        ([2], 0),
        ([1], 1),
    ]
    assert [token for tokens, *_ in records for token in tokens] == list(range(24))
    assert split.documents == 2
    assert sum(shard.records for shard in split.shards) == 5


def test_an_endless_sentence_is_cut(tmp_path):
    (shard,) = write(tmp_path, [((2, 25_000), False)], shard_tokens=100_000).close()
    ((_, lengths, _, _),) = read(tmp_path / shard.file)
    assert lengths == [2, 10_000, 10_000, 5_000]
    assert shard.max_sentence_tokens == 10_000


def test_a_pair_stays_whole_or_is_none(tmp_path):
    writer = write(
        tmp_path,
        [((6, 6), True), ((4, 0), True), ((3, 12_000), True), ((0, 0), True), ((0,), False)],
        shard_tokens=5,
    )
    records = [record for shard in writer.close() for record in read(tmp_path / shard.file)]
    assert [(lengths, is_pair) for _, lengths, _, is_pair in records] == [
        ([6, 6], 1),
        ([4], 0),
        ([3], 0),
        ([10_000], 0),
        ([2_000], 0),
    ]


def test_counts_of_examples(tmp_path):
    # T = 8 leaves 5 tokens: ceil(n / 5) examples.
    assert [example_count(n, 8) for n in (0, 1, 5, 6, 10, 11)] == [1, 1, 1, 2, 2, 3]
    for n in range(1, 400):
        assert example_count(n, 128) == -(-n // 125)
    (shard,) = write(tmp_path, [((11,), False), ((3, 3), False), ((1, 1), True)]).close()
    assert (shard.pair_examples, shard.single_examples) == (2 + 1, 3 + 2 + 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("float32", 10, 8), "token_dtype"),
        (("uint16", 0, 8), "bad bounds"),
        (("uint16", 10, 3), "bad bounds"),
    ],
)
def test_wrong_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        ShardWriter(tmp_path, "train", *arguments)


def test_lengths_must_sum_up(tmp_path):
    with pytest.raises(ValueError, match="sentences of 4 tokens, but 3 ids"):
        write(tmp_path, []).add(0, np.arange(3), np.array([4]), False)


class TestManifest:
    @pytest.fixture
    def saved(self, tmp_path):
        split = write(tmp_path, [((2, 1), False), ((1, 2), True)]).split()
        manifest = Manifest(
            token_dtype="uint16",
            vocabulary_sha256="ab",
            vocabulary_size=10,
            lowercase=True,
            sequence_length=8,
            config_sha256="cd",
            splits={"train": split},
            report={"documents": 2},
            text=({"name": "n", "licence": "l"},),
        )
        manifest.save(tmp_path)
        return tmp_path, manifest

    def test_round_trip(self, saved):
        folder, manifest = saved
        assert Manifest.load(folder) == manifest
        assert sorted(p.name for p in folder.iterdir()) == ["manifest.json", "train-00000.tfrecord"]
        record = json.loads((folder / "manifest.json").read_text())
        assert record["format"] == 1
        assert record["splits"]["train"]["shards"][0]["pair_examples"] == 2
        manifest.verify(folder)

    def test_damaged_shards_are_named(self, saved):
        folder, manifest = saved
        path = folder / "train-00000.tfrecord"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(InputError, match=r"train-00000\.tfrecord' has \d+ bytes, not"):
            manifest.verify(folder)
        path.unlink()
        with pytest.raises(InputError, match=r"train-00000\.tfrecord' is missing"):
            manifest.verify(folder)

    def test_content_is_compared_when_asked(self, saved):
        folder, manifest = saved
        manifest.verify(folder, content=True)
        path = folder / "train-00000.tfrecord"
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        manifest.verify(folder)
        with pytest.raises(InputError, match=r"00000\.tfrecord' holds other bytes than"):
            manifest.verify(folder, content=True)

    def test_token_counts(self, saved):
        folder, _ = saved
        expected = [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]
        # Not written by an older version: counted from the shards.
        assert token_counts(folder).tolist() == expected
        # Only their sum and size can be checked without reading the shards.
        save_token_counts(folder, np.array(expected[::-1]))
        assert token_counts(folder).tolist() == expected[::-1]
        assert token_counts(folder).dtype == np.int64
        assert not list(folder.glob("*.tmp-*"))

    @pytest.mark.parametrize("counts", [np.ones(9, int), np.ones(10, int), np.full(10, 0.6)])
    def test_wrong_token_counts(self, saved, counts):
        np.save(saved[0] / TOKEN_COUNTS, counts)
        with pytest.raises(InputError, match=r"token_counts\.npy' does not count the tokens"):
            token_counts(saved[0])

    @pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01", b"text"])
    def test_broken_token_counts(self, saved, content):
        (saved[0] / TOKEN_COUNTS).write_bytes(content)
        with pytest.raises(InputError, match=r"token_counts\.npy' cannot be read"):
            token_counts(saved[0])

    def test_an_older_manifest_without_settings_is_read(self, saved):
        folder, manifest = saved
        record = json.loads((folder / "manifest.json").read_text())
        del record["preparation"]
        (folder / "manifest.json").write_text(json.dumps(record))
        assert Manifest.load(folder) == manifest

    def test_missing(self, tmp_path):
        with pytest.raises(InputError, match=r"holds no manifest\.json"):
            Manifest.load(tmp_path)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ('{"format": 1, ', "cannot be read"),
            ("[]", "has format None, this version reads 1"),
            ('{"format": 2}', "has format 2"),
            ('{"format": 1, "splits": {"train": {}}}', "is incomplete"),
            ('{"format": 1, "splits": 3}', "is incomplete"),
        ],
    )
    def test_broken(self, tmp_path, content, message):
        (tmp_path / "manifest.json").write_text(content)
        with pytest.raises(InputError, match=message):
            Manifest.load(tmp_path)
