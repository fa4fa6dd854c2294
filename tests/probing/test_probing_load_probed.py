import shutil
from pathlib import Path

import keras_hub
import numpy as np
import pytest

from hierbert_tf.config import (
    EncoderConfig,
    ReceivesConfig,
    RunConfig,
    TaskConfig,
    VocabularyConfig,
)
from hierbert_tf.config_file import dump_config
from hierbert_tf.config_probing import ProbedConfig
from hierbert_tf.corpus.vocabulary import Vocabulary
from hierbert_tf.errors import InputError
from hierbert_tf.models.pretrainer import build_pretrainer
from hierbert_tf.models.text_classifier import HierarchicalBertTextClassifier
from hierbert_tf.models.text_classifier_preprocessor import (
    HierarchicalBertTextClassifierPreprocessor,
)
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer
from hierbert_tf.probing.load_probed import load_probed
from hierbert_tf.probing.precomputed import PrecomputedVectors
from hierbert_tf.probing.probed_encoder import ProbedEncoder
from tests.models.tiny_encoder import TOKENS, stirred, tiny_backbone, tiny_features, tiny_tokenizer
from tests.probing.small_encoders import keras_hub_backbone, keras_hub_tokenizer

TASKS = (
    TaskConfig("next_sentence", 1),
    TaskConfig("masked_lm", 2, receives=ReceivesConfig("next_sentence")),
)
ENCODER = EncoderConfig(layers=2, hidden=8, heads=2, positions=32)
FEATURES = tiny_features()


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> Path:
    """Everything that can be probed, in the forms that its makers save."""
    root = tmp_path_factory.mktemp("places")
    # A run of pre-training, cased, as its settings say.
    run = root / "run"
    run.mkdir()
    config = RunConfig(encoder=ENCODER, tasks=TASKS, vocabulary=VocabularyConfig(lowercase=False))
    (run / "config.yaml").write_text(dump_config(config))
    Vocabulary(TOKENS).save(run / "vocab.txt")
    model = build_pretrainer(ENCODER, TASKS, len(TOKENS), seed=1)
    stirred(model.backbone)
    model.save(run / "model.keras")
    model.backbone.save_to_preset(str(run / "encoder"))
    HierarchicalBertTokenizer(TOKENS, lowercase=False).save_to_preset(str(run / "encoder"))
    # The same before its preset was added.
    shutil.copytree(run, root / "older", ignore=shutil.ignore_patterns("encoder"))
    (root / "alone").mkdir()
    shutil.copy(run / "model.keras", root / "alone")
    # A run of fine-tuning.
    preprocessor = HierarchicalBertTextClassifierPreprocessor(tiny_tokenizer(), sequence_length=16)
    tuned = HierarchicalBertTextClassifier(
        stirred(tiny_backbone(), seed=2), num_classes=2, preprocessor=preprocessor
    )
    tuned.save_to_preset(str(root / "tuned" / "seed_1" / "model"))
    tuned.save(root / "tuned.keras")
    # keras-hub's.
    theirs = keras_hub_backbone()
    theirs.save_to_preset(str(root / "theirs"))
    keras_hub_tokenizer().save_to_preset(str(root / "theirs"))
    theirs.save_to_preset(str(root / "no_tokenizer"))
    classifier = keras_hub.models.BertTextClassifier(
        theirs,
        num_classes=2,
        preprocessor=keras_hub.models.BertTextClassifierPreprocessor(keras_hub_tokenizer()),
    )
    classifier.save(root / "theirs.keras")
    theirs.save(root / "backbone.keras")
    np.save(root / "run" / "stray.npy", np.zeros(1))
    (root / "given").mkdir()
    np.save(root / "given" / "planted.npy", np.zeros([5, 2]))
    return root


def load(path, **settings) -> ProbedEncoder:
    encoder = load_probed(ProbedConfig(path=str(path), **settings))
    assert isinstance(encoder, ProbedEncoder)
    assert encoder.name == str(path)
    return encoder


def last_layer(encoder) -> np.ndarray:
    return np.asarray(encoder.layer_outputs(FEATURES["token_ids"], FEATURES["padding_mask"])[-1])


@pytest.mark.parametrize("path", ["run", "run/encoder", "run/model.keras"])
def test_a_run_with_its_heads(places, path):
    encoder = load(places / path)
    assert encoder.heads == (("next_sentence", 1), ("masked_lm", 2))
    # All of them are one model, so one cache serves them.
    assert encoder.sha256 == load(places / "run").sha256
    assert encoder.tokenizer.lowercase is False
    want = stirred(build_pretrainer(ENCODER, TASKS, len(TOKENS), seed=1).backbone)
    want = want(FEATURES, training=False)["layer_2"]
    np.testing.assert_allclose(last_layer(encoder), want, atol=1e-5)


@pytest.mark.parametrize("path", ["older", "older/model.keras"])
def test_a_run_without_a_preset_has_its_own_vocabulary(places, path):
    encoder = load(places / path)
    assert encoder.tokenizer.lowercase is False
    assert encoder.sha256 == load(places / "run").sha256
    assert encoder.heads == (("next_sentence", 1), ("masked_lm", 2))


def test_a_keras_file_alone_needs_a_vocabulary(places):
    path = places / "alone" / "model.keras"
    with pytest.raises(InputError, match=r"has no tokenizer: .*give model\.vocabulary="):
        load(path)
    vocabulary = str(places / "run" / "vocab.txt")
    encoder = load(path, vocabulary=vocabulary, lowercase=False)
    assert encoder.sha256 == load(places / "run").sha256 and encoder.heads == ()
    assert load(path, vocabulary=vocabulary).tokenizer.lowercase is True


@pytest.mark.parametrize("path", ["tuned/seed_1", "tuned/seed_1/model", "tuned.keras"])
def test_a_fine_tuned_model_without_its_head(places, path):
    encoder = load(places / path)
    want = stirred(tiny_backbone(), seed=2)(FEATURES, training=False)["layer_2"]
    np.testing.assert_allclose(last_layer(encoder), want, atol=1e-5)
    assert encoder.tokenise(["w1s W2"])[0][0].tolist() == [8, 6, 9]
    assert encoder.heads == ()


@pytest.mark.parametrize("path", ["theirs", "theirs.keras"])
def test_berts_of_keras_hub(places, path):
    encoder = load(places / path)
    want = keras_hub_backbone()(FEATURES, training=False)["sequence_output"]
    np.testing.assert_allclose(last_layer(encoder), want, atol=1e-5)
    assert encoder.tokenise(["w1s W2"])[0][0].tolist() == [8, 6, 9]
    assert encoder.sha256 == load(places / "theirs").sha256
    assert encoder.with_random_weights(1).sha256 != encoder.sha256


@pytest.mark.parametrize("path", ["no_tokenizer", "backbone.keras"])
def test_a_vocabulary_for_what_has_none(places, path):
    with pytest.raises(InputError, match="has no tokenizer"):
        load(places / path)
    encoder = load(places / path, vocabulary=str(places / "run" / "vocab.txt"))
    assert encoder.tokenise(["w1s W2"])[0][0].tolist() == [8, 6, 9]


def test_a_vocabulary_that_is_named_is_the_one(places):
    encoder = load(places / "run", vocabulary=str(places / "run" / "vocab.txt"))
    assert encoder.tokenizer.lowercase is True


def test_another_models_vocabulary_is_refused(places, tmp_path):
    Vocabulary(TOKENS[:-1]).save(tmp_path / "vocab.txt")
    with pytest.raises(InputError, match=r"has 16 entries, but .*run was trained with 17"):
        load(places / "run", vocabulary=str(tmp_path / "vocab.txt"))


def test_a_folder_of_vectors(places):
    given = load_probed(ProbedConfig(path=str(places / "given")))
    assert isinstance(given, PrecomputedVectors)
    assert given.heads == () and given.name == str(places / "given")


def test_settings_of_another_program_name_no_heads(places, tmp_path):
    shutil.copytree(places / "run", tmp_path / "run")
    (tmp_path / "run" / "config.yaml").write_text("model: {path: x}\n")
    assert load(tmp_path / "run").heads == ()


@pytest.mark.parametrize(
    "path, settings, message",
    [
        ("", {}, "model.path is empty"),
        ("run", {"layers": (0, 3)}, r"names 3, but .* has layers 0 \(the embeddings\) to 2"),
        ("run", {"sequence_length": 33}, "sequence_length is 33"),
        ("run", {"poolings": ("sum",)}, "poolings names 'sum'"),
        ("run", {"batch_tokens": 0}, "batch_tokens is 0"),
        ("tuned", {}, "a run of fine-tuning, with a model for each seed; give one of them"),
        ("nowhere", {}, "nothing is at .*nowhere, and keras-hub has no such preset"),
        ("run/vocab.txt", {}, r"is no \.keras file"),
        ("run/encoder/assets", {}, "holds no encoder"),
        ("run", {"vocabulary": "nowhere.txt"}, "cannot read vocabulary 'nowhere.txt'"),
    ],
)
def test_what_cannot_be_probed_is_refused(places, path, settings, message):
    with pytest.raises(InputError, match=message):
        load(str(places / path) if path else "", **settings)


@pytest.mark.parametrize("damage", ["encoder/model.weights.h5", "encoder/config.json"])
def test_a_damaged_preset_is_refused(places, tmp_path, damage):
    shutil.copytree(places / "run", tmp_path / "run")
    (tmp_path / "run" / damage).write_text("{")
    with pytest.raises(InputError, match="cannot be loaded"):
        load(tmp_path / "run")


def test_a_damaged_keras_file_is_refused(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"model\.keras cannot be loaded"):
        load(tmp_path / "model.keras")


def test_a_keras_file_without_a_backbone_is_refused(tmp_path):
    import keras

    model = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
    model.save(tmp_path / "model.keras")
    with pytest.raises(InputError, match="holds a Sequential without a backbone"):
        load(tmp_path / "model.keras")
