import json
import math

import pytest

from hierbert_tf.errors import InputError
from hierbert_tf.evaluation.squad_files import write_predictions
from hierbert_tf.models.answer_extraction import Candidate, ExtractedAnswers

TWO = (Candidate("Café", 0, 4, 5.0, 0.75), Candidate("é", 3, 4, 4.0, 0.25))
ANSWERS = {
    "sure": ExtractedAnswers(TWO, 1.0),
    "unsure": ExtractedAnswers((Candidate("\ud800", 9, 10, 1.0, 1.0),), 3.0),
    "nothing": ExtractedAnswers((), 0.5),
}


def read(folder, name):
    def no_constant(text):
        raise ValueError(f"{text} is no JSON")

    return json.loads((folder / name).read_text(), parse_constant=no_constant)


def test_the_files_hold_each_question(tmp_path):
    folder = tmp_path / "new" / "folder"
    write_predictions(folder, ANSWERS)
    assert read(folder, "predictions.json") == {"sure": "Café", "unsure": "\ud800", "nothing": ""}
    assert read(folder, "null_odds.json") == {"sure": -4.0, "unsure": 2.0, "nothing": 1e9}
    nbest = read(folder, "nbest_predictions.json")
    assert nbest["sure"] == [
        {"text": "Café", "probability": 0.75, "score": 5.0, "start": 0, "end": 4},
        {"text": "é", "probability": 0.25, "score": 4.0, "start": 3, "end": 4},
    ]
    assert nbest["nothing"] == []
    assert sorted(path.name for path in folder.iterdir()) == [
        "nbest_predictions.json", "null_odds.json", "predictions.json",
    ]  # fmt: skip


@pytest.mark.parametrize(("threshold", "text"), [(2.0, "\ud800"), (1.9, ""), (math.inf, "\ud800")])
def test_the_threshold_changes_the_predictions_alone(tmp_path, threshold, text):
    write_predictions(tmp_path, ANSWERS, threshold)
    assert read(tmp_path, "predictions.json") == {"sure": "Café", "unsure": text, "nothing": ""}
    assert read(tmp_path, "null_odds.json")["unsure"] == 2.0
    assert len(read(tmp_path, "nbest_predictions.json")["unsure"]) == 1


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        write_predictions(tmp_path / "file", ANSWERS)
