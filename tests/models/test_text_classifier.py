import json
import subprocess
import sys

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.errors import InputError
from hierbert_tf.models.text_classifier import HierarchicalBertTextClassifier
from hierbert_tf.models.text_classifier_preprocessor import (
    HierarchicalBertTextClassifierPreprocessor,
)
from hierbert_tf.models.weights_hash import weights_sha256
from hierbert_tf.training.optimizer import AdamW
from tests.models.tiny_encoder import (
    WORDS,
    stirred,
    tiny_backbone,
    tiny_features,
    tiny_tokenizer,
)

FEATURES = tiny_features()
PLAIN = {"dropout": 0.0, "attention_dropout": 0.0}
LABELS = ("contradiction", "entailment", "neutral")
RANDOM = np.random.default_rng(6)
FIRST = [" ".join(RANDOM.choice(WORDS, RANDOM.integers(2, 6))) for _ in range(32)]
SECOND = [" ".join(RANDOM.choice(WORDS, RANDOM.integers(2, 6))) for _ in range(32)]
NAMES = [LABELS[number] for number in RANDOM.integers(0, 3, 32)]


def preprocessor(**settings):
    return HierarchicalBertTextClassifierPreprocessor(
        tiny_tokenizer(), **{"sequence_length": 32, "length_multiple": 8, **settings}
    )


@pytest.fixture(scope="module")
def trained():
    """Overfitted on 32 pairs of random words with random labels."""
    backbone = stirred(tiny_backbone(hidden_dim=32, intermediate_dim=64, **PLAIN))
    model = HierarchicalBertTextClassifier(
        backbone, num_classes=3, labels=LABELS, preprocessor=preprocessor(), dropout=0.0
    )
    model.compile(AdamW(5e-3))
    first_loss, _ = model.evaluate((FIRST, SECOND), NAMES, verbose=0)
    # One long epoch: each epoch sets up its pipeline anew, which takes longer than the steps.
    data = tf.data.Dataset.from_tensor_slices(((FIRST, SECOND), NAMES)).batch(32).repeat(50)
    model.fit(data, verbose=0)
    return model, first_loss


def test_fit_on_strings_overfits_32_examples(trained):
    model, first_loss = trained
    assert first_loss > 1.0
    loss, accuracy = model.evaluate((FIRST, SECOND), NAMES, verbose=0)
    assert accuracy == 1.0 and loss < 0.1
    answers = model.classify((FIRST, SECOND), batch_size=10)
    assert [answer["label"] for answer in answers] == NAMES


def test_predict_and_classify_on_strings(trained):
    model, _ = trained
    logits = model.predict((FIRST[:5], SECOND[:5]), batch_size=2, verbose=0)
    assert logits.shape == (5, 3) and logits.dtype == np.float32
    features = model.preprocessor((FIRST[:5], SECOND[:5]))
    np.testing.assert_allclose(logits, model(features), atol=1e-5)
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = exponents / exponents.sum(axis=1, keepdims=True)
    for answer, row in zip(model.classify((FIRST[:5], SECOND[:5])), expected, strict=True):
        assert list(answer["probabilities"]) == list(LABELS)
        np.testing.assert_allclose(list(answer["probabilities"].values()), row, atol=1e-5)
        assert answer["probability"] == max(answer["probabilities"].values())
    assert model.classify([]) == []
    with pytest.raises(InputError, match="put the one text into a list"):
        model.classify("w1")


def head(model):
    """The head's weights by their paths, as numpy."""
    return {weight.path: weight.numpy() for weight in model.weights}


@pytest.mark.parametrize(("layer", "output"), [(None, "layer_2"), (2, "layer_2"), (0, "layer_0")])
def test_cls_pooling_against_numpy(layer, output):
    backbone = stirred(tiny_backbone())
    model = HierarchicalBertTextClassifier(backbone, num_classes=2, layer=layer)
    weights = head(model)
    cls = np.asarray(backbone(FEATURES)[output])[:, 0]
    pooled = np.tanh(cls @ weights["pooler/dense/kernel"] + weights["pooler/dense/bias"])
    expected = pooled @ weights["logits/kernel"] + weights["logits/bias"]
    np.testing.assert_allclose(model(FEATURES), expected, atol=1e-6)


def test_mean_pooling_of_a_mix_against_numpy():
    backbone = stirred(tiny_backbone())
    model = HierarchicalBertTextClassifier(backbone, num_classes=2, layer="mix", pooling="mean")
    weights = head(model)
    outputs = backbone(FEATURES)
    mixed = np.mean([np.asarray(outputs[f"layer_{number}"]) for number in range(3)], axis=0)
    mask = FEATURES["padding_mask"][:, :, None]
    pooled = (mixed * mask).sum(axis=1) / mask.sum(axis=1)
    expected = pooled @ weights["logits/kernel"] + weights["logits/bias"]
    np.testing.assert_allclose(model(FEATURES), expected, atol=1e-6)
    assert {"layer_mix/layer_weights", "layer_mix/scale"} <= set(weights)


def test_padding_changes_nothing():
    model = HierarchicalBertTextClassifier(
        stirred(tiny_backbone()), num_classes=2, layer="mix", pooling="mean"
    )
    wider = {name: np.pad(value, [(0, 0), (0, 5)]) for name, value in FEATURES.items()}
    np.testing.assert_allclose(model(wider), model(FEATURES), atol=1e-6)


def test_the_pooler_starts_from_the_encoders_at_its_layer():
    backbone = stirred(tiny_backbone(poolers={"bigram_shift": 1, "next_sentence": 1}))
    model = HierarchicalBertTextClassifier(backbone, num_classes=2, layer=1)
    weights = head(model)
    for name in ("kernel", "bias"):
        np.testing.assert_array_equal(
            weights[f"pooler/dense/{name}"], weights[f"next_sentence_pooler/dense/{name}"]
        )
    np.testing.assert_allclose(
        model.pooler(backbone(FEATURES)["layer_1"]),
        backbone(FEATURES)["next_sentence_pooled"],
        atol=1e-6,
    )
    other = head(HierarchicalBertTextClassifier(backbone, num_classes=2))
    assert np.abs(other["pooler/dense/kernel"]).max() <= 0.05  # fresh: cut at 2 * 0.02


def test_the_seed_draws_head_and_dropout():
    backbone = tiny_backbone(**PLAIN)
    models = [
        HierarchicalBertTextClassifier(backbone, num_classes=2, dropout=0.5, seed=seed)
        for seed in (1, 1, 2)
    ]
    one, same, other = (np.asarray(model(FEATURES, training=True)) for model in models)
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert (head(models[0])["logits/kernel"] != head(models[2])["logits/kernel"]).any()


def test_mixed_precision_gives_float32_logits():
    model = HierarchicalBertTextClassifier(
        tiny_backbone(dtype="mixed_bfloat16"), num_classes=2, layer="mix"
    )
    output = model(FEATURES)
    assert keras.backend.standardize_dtype(output.dtype) == "float32"
    assert np.isfinite(np.asarray(output)).all()


def test_default_settings_of_training():
    model = HierarchicalBertTextClassifier(tiny_backbone(), num_classes=2)
    assert isinstance(model.optimizer, AdamW)
    assert float(model.optimizer.learning_rate) == pytest.approx(5e-5)
    assert isinstance(model, keras_hub.models.TextClassifier)
    logits = np.asarray(model(FEATURES))
    labels = np.array([0, 1, 1])
    loss, accuracy = model.evaluate(FEATURES, labels, verbose=0)
    likelihoods = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert loss == pytest.approx(-likelihoods[range(3), labels].mean(), abs=1e-5)
    assert accuracy == pytest.approx((logits.argmax(axis=1) == labels).mean())


def test_with_a_softmax_the_outputs_are_probabilities():
    model = HierarchicalBertTextClassifier(
        tiny_backbone(), num_classes=2, preprocessor=preprocessor(), activation="softmax"
    )
    (answer,) = model.classify(["w1 w2"])
    output = model.predict(["w1 w2"], verbose=0)[0]
    assert answer["label"] == int(output.argmax())
    np.testing.assert_allclose(list(answer["probabilities"].values()), output, atol=1e-7)
    assert model.loss.get_config()["from_logits"] is False


FRESH = """
import json
import sys

import keras
import numpy as np
from hierbert_tf.models.text_classifier import HierarchicalBertTextClassifier
from hierbert_tf.models.weights_hash import weights_sha256

folder = sys.argv[1]
data = json.load(open(folder + "/data.json"))
for model in (
    keras.saving.load_model(folder + "/model.keras"),
    HierarchicalBertTextClassifier.from_preset(folder + "/preset"),
):
    logits = model.predict((data["first"], data["second"]), verbose=0)
    assert weights_sha256(model) == data["weights"]
    np.testing.assert_allclose(logits, np.array(data["logits"]), atol=1e-5)
    answers = model.classify((data["first"], data["second"]))
    assert [answer["label"] for answer in answers] == data["names"]
"""


def test_saved_models_load_in_a_fresh_process(trained, tmp_path):
    model, _ = trained
    model.save(tmp_path / "model.keras")
    model.save_to_preset(str(tmp_path / "preset"))
    logits = model.predict((FIRST, SECOND), verbose=0)
    data = {"first": FIRST, "second": SECOND, "names": NAMES, "logits": logits.tolist()}
    data["weights"] = weights_sha256(model)
    (tmp_path / "data.json").write_text(json.dumps(data))
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_new_head_on_a_fine_tuned_preset(trained, tmp_path):
    model, _ = trained
    model.save_to_preset(str(tmp_path))
    again = HierarchicalBertTextClassifier.from_preset(tmp_path, num_classes=2, layer=1)
    assert again.labels is None and again.preprocessor.labels is None
    assert again.preprocessor.sequence_length == 32
    weights = head(again)
    assert weights["logits/kernel"].shape == (32, 2)
    np.testing.assert_array_equal(
        weights["pooler/dense/kernel"], head(model)["next_sentence_pooler/dense/kernel"]
    )
    generic = keras_hub.models.TextClassifier.from_preset(str(tmp_path))
    assert isinstance(generic, HierarchicalBertTextClassifier) and generic.labels == LABELS
    empty = HierarchicalBertTextClassifier.from_preset(tmp_path, load_weights=False, num_classes=2)
    path = "encoder_block_1/query/kernel"
    assert (head(empty)[path] != head(model)[path]).any()


def test_a_pre_trained_encoder_gets_a_head(tmp_path):
    backbone = stirred(tiny_backbone())
    backbone.save_to_preset(str(tmp_path / "encoder"))
    message = "has no tokenizer.json: start the pre-training command once more"
    with pytest.raises(InputError, match=message):
        HierarchicalBertTextClassifier.from_preset(tmp_path, num_classes=2)
    bare = HierarchicalBertTextClassifier.from_preset(tmp_path, num_classes=2, preprocessor=None)
    assert bare.preprocessor is None
    tiny_tokenizer().save_to_preset(str(tmp_path / "encoder"))
    with pytest.raises(InputError, match="encoder without a classifier: give num_classes= or"):
        HierarchicalBertTextClassifier.from_preset(tmp_path)
    with pytest.raises(InputError, match=r"neither config.json nor encoder/config.json"):
        HierarchicalBertTextClassifier.from_preset(tmp_path / "nothing", num_classes=2)
    # The encoder of the test has too few positions for the preprocessor's default.
    with pytest.raises(InputError, match="sequence_length is 128, but the encoder has 32"):
        HierarchicalBertTextClassifier.from_preset(tmp_path, num_classes=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer": 3}, r"cannot read layer 3: give 0 \(the embeddings\) to 2"),
        ({"layer": -1}, "cannot read layer -1"),
        ({"layer": "top"}, "cannot read layer 'top'"),
        ({"pooling": "max"}, "pooling 'max' is unknown: choose cls or mean"),
        ({"num_classes": 1}, "num_classes is 1: a classifier needs at least 2"),
        ({"labels": ["a", "b", "c"]}, "num_classes is 2, but there are 3 labels"),
        ({"labels": ["a", "a"]}, "a label occurs twice"),
        (
            {"labels": ["a", "b"], "preprocessor": preprocessor(labels=["b", "a"])},
            "the model's labels a, b are not the preprocessor's, b, a",
        ),
        (
            {"preprocessor": preprocessor(sequence_length=64)},
            "sequence_length is 64, but the encoder has 32 positions",
        ),
    ],
)
def test_wrong_arguments(settings, message):
    with pytest.raises(InputError, match=message):
        HierarchicalBertTextClassifier(tiny_backbone(), **{"num_classes": 2, **settings})


def test_strings_without_a_preprocessor():
    model = HierarchicalBertTextClassifier(tiny_backbone(), num_classes=2)
    for call in (
        lambda: model.predict(["w1"]),
        lambda: model.fit(["w1"], [0]),
        lambda: model.evaluate((["w1"], ["w2"]), [0]),
    ):
        with pytest.raises(InputError, match="was given strings but has no preprocessor"):
            call()
    with pytest.raises(InputError, match="has no preprocessor for texts"):
        model.classify(["w1"])


def test_config_round_trip():
    model = HierarchicalBertTextClassifier(
        tiny_backbone(), 2, ["no", "yes"], "mix", "mean", preprocessor(), dropout=0.2, seed=4
    )
    config = model.get_config()
    copy = HierarchicalBertTextClassifier.from_config(model.get_config())
    assert copy.get_config() == config
    assert copy.preprocessor.labels == copy.labels == ("no", "yes")
