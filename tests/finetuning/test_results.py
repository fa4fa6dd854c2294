"""The table over the seeds."""

import csv
import io
import statistics

import pytest

from hierbert_tf.finetuning.results import results_table, write_results

SCORES = {
    3: {"dev": {"accuracy": 0.5, "log_loss": 0.9}, "test": {"accuracy": 0.4}},
    1: {"dev": {"accuracy": 0.75, "log_loss": 0.7}, "test": {"accuracy": 0.5}},
    2: {"dev": {"accuracy": 0.25, "log_loss": 0.8}, "test": {"accuracy": 0.6}},
}


def rows(text):
    return {(row["set"], row["metric"]): row for row in csv.DictReader(io.StringIO(text))}


def test_mean_deviation_best_and_every_seed():
    table = rows(results_table(SCORES, {"commit": "abc", "settings": "def"})[0])
    assert list(table) == [("dev", "accuracy"), ("dev", "log_loss"), ("test", "accuracy")]
    row = table["dev", "accuracy"]
    assert [float(row[f"seed_{seed}"]) for seed in (1, 2, 3)] == [0.75, 0.25, 0.5]
    assert float(row["mean"]) == 0.5
    assert float(row["standard_deviation"]) == statistics.stdev([0.5, 0.75, 0.25])
    assert (row["best"], row["best_seed"]) == ("0.75", "1")
    assert (row["commit"], row["settings"]) == ("abc", "def")


def test_the_best_loss_is_the_smallest():
    row = rows(results_table(SCORES, {})[0])["dev", "log_loss"]
    assert (row["best"], row["best_seed"]) == ("0.7", "1")


def test_one_seed_has_no_deviation():
    table, markdown = results_table({1: SCORES[1]}, {})
    assert rows(table)["dev", "accuracy"]["standard_deviation"] == ""
    assert "| dev | accuracy | 0.7500 | - | 0.7500 (1) | 0.7500 |" in markdown


def test_the_files_hold_what_is_shown(tmp_path):
    markdown = write_results(tmp_path, SCORES, {"commit": "abc"})
    assert (tmp_path / "results.md").read_text() == markdown
    assert rows((tmp_path / "results.csv").read_text())["test", "accuracy"]["mean"] == "0.5"
    assert "- commit: abc" in markdown


def test_seeds_of_different_sets_cannot_be_one_table():
    with pytest.raises(KeyError):
        results_table({1: SCORES[1], 2: {"dev": {}}}, {})
