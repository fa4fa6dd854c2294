import shutil

import pytest

from hierbert_tf.config import SourceConfig
from hierbert_tf.corpus.document import Document
from hierbert_tf.corpus.reader import read_documents
from hierbert_tf.corpus.statistics import ReadStatistics
from hierbert_tf.errors import InputError


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    tf = pytest.importorskip("tensorflow")
    tfds = pytest.importorskip("tensorflow_datasets")
    folder = str(tmp_path_factory.mktemp("tfds"))
    data = tf.data.Dataset.from_tensor_slices(
        {
            "premise": ["A man sleeps.", "Two dogs.", ""],
            "hypothesis": ["He rests.", "", ""],
            "label": [0, 1, 2],
            "answers": {"text": ["a", "b", "c"]},
            "notes": [["x", "y"], ["z", ""], ["", ""]],
        }
    )
    tfds.dataset_builders.store_as_tfds_dataset(
        name="tiny_nli",
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {
                "premise": tfds.features.Text(),
                "hypothesis": tfds.features.Text(),
                "label": tfds.features.Scalar(tf.int32),
                "answers": tfds.features.FeaturesDict({"text": tfds.features.Text()}),
                "notes": tfds.features.Sequence(tfds.features.Text()),
            }
        ),
        split_datasets={"train": data},
        data_dir=folder,
    )
    return folder


def read(data_dir, **settings):
    source = SourceConfig(path=data_dir, **{"tfds_name": "tiny_nli", "format": "tfds"} | settings)
    return list(read_documents(source, ReadStatistics()))


def test_pairs_and_single_texts(data_dir):
    assert read(data_dir, fields=("premise", "hypothesis")) == [
        Document(("A man sleeps.", "He rests."), is_pair=True),
        Document(("Two dogs.",)),
    ]
    documents = read(data_dir, fields=("premise",), format="auto")
    assert [document.texts for document in documents] == [("A man sleeps.",), ("Two dogs.",)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tfds_name": ""}, "needs `tfds_name`"),
        ({}, "needs `fields`"),
        ({"fields": ("title",)}, "has no field 'title'.* text fields .'hypothesis', 'premise'. in"),
        ({"fields": ("label",)}, "no single text in its field 'label': .*'hypothesis', 'premise'"),
        ({"fields": ("answers",)}, "no single text in its field 'answers'"),
        ({"fields": ("premise", "notes")}, "no single text in its field 'notes'"),
        ({"fields": ("premise",), "split": "nope"}, "TFDS cannot load 'tiny_nli', split 'nope'"),
        ({"fields": ("x",), "tfds_name": "no_such_set_1"}, "TFDS cannot load 'no_such_set_1'"),
    ],
)
def test_errors(data_dir, settings, message):
    with pytest.raises(InputError, match=message):
        read(data_dir, **settings)


def test_damaged_data_are_named(data_dir, tmp_path):
    copy = shutil.copytree(data_dir, tmp_path / "copy")
    (file,) = copy.rglob("*.tfrecord*")
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(InputError, match="'tiny_nli', split 'train', cannot be read .*truncated"):
        read(str(copy), fields=("premise",))
