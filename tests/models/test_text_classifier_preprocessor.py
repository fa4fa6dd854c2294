import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text

from hierbert_tf.data.features import ENCODER_FEATURES
from hierbert_tf.errors import InputError
from hierbert_tf.models.text_classifier_preprocessor import (
    HierarchicalBertTextClassifierPreprocessor,
)
from tests.models.tiny_encoder import TOKENS, tiny_backbone, tiny_tokenizer

TOKENIZER = tiny_tokenizer()


def preprocessor(**settings):
    return HierarchicalBertTextClassifierPreprocessor(
        TOKENIZER, **{"sequence_length": 12, "length_multiple": 4, **settings}
    )


def rows(features):
    """Each row as text, with the segment's number behind each token that is not padding."""
    ids, segments, mask = (np.asarray(features[feature.name]) for feature in ENCODER_FEATURES)
    assert not ids[mask == 0].any() and not segments[mask == 0].any()
    return [
        " ".join(f"{TOKENS[i]}{s}" for i, s, m in zip(*row, strict=True) if m)
        for row in zip(ids, segments, mask, strict=True)
    ]


def test_pairs_as_in_pre_training():
    features = preprocessor()((["w1 w2.", "", "w3"], ["w4s", "w5", ""]))
    assert rows(features) == [
        "[CLS]0 w10 w20 .0 [SEP]0 w41 ##s1 [SEP]1",
        "[CLS]0 [SEP]0 w51 [SEP]1",
        "[CLS]0 w30 [SEP]0 [SEP]1",
    ]
    assert [features[feature.name].dtype for feature in ENCODER_FEATURES] == ["int32"] * 3


def test_single_texts_and_one_text():
    one = preprocessor()
    assert rows(one(["w1 w2", "w3"])) == ["[CLS]0 w10 w20 [SEP]0", "[CLS]0 w30 [SEP]0"]
    assert rows({k: v[None] for k, v in one("w3").items()}) == ["[CLS]0 w30 [SEP]0"]
    assert one("w3")["token_ids"].shape == (4,)
    pair = one(("w3", "w4"))
    assert rows({k: v[None] for k, v in pair.items()}) == ["[CLS]0 w30 [SEP]0 w41 [SEP]1"]


@pytest.mark.parametrize(
    ("multiple", "words", "length"),
    [(4, 1, 4), (4, 2, 4), (4, 3, 8), (4, 99, 12), (5, 9, 12), (1, 3, 5), (0, 1, 12)],
)
def test_padded_to_the_batch(multiple, words, length):
    texts = ["w1", "w1 " * words]
    ids = preprocessor(length_multiple=multiple)(texts)["token_ids"]
    assert ids.shape == (2, length)
    assert int(tf.math.count_nonzero(ids[1])) == min(words + 2, 12)


def test_trimming_equals_tensorflow_text():
    lengths = [(0, 20), (20, 0), (3, 20), (20, 3), (4, 5), (5, 4), (9, 9), (10, 9), (4, 4), (5, 9)]
    first = [" ".join(f"w{n % 10}" for n in range(a)) for a, _ in lengths]
    second = [" ".join(f"w{n % 10}" for n in range(b)) for _, b in lengths]
    for room in (9, 8):
        ids = [TOKENIZER.tokenize(first), TOKENIZER.tokenize(second)]
        kept = [
            part.to_list() for part in tensorflow_text.ShrinkLongestTrimmer(room, axis=1).trim(ids)
        ]
        features = preprocessor(sequence_length=room + 3)((first, second))
        found = np.asarray(features["token_ids"])
        for row, a, b in zip(found, *kept, strict=True):
            assert row[row != 0].tolist() == [2, *a, 3, *b, 3]


def test_in_a_data_set_and_an_export(tmp_path):
    one = preprocessor()
    texts, more, labels = ["w1", "w2 w3"], ["w4 w5 w6", "w7"], [1, 0]
    expected = one((texts, more))
    data = tf.data.Dataset.from_tensor_slices(((texts, more), labels)).batch(2)
    ((features, y),) = data.map(one)
    for name, value in expected.items():
        np.testing.assert_array_equal(features[name], value)
    assert y.numpy().tolist() == labels

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)] * 2)
        def __call__(self, first, second):
            return one((first, second))

    tf.saved_model.save(Module(), str(tmp_path))
    served = tf.saved_model.load(str(tmp_path))(tf.constant(texts), tf.constant(more))
    np.testing.assert_array_equal(served["token_ids"], expected["token_ids"])
    empty = tf.constant([], tf.string)
    assert tf.saved_model.load(str(tmp_path))(empty, empty)["token_ids"].shape == (0, 4)


def test_label_names_become_numbers():
    one = preprocessor(labels=["no", "yes"])
    x, y, weight = one(["w1", "w2", "w3"], ["yes", "no", "yes"], [1.0, 0.5, 1.0])
    assert np.asarray(y).tolist() == [1, 0, 1] and np.asarray(weight).tolist() == [1.0, 0.5, 1.0]
    assert len(rows(x)) == 3
    assert np.asarray(one(["w1"], [1])[1]).tolist() == [1]
    assert int(one("w1", "yes")[1]) == 1
    with pytest.raises(InputError, match="label 'maybe' is unknown; known are no, yes"):
        one(["w1", "w2"], ["no", "maybe"])
    with pytest.raises(InputError, match="labels are given as names, but"):
        preprocessor()(["w1"], ["yes"])
    data = tf.data.Dataset.from_tensor_slices((["w1", "w2"], ["no", "maybe"])).batch(2).map(one)
    with pytest.raises(tf.errors.InvalidArgumentError, match="unknown labels.*maybe.*known are"):
        list(data)


def test_bytes_that_are_no_text():
    features = preprocessor()(tf.constant([b"w1 \xff\xfe w2"]))
    assert rows(features) == ["[CLS]0 w10 [UNK]0 w20 [SEP]0"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sequence_length": 4}, "sequence_length is 4: two texts need 5 tokens"),
        ({"length_multiple": -1}, "length_multiple is -1: give 0"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(InputError, match=message):
        preprocessor(**settings)


def test_wrong_inputs():
    one = preprocessor()
    with pytest.raises(InputError, match="texts must be strings, not int32; labels go in y"):
        one((["w1", "w2"], [0, 1]))
    with pytest.raises(InputError, match="3 texts an example"):
        one((["w1"], ["w2"], ["w3"]))
    assert one([])["token_ids"].shape == (0, 4)


def test_saved_in_a_preset(tmp_path):
    one = preprocessor(labels=["no", "yes"])
    tiny_backbone().save_to_preset(str(tmp_path))
    one.save_to_preset(str(tmp_path))
    again = keras_hub.models.TextClassifierPreprocessor.from_preset(str(tmp_path))
    assert isinstance(again, HierarchicalBertTextClassifierPreprocessor)
    assert again.get_config() == one.get_config()
    assert (again.sequence_length, again.length_multiple, again.labels) == (12, 4, ("no", "yes"))
    np.testing.assert_array_equal(again(["w1"])["token_ids"], one(["w1"])["token_ids"])
    copy = keras.layers.deserialize(keras.layers.serialize(one))
    assert copy.get_config() == one.get_config()
