"""Whole exports, used in a process that knows nothing of the package."""

import json
import random
import shutil

import numpy as np
import pytest
import yaml

from hierbert_tf.config_export import EmbedConfig, ExportConfig
from hierbert_tf.errors import InputError, RunStopped
from hierbert_tf.serving import export as serving_export
from hierbert_tf.serving.check_export import run_in_fresh_process
from hierbert_tf.serving.embed import EmbedIds
from hierbert_tf.serving.export import export
from hierbert_tf.serving.load_model import load_model
from tests.serving.served_models import (
    LABELS,
    ODD_BYTES,
    classifier,
    odd_texts,
    pretrainer,
    question_model,
    sentences,
    tokenizer,
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs as the recipes leave them: seeds of two fine-tunings, and a pre-training."""
    root = tmp_path_factory.mktemp("runs")
    for name, model in (("pairs", classifier()), ("questions", question_model())):
        model.save_to_preset(str(root / name / "seed_1" / "model"))
    record = {"identity": {"seed": 1}, "commit": "abc", "scores": {"dev": {"accuracy": 0.5}}}
    (root / "pairs" / "seed_1" / "scores.json").write_text(json.dumps({**record, "text_fields": 2}))
    model = pretrainer()
    (root / "wiki").mkdir()
    model.save(root / "wiki" / "model.keras")
    model.backbone.save_to_preset(str(root / "wiki" / "encoder"))
    tokenizer().save_to_preset(str(root / "wiki" / "encoder"))
    return root


@pytest.fixture(scope="module")
def exported(runs, tmp_path_factory):
    """Folders of exports by kind."""
    root = tmp_path_factory.mktemp("saved_models")
    settings = {
        "pairs/seed_1": ExportConfig(embed=EmbedConfig(layer=1, pooling="max")),
        "questions/seed_1": ExportConfig(),
        "wiki": ExportConfig(top_k=4),
    }
    folders = {}
    for run, config in settings.items():
        name = run.split("/")[0]
        config = ExportConfig(
            model=str(runs / run), to=str(root / name / "1"), top_k=config.top_k, embed=config.embed
        )
        done = export(config)
        assert done.largest_difference < 1e-5 and done.checked > 10
        folders[name] = done.folder
    return folders


def texts() -> list[bytes]:
    """1,000 real sentences and all odd texts, shuffled."""
    found = [text.encode() for text in (*sentences(), *odd_texts())] + ODD_BYTES
    random.Random(1).shuffle(found)
    return found


def test_an_export_of_a_classifier_equals_the_model(runs, exported):
    first, second = texts(), texts()[::-1]
    requests = [
        ("classify", {"text": np.array(first, object), "text_pair": np.array(second, object)}),
        (
            "serving_default",
            {"text": np.array([b"a"], object), "text_pair": np.array([b"b"], object)},
        ),
        ("embed", {"text": np.array(first, object)}),
    ]
    pairs, default, embedded = run_in_fresh_process(exported["pairs"], requests)
    found = load_model(runs / "pairs" / "seed_1")
    expected = found.model.predict((np.array(first, object), np.array(second, object)), verbose=0)
    np.testing.assert_allclose(pairs["logits"], expected, atol=1e-5)
    assert pairs["label"].tolist() == [LABELS[row.argmax()].encode() for row in expected]
    default_logits = found.model.predict((["a"], ["b"]), verbose=0)
    np.testing.assert_allclose(default["logits"], default_logits, atol=1e-5)
    features = found.model.preprocessor(first[:200])
    whole = EmbedIds(found.backbone, 1, "max")
    names = [spec.name for spec in whole.inputs]
    # These were cut to the classifier's 48 tokens; the export's `embed` reads up to 64.
    short = features["padding_mask"].numpy().sum(1) < 48
    vectors = whole(*(features[name] for name in names))["embedding"].numpy()
    np.testing.assert_allclose(embedded["embedding"][:200][short], vectors[short], atol=1e-5)
    assert short.sum() > 5


def test_an_export_of_question_answering_equals_the_model(runs, exported):
    questions, contexts = texts(), texts()[::-1]
    inputs = {"question": np.array(questions, object), "context": np.array(contexts, object)}
    (found,) = run_in_fresh_process(exported["questions"], [("answer", inputs)])
    model = load_model(runs / "questions" / "seed_1").model
    expected = model.predict(inputs, verbose=0)
    assert [text.decode() for text in found["answer"]] == expected["answer"].tolist()
    np.testing.assert_array_equal(found["start"], expected["start"])
    np.testing.assert_array_equal(found["end"], expected["end"])
    np.testing.assert_allclose(found["score"], expected["score"], atol=1e-5)
    np.testing.assert_allclose(found["null_score"], expected["null_score"], atol=1e-5)


def test_every_version_has_what_a_server_and_a_reader_look_for(exported):
    folder = exported["pairs"]
    assert {path.name for path in folder.iterdir()} >= {
        "saved_model.pb", "variables", "assets.extra", "batching_params.pbtxt"
    }  # fmt: skip
    extra = folder / "assets.extra"
    settings = yaml.safe_load((extra / "export.yaml").read_text())
    assert settings["text_fields"] == 2 and settings["embed"]["layer"] == 1
    card = (extra / "MODEL_CARD.md").read_text()
    facts = yaml.safe_load(card.split("---")[1])
    assert facts["license"] == "not stated" and "classify_examples" in facts["tags"]
    for line in ("| labels | no, perhaps, yes |", "| dev, accuracy | 0.5 |", "Seed 1, commit abc."):
        assert line in card
    assert sorted(path.name for path in folder.parent.iterdir()) == ["1"]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"to": "here"}, "does not end in a version's number.*give here/1"),
        ({"to": ""}, "to is empty"),
        ({"model": ""}, "model is empty"),
        ({"model": "nowhere"}, "nothing is at nowhere"),
        ({"model": "pairs"}, "a model for each seed; give one of them, such as .*seed_1"),
        ({"weights": "int2"}, "weights is 'int2'; choose float32, bfloat16 or int8"),
        ({"embed": EmbedConfig(layer=9)}, "embed.layer is 9"),
        ({"embed": EmbedConfig(sequence_length=65)}, "embed.sequence_length is 65"),
        ({"text_fields": 3}, "text_fields is 3"),
    ],
)
def test_wrong_settings_are_named_and_leave_nothing(runs, tmp_path, changes, message):
    settings = {"model": "pairs/seed_1", "to": "saved/1", **changes}
    for key, root in (("model", runs), ("to", tmp_path)):
        if settings[key] not in ("", "nowhere", "here"):
            settings[key] = str(root / settings[key])
    with pytest.raises(InputError, match=message):
        export(ExportConfig(**settings))
    assert not list(tmp_path.rglob("*.pb"))


def test_a_version_that_exists_is_not_touched(runs, exported):
    before = (exported["wiki"] / "saved_model.pb").stat()
    with pytest.raises(InputError, match=r"exists.*give .*wiki/2$"):
        export(ExportConfig(model=str(runs / "wiki"), to=str(exported["wiki"])))
    assert (exported["wiki"] / "saved_model.pb").stat() == before


def test_the_number_of_texts_must_be_known(runs, tmp_path):
    model = str(runs / "pairs" / "seed_1" / "model")
    with pytest.raises(InputError, match="give text_fields=1, or text_fields=2"):
        export(ExportConfig(model=str(_preset_alone(model, tmp_path)), to=str(tmp_path / "1")))


def _preset_alone(model, tmp_path):
    """The preset without its run's records."""
    return shutil.copytree(model, tmp_path / "alone")


def test_an_export_that_differs_is_not_kept(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(serving_export, "write_saved_model", _write_another_model)
    with pytest.raises(RunStopped, match="another embedding than the model in memory"):
        export(ExportConfig(model=str(runs / "wiki" / "encoder"), to=str(tmp_path / "1")))
    assert list(tmp_path.iterdir()) == []


def _write_another_model(folder, endpoints):
    from hierbert_tf.serving.archive import write_saved_model

    weight = endpoints[-1]._model.weights[0]
    values = weight.numpy()
    weight.assign(values[::-1])
    write_saved_model(folder, endpoints)
    weight.assign(values)


@pytest.mark.parametrize("weights, share", [("bfloat16", 0.75), ("int8", 0.8)])
def test_smaller_weights_are_near_and_smaller(runs, exported, tmp_path, weights, share):
    run = str(runs / "pairs" / "seed_1")
    config = ExportConfig(model=run, to=str(tmp_path / "1"), weights=weights)
    small = export(config).folder
    inputs = {name: np.array(texts()[:50], object) for name in ("text", "text_pair")}
    requests = [("classify", inputs)]
    ((found,), (exact,)) = (
        run_in_fresh_process(folder, requests) for folder in (small, exported["pairs"])
    )
    difference = np.abs(found["probabilities"] - exact["probabilities"]).max()
    assert 0 < difference < 0.1

    def size(folder):
        return sum(path.stat().st_size for path in (folder / "variables").glob("*.data*"))

    assert size(small) < share * size(exported["pairs"])


def test_a_model_of_mixed_precision_is_exported_in_float32(tmp_path):
    exact, half = classifier(), classifier("mixed_bfloat16")
    half.set_weights(exact.get_weights())
    half.save_to_preset(str(tmp_path / "half"))
    again = type(half).from_preset(tmp_path / "half")
    assert again.backbone.dtype_policy.name == "mixed_bfloat16"
    np.testing.assert_array_equal(again.predict(["a"], verbose=0), half.predict(["a"], verbose=0))
    config = ExportConfig(
        model=str(tmp_path / "half"), to=str(tmp_path / "saved" / "1"), text_fields=1
    )
    folder = export(config).folder
    inputs = {"text": np.array(texts()[:50], object)}
    (found,) = run_in_fresh_process(folder, [("classify", inputs)])
    np.testing.assert_allclose(found["logits"], exact.predict(inputs["text"], verbose=0), atol=1e-5)
