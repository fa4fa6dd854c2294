"""The CSV, the tables and TensorBoard of probing scores."""

import csv
import dataclasses
import io

import numpy as np
import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorflow import make_ndarray

from hierbert_tf.errors import InputError
from hierbert_tf.probing.layer_scores import LayerScores, by_task, mean_spread
from hierbert_tf.probing.results import scores_markdown, write_probing_results
from hierbert_tf.probing.scores import (
    PRE_TRAINED,
    RANDOM_WEIGHTS,
    ProbeScore,
    read_scores,
    scores_csv,
)
from hierbert_tf.probing.tensorboard import write_probing_tensorboard


def score(
    task, encoder, layer, seed, validation, test, pooling="cls", majority=0.25, control=None, **more
):
    selectivity = None if control is None else test - control
    return ProbeScore(
        task, encoder, pooling, layer, "mlp", seed, "hidden 50, dropout 0.1", 8, 1200, majority,
        validation, test, control, selectivity, **more,
    )  # fmt: skip


# Validation and test disagree on the best layer: only validation may choose.
SCORES = [
    score("depth", PRE_TRAINED, 0, 1, 0.30, 0.80, control=0.30, compression=1.5),
    score("depth", PRE_TRAINED, 0, 2, 0.30, 0.90, control=0.30, compression=1.5),
    score("depth", PRE_TRAINED, 1, 1, 0.60, 0.50, control=0.20, compression=2.0),
    score("depth", PRE_TRAINED, 1, 2, 0.50, 0.60, control=0.40, compression=3.0),
    score("depth", PRE_TRAINED, 2, 1, 0.40, 0.45, control=0.30, compression=1.5),
    score("depth", PRE_TRAINED, 2, 2, 0.40, 0.35, control=0.30, compression=1.5),
    score("depth", RANDOM_WEIGHTS, 0, 1, 0.50, 0.30),
    score("depth", RANDOM_WEIGHTS, 0, 2, 0.50, 0.42),
    score("depth", RANDOM_WEIGHTS, 1, 1, 0.40, 0.70),
    score("depth", RANDOM_WEIGHTS, 1, 2, 0.40, 0.70),
]


def of(scores, **changes):
    return [dataclasses.replace(one, **changes) for one in scores]


def cells(markdown, start):
    """The cells of the only row that begins so."""
    (row,) = [line for line in markdown.splitlines() if line.startswith(f"| {start} |")]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_the_best_layer_is_chosen_on_validation_and_reported_on_test():
    markdown = scores_markdown(SCORES, {"commit": "abc"})
    assert cells(markdown, "depth") == [
        "depth",
        "1,200",
        "25.0",
        "36.0 ± 8.5 (0)",
        "40.0 ± 7.1 (2)",
        "55.0 ± 7.1 (1)",
        "+19.0 ± 1.4",  # by seed: 0.50 - 0.30 and 0.60 - 0.42
        "+25.0 ± 7.1",
        "2.50 ± 0.71",
    ]
    assert markdown.startswith("- commit: abc\n- classifier: mlp; seeds: 1, 2\n")


def test_of_equal_layers_the_lowest_is_the_best():
    scores = [score("a", PRE_TRAINED, layer, 1, 0.5, 0.1 * layer) for layer in (3, 1, 2)]
    found = LayerScores(scores)
    assert (found.layers, found.best_layer) == ([1, 2, 3], 1)


def test_one_seed_has_no_deviation_and_columns_not_measured_are_left_out():
    markdown = scores_markdown([one for one in of(SCORES[6:], control=None) if one.seed == 1], {})
    assert cells(markdown, "depth") == ["depth", "1,200", "25.0", "30.0 ± - (0)", "-", "-", "-"]
    assert "selectivity |" not in markdown and "compression |" not in markdown


def test_vectors_without_random_weights():
    given = of([one for one in SCORES if one.encoder == PRE_TRAINED], pooling="given")
    markdown = scores_markdown(given, {})
    assert cells(markdown, "depth")[3:7] == ["-", "40.0 ± 7.1 (2)", "55.0 ± 7.1 (1)", "-"]
    assert "## Pooling: given" in markdown and "### Every layer, random" not in markdown


def test_other_seeds_give_a_difference_without_deviation():
    scores = SCORES[:6] + [dataclasses.replace(one, seed=one.seed + 5) for one in SCORES[6:]]
    assert cells(scores_markdown(scores, {}), "depth")[6] == "+19.0 ± -"


def test_bigram_shift_stands_apart_from_the_mean_of_the_others():
    both = of(SCORES, test=0.9, task="bigram_shift", majority=0.5) + SCORES
    both += [
        dataclasses.replace(one, task="tense", test=one.test - 0.1, majority=0.35) for one in SCORES
    ]
    markdown = scores_markdown(both, {}, [("bigram_shift", 1), ("masked_lm", 2)])
    mean = cells(markdown, "**mean of the 2 other tasks**")
    assert mean[1:6] == ["", "**30.0**", "**31.0 ± 8.5**", "**35.0 ± 7.1**", "**50.0 ± 7.1**"]
    assert mean[6] == "**+19.0 ± 1.4**"
    lines = markdown.splitlines()
    places = [lines.index(next(line for line in lines if line.startswith(start)))
              for start in ("| tense |", "| **mean of", "| bigram_shift |")]  # fmt: skip
    assert places == [places[0], places[0] + 1, places[0] + 2]
    assert "a pre-training task as well, here at layer 1." in markdown
    head, row = [line for line in lines if line.startswith(("| layer |", "| 1 (bigram_shift) |"))][
        :2
    ]
    assert head == "| layer | depth | tense | mean of the 2 other tasks | bigram_shift |"
    assert row.startswith("| 1 (bigram_shift) | **55.0 ± 7.1** | **45.0 ± 7.1** | 50.0 ± 7.1 |")
    # The heads belong to the trained encoder.
    assert "(masked_lm)" not in markdown.split("random weights\n")[-1]


def test_without_bigram_shift_the_mean_is_of_all_tasks():
    scores = SCORES + of(SCORES, task="tense")
    assert cells(scores_markdown(scores, {}), "**mean of the 2 listed tasks**")[5] == (
        "**55.0 ± 7.1**"
    )
    assert "mean of" not in scores_markdown(SCORES, {}).split("Test accuracy")[0]


def test_the_mean_of_tasks_of_other_seeds_has_no_deviation_and_needs_every_task():
    assert mean_spread([{1: 0.5}, {2: 0.7, 3: 0.9}]).mean == pytest.approx(0.65)
    assert mean_spread([{1: 0.5}, {2: 0.7, 3: 0.9}]).deviation is None
    assert mean_spread([{1: 0.5}, {}]) is None and mean_spread([]) is None


def test_every_pooling_has_its_own_tables():
    words = of(SCORES, pooling="first_token", task="tags", test=0.123)
    markdown = scores_markdown(SCORES + words, {})
    first, second = markdown.split("## Pooling: ")[1:]
    assert first.startswith("cls") and "tags" not in first
    assert second.startswith("first_token") and "12.3 ± 0.0" in second and "depth" not in second


def test_names_cannot_break_the_table():
    markdown = scores_markdown(of(SCORES, task="a|b"), {"text": "one\ntwo | three"})
    assert r"| a\|b | 1,200 |" in markdown and r"- text: one two \| three" in markdown


def test_two_scores_of_one_place_are_refused():
    with pytest.raises(ValueError, match="two scores of"):
        scores_markdown([*SCORES, SCORES[0]], {})
    with pytest.raises(ValueError, match="no scores"):
        scores_markdown([], {})
    with pytest.raises(ValueError, match="no scores"):
        LayerScores([])


def test_csv_gives_the_same_scores_again(tmp_path):
    path = tmp_path / "scores.csv"
    scores = [*SCORES, score('x, "y"\nz', PRE_TRAINED, 3, 4, 0.1 * 3, 1 / 3, codelength_bits=7e5)]
    path.write_text(scores_csv(scores, {"commit": "abc"}))
    assert read_scores(path) == scores
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert {row["commit"] for row in rows} == {"abc"}
    assert (rows[0]["control"], rows[-1]["control"], rows[-1]["test"]) == ("0.3", "", repr(1 / 3))


def test_numbers_of_numpy_are_written_as_numbers(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(scores_csv(of(SCORES[:1], test=np.float32(0.5), layer=np.int64(3)), {}))
    assert (read_scores(path)[0].test, read_scores(path)[0].layer) == (0.5, 3)


def test_a_fact_called_like_a_column_is_refused():
    with pytest.raises(ValueError, match="encoder"):
        scores_csv(SCORES, {"encoder": "mine"})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("task,encoder", "name,encoder", "no table of probing scores"),
        ("depth,pre-trained,cls,0,mlp,1", "depth,other,cls,0,mlp,1", "line 2: encoder 'other'"),
        ("cls,0,mlp,1", "cls,zero,mlp,1", "line 2: layer 'zero' is no number"),
        ("cls,0,mlp,1", "cls,,mlp,1", "line 2: layer '' is no number"),
        (",0.8,0.3,", ",1.8,0.3,", "line 2: test cannot be 1.8"),
        (",0.8,0.3,", ",nan,0.3,", "line 2: test cannot be nan"),
        ("cls,0,mlp,2", "cls,0,mlp,1", "line 3: a second score of depth, pre-trained, cls, 0, 1"),
        ("cls,0,mlp,1", "cls,0,mlp", "line 2: 15 cells, not 16"),
        ('"hidden 50', '"hidden" 50', "cannot be read"),
    ],
)
def test_a_broken_csv_says_where(tmp_path, old, new, message):
    path = tmp_path / "scores.csv"
    path.write_text(scores_csv(SCORES, {}).replace(old, new, 1))
    with pytest.raises(InputError) as error:
        read_scores(path)
    assert message in str(error.value) and "scores.csv" in str(error.value)


def test_a_csv_that_is_missing_or_no_text(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_scores(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        read_scores(tmp_path / "bytes.csv")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match="no table of probing scores"):
        read_scores(tmp_path / "empty.csv")


def test_the_files_hold_what_is_shown(tmp_path):
    scores = SCORES + of(SCORES, pooling="mean", control=None, selectivity=None)
    markdown = write_probing_results(tmp_path / "new", scores, {"commit": "abc"}, [("a", 1)])
    folder = tmp_path / "new"
    assert sorted(path.name for path in folder.iterdir()) == [
        "heat_map_cls.png",
        "heat_map_mean.png",
        "lines_cls.png",
        "lines_mean.png",
        "scores.csv",
        "scores.md",
        "selectivity_cls.png",
    ]
    assert (folder / "scores.md").read_text() == markdown and "| 1 (a) |" in markdown
    assert read_scores(folder / "scores.csv") == scores


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_probing_results(tmp_path / "file", SCORES, {}, [])
    with pytest.raises(InputError, match="cannot be written"):
        write_probing_tensorboard(tmp_path / "file" / "tensorboard", SCORES, [], "")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def events(folder):
    found = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    found.Reload()
    return found


def points(folder, tag):
    return {
        event.step: float(make_ndarray(event.tensor_proto)) for event in events(folder).Tensors(tag)
    }


def test_tensorboard_draws_accuracy_over_layers(tmp_path):
    folder = tmp_path / "tensorboard"
    for _ in range(2):  # the second call replaces what the first wrote
        write_probing_tensorboard(folder, SCORES, [("masked_lm", 2)], "| a table |")
    assert sorted(path.name for path in folder.iterdir()) == [
        "control",
        "majority",
        "pre-trained",
        "random_weights",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["tensorboard"]
    tag = "probing/cls/depth"
    assert points(folder / "pre-trained", tag) == pytest.approx({0: 0.85, 1: 0.55, 2: 0.4})
    assert points(folder / "random_weights", tag) == pytest.approx({0: 0.36, 1: 0.7})
    assert points(folder / "control", tag) == pytest.approx({0: 0.3, 1: 0.3, 2: 0.3})
    assert points(folder / "majority", tag) == pytest.approx({0: 0.25, 1: 0.25, 2: 0.25})
    ours = events(folder / "pre-trained")
    assert len(ours.Tensors(tag)) == 3
    assert make_ndarray(ours.Tensors("probing/scores")[0].tensor_proto) == [b"| a table |"]
    for name in ("heat_map", "lines", "selectivity"):
        width, height, png = make_ndarray(ours.Tensors(f"probing/{name}/cls")[0].tensor_proto)
        assert int(width) > 300 and int(height) > 200 and png.startswith(b"\x89PNG")


def test_tensorboard_of_given_vectors_has_no_other_runs(tmp_path):
    given = of([one for one in SCORES if one.encoder == PRE_TRAINED], control=None,
               selectivity=None)  # fmt: skip
    write_probing_tensorboard(tmp_path / "t", given, [], "")
    assert sorted(path.name for path in (tmp_path / "t").iterdir()) == ["majority", "pre-trained"]


def test_tasks_are_in_the_order_given_but_bigram_shift_comes_last():
    scores = [score(task, PRE_TRAINED, 0, 1, 0.5, 0.5) for task in ("b", "bigram_shift", "a")]
    assert list(by_task(scores, "cls")) == ["b", "a", "bigram_shift"]
    assert by_task(scores, "mean") == {}
