"""The probing program as a user runs it, on small tasks with a planted signal and on noise."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from hierbert_tf.config import EncoderConfig, RunConfig, TaskConfig
from hierbert_tf.config_file import dump_config
from hierbert_tf.models.backbone import HierarchicalBertBackbone
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer
from hierbert_tf.probing.run import ProbingRun
from hierbert_tf.recipes.probe import main

NOUNS = ["cat", "dog", "car", "house", "tree", "boat"]
VERBS = ["sees", "has", "likes", "finds"]
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a", ".", *NOUNS, *VERBS]
FAST = ["model.poolings=[mean]", "classifier.hidden=[16]", "classifier.dropout=[0.0, 0.2]",
        "classifier.learning_rate=0.02", "classifier.max_epochs=80"]  # fmt: skip


def save_encoder(place: Path, seed: int) -> None:
    backbone = HierarchicalBertBackbone(
        vocabulary_size=len(TOKENS), num_layers=2, num_heads=2, hidden_dim=16, intermediate_dim=32,
        max_sequence_length=32, poolers={"next_sentence": 1}, seed=seed,
    )  # fmt: skip
    backbone.save_to_preset(str(place))
    HierarchicalBertTokenizer(TOKENS).save_to_preset(str(place))


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A pre-training run and three tasks: a word of the sentence, noise, and words' classes."""
    folder = tmp_path_factory.mktemp("probe")
    save_encoder(folder / "run" / "encoder", 3)
    tasks = (TaskConfig("next_sentence", 1), TaskConfig("masked_lm", 2))
    settings = RunConfig(encoder=EncoderConfig(2, 16, 2, positions=32), tasks=tasks)
    (folder / "run" / "config.yaml").write_text(dump_config(settings))
    rng = np.random.default_rng(0)
    lines: dict[str, list[str]] = {"verb": [], "noise": [], "class": []}
    for split, count in (("tr", 120), ("va", 40), ("te", 40)):
        for number in range(count):
            verb = rng.choice(VERBS)
            words = [rng.choice(["the", "a"]), rng.choice(NOUNS), verb, "a", rng.choice(NOUNS)]
            sentence = " ".join(words)
            classes = " ".join("N" if w in NOUNS else "V" if w in VERBS else "D" for w in words)
            lines["verb"].append(f"{split}\t{verb}\t{sentence}")
            lines["noise"].append(f"{split}\t{'xy'[number % 2]}\t{sentence}")
            lines["class"].append(f"{split}\t{classes}\t{sentence}")
    (folder / "data").mkdir()
    for name, rows in lines.items():
        (folder / "data" / f"{name}.txt").write_text("\n".join(rows) + "\n")
    return folder


def arguments(place: Path, folder: str, *more: str) -> list[str]:
    return ["--model", str(place / "run"), "--data", str(place / "data"),
            f"folder={place / folder}", "word_level=[class]", *FAST, *more]  # fmt: skip


def scores(path: Path) -> list[dict[str, str]]:
    with open(path / "scores.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def done(place) -> Path:
    assert main(arguments(place, "done", "seeds=2")) == 0
    return place / "done"


def test_a_planted_signal_is_found_and_noise_is_not(done):
    rows = scores(done)
    # Two encoders, three layers, two seeds.
    assert {name: sum(row["task"] == name for row in rows) for name in ("verb", "noise")} == {
        "verb": 12, "noise": 12,
    }  # fmt: skip
    best = {
        task: max(float(row["test"]) for row in rows if row["task"] == task)
        for task in ("verb", "noise", "class")
    }
    assert best["verb"] > 0.95 and best["class"] == 1.0
    noise = [float(row["test"]) for row in rows if row["task"] == "noise"]
    assert abs(np.mean(noise) - 0.5) < 0.1
    assert {row["pooling"] for row in rows if row["task"] == "class"} == {"first_token"}


def test_the_tables_name_the_heads_and_the_baselines(done):
    table = (done / "scores.md").read_text()
    assert "1 (next_sentence)" in table and "2 (masked_lm)" in table
    assert "random weights, best layer" in table and "majority" in table
    for name in ("heat_map_mean", "lines_mean", "heat_map_first_token"):
        assert (done / f"{name}.png").stat().st_size > 5_000
    assert list((done / "tensorboard").rglob("*tfevents*"))


def test_what_is_done_is_kept_and_more_seeds_and_tasks_can_be_added(place, monkeypatch):
    trained = []
    plain = ProbingRun._probe
    monkeypatch.setattr(
        ProbingRun, "_probe",
        lambda self, task, seeds: trained.append((task.name, list(seeds))) or plain(
            self, task, seeds),
    )  # fmt: skip
    assert main(arguments(place, "grown", "tasks=[noise]", "word_level=[]")) == 0
    first = (place / "grown" / "tasks" / "noise" / "seed_1.json").read_bytes()
    assert main(arguments(place, "grown", "tasks=[noise]", "word_level=[]")) == 0
    assert main(arguments(place, "grown", "tasks=[noise, verb]", "word_level=[]", "seeds=2")) == 0
    assert trained == [("noise", [1]), ("noise", [2]), ("verb", [1, 2])]
    assert (place / "grown" / "tasks" / "noise" / "seed_1.json").read_bytes() == first
    assert len(scores(place / "grown")) == 24


def test_a_seed_does_not_depend_on_the_others(place, done):
    together = json.loads((done / "tasks" / "verb" / "seed_2.json").read_text())["scores"]
    assert main(arguments(place, "alone", "tasks=[verb]", "seed=2", "word_level=[]")) == 0
    alone = json.loads((place / "alone" / "tasks" / "verb" / "seed_2.json").read_text())["scores"]
    for one, other in zip(together, alone, strict=True):
        assert one == pytest.approx(other)


def test_logistic_regression_and_the_online_code(place):
    assert main(arguments(place, "linear", "tasks=[verb]", "word_level=[]", "online_code=true",
                          "classifier.kind=logistic_regression")) == 0  # fmt: skip
    rows = scores(place / "linear")
    assert max(float(row["test"]) for row in rows) > 0.95
    assert all(row["classifier"] == "logistic_regression" for row in rows)
    assert max(float(row["compression"]) for row in rows) > 1.5


def test_a_control_task_that_has_one_label_only(place):
    lines = (place / "data" / "verb.txt").read_text().replace("\ta ", "\tthe ")
    (place / "same").mkdir()
    (place / "same" / "verb.txt").write_text(lines)
    assert main(["--model", str(place / "run"), "--data", str(place / "same"),
                 f"folder={place / 'one_label'}", "classifier.kind=logistic_regression",
                 "model.poolings=[mean]", "model.random_weights=false"]) == 0  # fmt: skip
    assert {row["control"] for row in scores(place / "one_label")} == {"1.0"}


def test_sentences_that_are_cut_are_counted(place, capsys):
    more = ["model.sequence_length=6", "model.random_weights=false", "control=false"]
    assert main(arguments(place, "cut", "tasks=[noise]", "word_level=[]", *more)) == 0
    # Five words, [CLS] and [SEP]: each of the 200 sentences is one token too long.
    assert "noise: cut sentences 200" in capsys.readouterr().out


def test_precomputed_vectors(place):
    labels = [line.split("\t")[1] for line in (place / "data" / "verb.txt").read_text().split("\n")
              if line]  # fmt: skip
    vectors = np.stack([
        np.random.default_rng(0).normal(size=[len(labels), 4]),
        np.eye(4)[[VERBS.index(label) for label in labels]],
    ])  # fmt: skip
    (place / "given").mkdir()
    np.save(place / "given" / "verb.npy", vectors.astype(np.float32))
    assert main(["--model", str(place / "given"), "--data", str(place / "data"), "tasks=[verb]",
                 "control=false", *FAST]) == 0  # fmt: skip
    rows = scores(place / "given" / "probing")
    tests = {int(row["layer"]): float(row["test"]) for row in rows}
    assert len(rows) == 2 and tests[1] == 1.0 and tests[0] < 0.5
    assert {row["encoder"] for row in rows} == {"pre-trained"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["classifier.tenacity=9"], ["classifier.tenacity", "another folder"]),
        (["tasks=[depth]", "word_level=[]"], ["depth", "noise"]),
        (["model.layers=[0, 3]", "folder=elsewhere"], ["3", "2"]),
        (["model.poolings=[sum]"], ["model.poolings", "sum"]),
        (["--model", "nowhere"], ["nowhere"]),
        (["seeds=0"], ["seeds"]),
    ],
)
def test_wrong_input_is_one_sentence(place, done, more, words, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(arguments(place, "done", *more)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert all(word in error for word in words), error


def test_other_weights_are_noticed(place, tmp_path, capsys):
    here = arguments(place, "changing", "tasks=[noise]", "word_level=[]", "model.path=run")
    save_encoder(tmp_path / "encoder", 5)
    assert main([*here, "--model", str(tmp_path / "encoder")]) == 0
    capsys.readouterr()
    save_encoder(tmp_path / "encoder", 6)
    assert main([*here, "--model", str(tmp_path / "encoder")]) == 2
    assert "other weights" in capsys.readouterr().err
    assert main([*here, "--model", str(tmp_path / "encoder"), "--from-scratch"]) == 0
    assert len(list((place / "changing" / "vectors").iterdir())) == 2
