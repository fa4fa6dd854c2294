"""The endpoints, called in memory, against the models' own methods and against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.errors import InputError
from hierbert_tf.serving.classify import Classify, ClassifyExamples, ClassifyIds
from hierbert_tf.serving.embed import Embed, EmbedIds
from tests.serving.served_models import LABELS, backbone, classifier, odd_texts, tokenizer

TEXTS = ["the cat, and the dog", "", "of mice", "北京 " * 40, *odd_texts()[:12]]


@pytest.fixture(scope="module")
def encoder():
    return backbone()


@pytest.fixture(scope="module")
def model():
    return classifier()


@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_embeddings_are_the_layers_pooled_vectors(encoder, layer, pooling):
    embed = Embed(EmbedIds(encoder, layer, pooling), tokenizer(), 64)
    found = embed(TEXTS)["embedding"].numpy()
    ids = tokenizer()
    for text, vector in zip(TEXTS, found, strict=True):
        tokens = [ids.cls_token_id, *ids.tokenize(text).numpy().tolist()[:62], ids.sep_token_id]
        row = np.array([tokens], "int32")
        features = {"token_ids": row, "segment_ids": 0 * row, "padding_mask": 0 * row + 1}
        sequence = encoder(features)[f"layer_{layer}"].numpy()[0]
        pooled = {"cls": sequence[0], "mean": sequence.mean(0), "max": sequence.max(0)}[pooling]
        np.testing.assert_allclose(vector, pooled, atol=1e-5)


def test_the_three_features_are_not_mixed_up(encoder):
    embed = EmbedIds(encoder, 2, "mean")
    ids = np.array([[2, 40, 41, 3, 50, 3, 0]], "int32")
    segments = np.array([[0, 0, 0, 0, 1, 1, 0]], "int32")
    mask = np.array([[1, 1, 1, 1, 1, 1, 0]], "int32")
    features = {"token_ids": ids, "segment_ids": segments, "padding_mask": mask}
    sequence = encoder(features)["layer_2"].numpy()[0]
    found = embed(*(features[spec.name] for spec in embed.inputs))["embedding"][0]
    np.testing.assert_allclose(found, sequence[:6].mean(0), atol=1e-5)


def test_padding_changes_no_vector(encoder):
    embed = EmbedIds(encoder, 2, "max")
    ids = np.array([[2, 40, 41, 3]], "int32")
    wide = np.pad(ids, [[0, 0], [0, 30]])
    alone = embed(ids, 0 * ids, 0 * ids + 1)["embedding"]
    np.testing.assert_allclose(
        embed(wide, 0 * wide, (wide > 0).astype("int32"))["embedding"], alone, atol=1e-5
    )


def test_settings_of_embed_that_do_not_fit_are_named(encoder):
    with pytest.raises(InputError, match="layers 0 .the embeddings. to 2"):
        EmbedIds(encoder, 3, "mean")
    with pytest.raises(InputError, match="'sum'; choose cls, mean, max"):
        EmbedIds(encoder, 1, "sum")


@pytest.mark.parametrize("fields", [1, 2])
def test_classes_are_those_of_the_model(model, fields):
    classify = Classify(ClassifyIds(model), model, fields)
    columns = [TEXTS, [*reversed(TEXTS)]][:fields]
    found = classify(*columns)
    expected = model.classify(tuple(columns) if fields == 2 else columns[0])
    probabilities = np.array([[row["probabilities"][name] for name in LABELS] for row in expected])
    np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-6)
    assert [label.decode() for label in found["label"].numpy()] == [
        row["label"] for row in expected
    ]
    assert found["labels"].numpy().tolist() == [[name.encode() for name in LABELS]] * len(TEXTS)
    ordered = np.sort(probabilities, axis=1)
    np.testing.assert_allclose(found["margin"], ordered[:, -1] - ordered[:, -2], atol=1e-6)
    logits = model.predict(tuple(columns) if fields == 2 else columns[0], verbose=0)
    np.testing.assert_allclose(found["logits"], logits, atol=1e-5)


def test_premise_and_hypothesis_are_not_swapped(model):
    classify = Classify(ClassifyIds(model), model, 2)
    one = classify(["the cat"], ["of 42 dogs"])["logits"].numpy()
    other = classify(["of 42 dogs"], ["the cat"])["logits"].numpy()
    assert np.abs(one - other).max() > 1e-3


def test_examples_are_classified_as_their_texts(model):
    classify = Classify(ClassifyIds(model), model, 2)
    examples = ClassifyExamples(classify)
    pairs = [(b"the cat", b"a dog"), (b"", b"x"), (b"of mice", b"")]
    found = examples([examples._example(pair) for pair in pairs])
    expected = classify(*(list(column) for column in zip(*pairs, strict=True)))
    np.testing.assert_array_equal(found["scores"], expected["probabilities"])
    np.testing.assert_array_equal(found["classes"], expected["labels"])
    without = tf.train.Example()
    without.features.feature["text"].bytes_list.value.append(b"of mice")
    absent = examples([without.SerializeToString()])["scores"][0]
    np.testing.assert_allclose(absent, found["scores"][2], atol=1e-6)


def test_a_model_without_a_preprocessor_takes_no_strings(model):
    model = classifier()
    model.preprocessor = None
    with pytest.raises(InputError, match="has no preprocessor"):
        Classify(ClassifyIds(model), model, 1)
