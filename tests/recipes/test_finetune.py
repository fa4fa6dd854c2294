"""The fine-tuning program as a user runs it, on small examples."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.config_export import ExportConfig
from hierbert_tf.downstream.question_examples import read_question_examples
from hierbert_tf.evaluation.squad_scores import squad_scores
from hierbert_tf.models.backbone import HierarchicalBertBackbone
from hierbert_tf.models.text_classifier import HierarchicalBertTextClassifier
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer
from hierbert_tf.recipes.finetune import main
from hierbert_tf.serving.export import export

COLOURS = ["red", "blue", "green", "black"]
THINGS = ["cat", "dog", "car", "house", "tree", "boat"]
WORDS = ["a", "the", "is", "what", "?", ".", "##s", *COLOURS, *THINGS]
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A pre-trained run's encoder, entailment pairs and questions."""
    place = tmp_path_factory.mktemp("finetune")
    backbone = HierarchicalBertBackbone(
        vocabulary_size=len(TOKENS), num_layers=2, num_heads=2, hidden_dim=16, intermediate_dim=32,
        max_sequence_length=128, poolers={"next_sentence": 1},
        transfers=[{"source": "next_sentence", "by": "concat"}], seed=7,
    )  # fmt: skip
    backbone.save_to_preset(str(place / "run" / "encoder"))
    HierarchicalBertTokenizer(TOKENS).save_to_preset(str(place / "run" / "encoder"))
    rng = np.random.default_rng(0)
    for name, count in (("train", 60), ("dev", 30)):
        (place / f"{name}.jsonl").write_text("\n".join(pairs(rng, count)) + "\n")
        (place / f"{name}.json").write_text(json.dumps(questions(rng, name, count // 3)))
    return place


def pairs(rng: np.random.Generator, count: int) -> list[str]:
    lines = []
    for number in range(count):
        thing, colour, other = rng.choice(THINGS), rng.choice(COLOURS), rng.choice(COLOURS)
        label = "entailment" if colour == other else "contradiction"
        record = {"sentence1": f"the {thing} is {colour}.", "sentence2": f"a {other} {thing}."}
        lines.append(json.dumps({**record, "gold_label": "-" if number == 5 else label}))
    return lines


def questions(rng: np.random.Generator, name: str, count: int, impossible: int = 0) -> dict:
    paragraphs = []
    for number in range(count):
        things = rng.permutation(THINGS)[:3]
        context = " ".join(f"the {thing}  is {rng.choice(COLOURS)}." for thing in things)
        start = context.index("is ") + 3
        text = context[start:].split(".")[0]
        question = {"id": f"{name}{number}", "question": f"what is the {things[0]}?"}
        answers = [] if number < impossible else [{"text": text, "answer_start": start}]
        question |= {"answers": answers}
        if impossible:
            question["is_impossible"] = number < impossible
        paragraphs.append({"context": context, "qas": [question]})
    return {"version": "1.1", "data": [{"title": "things", "paragraphs": paragraphs}]}


def settings(place: Path, folder: Path, *more: str) -> list[str]:
    return [
        "--model", str(folder / "run"), f"folder={place}",
        f"data.train=[{folder / 'train.jsonl'}]", f"data.evaluate.dev={folder / 'dev.jsonl'}",
        "data.batch_size=8", "training.epochs=2", "training.learning_rate=1e-3",
        "monitor.log_every=1", "monitor.evaluate_every=0", "monitor.checkpoint_every=4", *more,
    ]  # fmt: skip


def question_settings(place: Path, folder: Path, *more: str) -> list[str]:
    return settings(
        place, folder, "task=question_answering", f"data.train=[{folder / 'train.json'}]",
        "data.evaluate={dev: " + str(folder / "dev.json") + "}", "data.sequence_length=24",
        "data.max_question_length=8", "data.stride=8", *more,
    )  # fmt: skip


def table(place: Path) -> dict[str, dict[str, str]]:
    with open(place / "results.csv", newline="") as file:
        return {row["metric"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory) -> Path:
    """A finished run of two seeds."""
    place = tmp_path_factory.mktemp("whole") / "run"
    assert main(settings(place, folder, "--seeds", "2")) == 0
    return place


def test_the_table_has_what_the_predictions_score(whole, folder):
    gold = [json.loads(line)["gold_label"] for line in (folder / "dev.jsonl").open()]
    gold = [label for label in gold if label != "-"]
    row = table(whole)["accuracy"]
    accuracies = []
    for seed in (1, 2):
        lines = (whole / f"seed_{seed}" / "dev" / "predictions.jsonl").read_text().splitlines()
        predictions = [json.loads(line) for line in lines]
        assert [prediction["gold"] for prediction in predictions] == gold
        for prediction in predictions:
            best = max(prediction["probabilities"], key=prediction["probabilities"].get)
            assert prediction["label"] == best
        right = [p["label"] == label for p, label in zip(predictions, gold, strict=True)]
        accuracies.append(np.mean(right))
        assert float(row[f"seed_{seed}"]) == pytest.approx(accuracies[-1])
    assert float(row["mean"]) == pytest.approx(np.mean(accuracies))
    assert float(row["standard_deviation"]) == pytest.approx(np.std(accuracies, ddof=1))
    assert row["commit"] and row["settings"]
    assert "| dev | accuracy |" in (whole / "results.md").read_text()
    majority = max(gold.count(label) for label in set(gold)) / len(gold)
    assert f"| dev | majority class | {majority:.4g} |" in (whole / "baselines.md").read_text()


def test_a_seed_is_exported_and_predicts_the_same(whole, folder, tmp_path):
    """What the run says of the number of texts is enough; nothing else need be given."""
    to = tmp_path / "saved" / "1"
    export(ExportConfig(model=str(whole / "seed_1"), to=str(to)))
    rows = [json.loads(line) for line in (folder / "dev.jsonl").open()]
    rows = [row for row in rows if row["gold_label"] != "-"]
    found = tf.saved_model.load(str(to)).signatures["classify"](
        text=tf.constant([row["sentence1"] for row in rows]),
        text_pair=tf.constant([row["sentence2"] for row in rows]),
    )
    lines = (whole / "seed_1" / "dev" / "predictions.jsonl").read_text().splitlines()
    predictions = [json.loads(line) for line in lines]
    labels = [label.decode() for label in found["label"].numpy()]
    assert labels == [prediction["label"] for prediction in predictions]
    probabilities = [list(prediction["probabilities"].values()) for prediction in predictions]
    np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-5)
    assert "| dev, accuracy |" in (to / "assets.extra" / "MODEL_CARD.md").read_text()


def test_what_was_skipped_is_counted(whole):
    assert "29 kept" in (whole / "examples.md").read_text()


def test_the_saved_model_makes_the_same_predictions_from_strings(whole, folder):
    model = HierarchicalBertTextClassifier.from_preset(str(whole / "seed_1" / "model"))
    lines = (whole / "seed_1" / "dev" / "predictions.jsonl").read_text().splitlines()
    predictions = [json.loads(line) for line in lines]
    records = [json.loads(line) for line in (folder / "dev.jsonl").open()]
    records = [record for record in records if record["gold_label"] != "-"]
    texts = tuple([record[key] for record in records] for key in ("sentence1", "sentence2"))
    for found, expected in zip(model.classify(texts), predictions, strict=True):
        assert found["label"] == expected["label"]
        probability = expected["probabilities"][expected["label"]]
        assert found["probability"] == pytest.approx(probability, abs=1e-5)


def test_a_finished_run_shows_its_table_again(whole, folder, capsys):
    before = (whole / "results.csv").read_bytes()
    assert main(settings(whole, folder, "--seeds", "2")) == 0
    assert "| dev | accuracy |" in capsys.readouterr().out
    assert (whole / "results.csv").read_bytes() == before


def test_other_settings_are_not_mixed_into_a_run(whole, folder, capsys):
    assert main(settings(whole, folder, "training.epochs=3")) == 2
    assert "holds a run with training.epochs 2.0, not 3.0" in capsys.readouterr().err


def test_changed_examples_are_not_mixed_into_a_run(folder, tmp_path, capsys):
    train = tmp_path / "train.jsonl"
    train.write_text((folder / "train.jsonl").read_text())
    more = [f"data.train=[{train}]", "training.epochs=0.2", "data.evaluate={}"]
    assert main(settings(tmp_path / "run", folder, *more)) == 0
    train.write_text("\n".join(train.read_text().splitlines()[:-1]) + "\n")
    assert main(settings(tmp_path / "run", folder, *more)) == 2
    assert "another set of examples" in capsys.readouterr().err
    assert main(settings(tmp_path / "run", folder, *more, "--from-scratch")) == 0
    assert (tmp_path / "run" / "earlier_1" / "seed_1" / "scores.json").exists()


def test_a_stopped_run_ends_as_if_nothing_had_happened(whole, folder, tmp_path):
    place = tmp_path / "run"
    command = [sys.executable, "-m", "hierbert_tf.recipes.finetune"]
    arguments = settings(place, folder)
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        if (place / "seed_1" / "checkpoints" / "step_00000004").exists():
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=200)
    if process.returncode == 143:  # else it was faster than the signal
        assert "the same command goes on from there" in output
    assert main(arguments) == 0
    one, other = (
        json.loads((run / "seed_1" / "scores.json").read_text())["scores"] for run in (whole, place)
    )
    assert one == other
    assert (whole / "seed_1" / "dev" / "predictions.jsonl").read_bytes() == (
        place / "seed_1" / "dev" / "predictions.jsonl"
    ).read_bytes()


def test_a_set_without_labels_gets_predictions_only(folder, tmp_path):
    unlabelled = tmp_path / "test.jsonl"
    records = [json.loads(line) for line in (folder / "dev.jsonl").open()]
    for record in records:
        del record["gold_label"]
    unlabelled.write_text("\n".join(map(json.dumps, records)) + "\n")
    more = ["training.epochs=0.2", "data.evaluate={test: " + str(unlabelled) + "}"]
    assert main(settings(tmp_path / "run", folder, *more)) == 0
    assert len((tmp_path / "run/seed_1/test/predictions.jsonl").read_text().splitlines()) == 30
    assert not (tmp_path / "run" / "results.csv").exists()


@pytest.mark.parametrize(
    "more",
    [
        ["model.layer=1", "model.pooling=mean", "model.keep_transfer=false"],
        ["model.layer=mix", "training.layer_decay=0.8", "model.freeze_below=1"],
        ["model.lora_rank=2", "model.random_weights=true", "training.precision=mixed_bfloat16"],
    ],
)
def test_every_kind_of_head_and_training_runs(folder, tmp_path, more):
    arguments = settings(tmp_path / "run", folder, "--seeds", "1", "training.epochs=0.5", *more)
    assert main(arguments) == 0
    assert 0 <= float(table(tmp_path / "run")["accuracy"]["mean"]) <= 1


def test_questions_are_scored_as_their_files_say(folder, tmp_path):
    place = tmp_path / "run"
    assert main(question_settings(place, folder)) == 0
    examples, _ = read_question_examples(folder / "dev.json", for_training=False)
    golds = {example.id: [gold.text for gold in example.answers] for example in examples}
    predictions = json.loads((place / "seed_1" / "dev" / "predictions.json").read_text())
    contexts = {example.id: example.context for example in examples}
    assert all(text and text in contexts[key] for key, text in predictions.items())
    scores = squad_scores(golds, predictions, "1.1")
    assert float(table(place)["exact"]["mean"]) == pytest.approx(scores.exact)
    assert float(table(place)["f1"]["mean"]) == pytest.approx(scores.f1)
    assert "<html" in (place / "seed_1" / "dev" / "report.html").read_text()


def test_questions_without_an_answer_bring_the_null_threshold(folder, tmp_path):
    files = {}
    for name in ("train2", "dev2"):
        files[name] = tmp_path / f"{name}.json"
        made = questions(np.random.default_rng(1), name, 12, impossible=6)
        files[name].write_text(json.dumps(made))
    arguments = question_settings(
        tmp_path / "run", folder, f"data.train=[{files['train2']}]",
        "data.evaluate={dev: " + str(files["dev2"]) + "}", "model.null_threshold=-1e9",
    )  # fmt: skip
    assert main(arguments) == 0
    row = table(tmp_path / "run")
    # Below every odds: nothing is answered, so exactly the impossible half is right.
    assert float(row["exact"]["mean"]) == 50.0
    assert float(row["no_answer_exact"]["mean"]) == 100.0
    assert float(row["best_exact"]["mean"]) >= 50.0
    odds = json.loads((tmp_path / "run/seed_1/dev/null_odds.json").read_text())
    assert len(odds) == 12


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["task=translation"], "task is translation"),
        (["data.train=[]"], "data.train is empty"),
        (["model.layer=5"], "model.layer is 5, but must be last, mix, or from 0 to 2"),
        (["model.layer=first"], "model.layer is 'first'"),
        (["model.path=/nowhere"], "holds no encoder"),
        (["data.batch_sise=8"], "the nearest valid one is 'batch_size'"),
        (["data.sequence_length=500"], "position"),
        (["data.train=[/nowhere.tsv]"], "/nowhere.tsv"),
    ],
)
def test_wrong_settings_end_with_one_sentence_and_code_2(folder, tmp_path, capsys, more, message):
    arguments = settings(tmp_path / "run", folder, *more)
    if more[0].startswith("model.path"):
        arguments = arguments[2:]
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert message in errors and errors.count("\n") == 1


def test_a_label_that_training_never_had_is_named(folder, tmp_path, capsys):
    other = tmp_path / "other.jsonl"
    other.write_text('{"sentence1": "a", "sentence2": "b", "gold_label": "perhaps"}\n')
    assert main(settings(tmp_path / "run", folder, f"data.evaluate.dev={other}")) == 2
    errors = capsys.readouterr().err
    assert "'perhaps'" in errors and "'entailment'" in errors
