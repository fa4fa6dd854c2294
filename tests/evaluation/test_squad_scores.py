import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierbert_tf.errors import InputError
from hierbert_tf.evaluation.null_threshold import apply_threshold, best_threshold
from hierbert_tf.evaluation.squad_scores import (
    SquadPart,
    exact_match,
    f1_score,
    normalize_answer,
    squad_scores,
)

ASCII_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Cat", "cat"),
        ("a cat, an owl and the dog", "cat owl and dog"),
        ("theatre Anna", "theatre anna"),
        ("the-end", "theend"),  # punctuation goes before articles are looked for
        ("A. Lincoln", "lincoln"),
        ("don't", "dont"),
        ("“quoted” \u2013 5 €", "“quoted” \u2013 5 €"),  # Unicode punctuation stays
        ("the “a”", "“ ”"),  # and bounds an article
        ("x\u00a0y\u2003z\n\tw", "x y z w"),
        ("ÄRGER Straße", "ärger straße"),
        ("the", ""),
        (" ?!", ""),
        ("", ""),
        ("İ", "i\u0307"),
    ],
)
def test_normalising_by_hand(text, normal):
    assert normalize_answer(text) == normal


@pytest.mark.parametrize(
    ("prediction", "golds", "version", "exact", "f1"),
    [
        ("the Cat!", ["cat"], "1.1", 1, 1.0),
        ("cat dog", ["bird", "dog cat", "cat"], "1.1", 0, 1.0),
        ("big red cat", ["the red cat", "cat"], "1.1", 0, 2 * (2 / 3) * 1 / (2 / 3 + 1)),
        ("cat cat cat", ["cat cat dog"], "2.0", 0, 2 / 3),
        # Of these answers nothing is left: 1.1 finds them equal but without a common word.
        ("the", ["a"], "1.1", 1, 0.0),
        ("", ["a"], "1.1", 1, 0.0),
        ("", ["cat"], "1.1", 0, 0.0),
        # 2.0 does not count such a gold answer; none is left, so no answer is right.
        ("the", ["a"], "2.0", 1, 1.0),
        ("", ["a", "cat"], "2.0", 0, 0.0),
        ("", ["a", "cat"], "1.1", 1, 0.0),
        ("", [], "2.0", 1, 1.0),
        ("...", [], "2.0", 1, 1.0),
        ("cat", [], "2.0", 0, 0.0),
        ("", ["cat"], "2.0", 0, 0.0),
    ],
)
def test_one_answer_by_hand(prediction, golds, version, exact, f1):
    assert exact_match(prediction, golds, version=version) == exact
    assert f1_score(prediction, golds, version=version) == f1


def slow_words(text):
    """The words that are compared, character by character."""
    kept = [c for c in text.lower() if c not in ASCII_PUNCTUATION]
    # A run of characters that a regular expression counts as a word may be an article.
    words, run = [], ""
    for c in [*kept, " "]:
        if c.isalnum() or c == "_":
            run += c
            continue
        words.append(" " if run in ("a", "an", "the") else run)
        words.append(c)
        run = ""
    return "".join(words).split()


def slow_score(prediction, golds, version):
    best_exact, best_f1 = False, 0.0
    lists = [slow_words(gold) for gold in golds]
    if version == "2.0":
        lists = [words for words in lists if words] or [[]]
    mine = slow_words(prediction)
    for wanted in lists:
        best_exact |= mine == wanted
        left, same = list(wanted), 0
        for word in mine:
            if word in left:
                left.remove(word)
                same += 1
        if version == "2.0" and (not mine or not wanted):
            f1 = float(mine == wanted)
        elif same:
            precision, recall = same / len(mine), same / len(wanted)
            f1 = 2 * precision * recall / (precision + recall)
        else:
            f1 = 0.0
        best_f1 = max(best_f1, f1)
    return int(best_exact), best_f1


answer = st.text(st.sampled_from("aAnNtThHeE b.,-' “é5"), max_size=14)


@settings(max_examples=300, deadline=None)
@given(answer, st.lists(answer, min_size=1, max_size=3), st.sampled_from(["1.1", "2.0"]))
def test_one_answer_against_a_slow_reference(prediction, golds, version):
    exact, f1 = slow_score(prediction, golds, version)
    assert exact_match(prediction, golds, version=version) == exact
    assert f1_score(prediction, golds, version=version) == f1


questions = st.dictionaries(
    st.text("qrst", min_size=1, max_size=3),
    st.tuples(st.lists(answer, max_size=2), answer, st.floats(-9, 9)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(questions)
def test_sets_against_a_slow_reference(data):
    golds = {key: row[0] for key, row in data.items()}
    predictions = {key: row[1] for key, row in data.items()}
    scores = squad_scores(golds, predictions, "2.0")
    each = [slow_score(predictions[key], golds[key], "2.0") for key in golds]
    assert scores.exact == 100.0 * sum(one[0] for one in each) / len(each)
    assert scores.f1 == 100.0 * sum(one[1] for one in each) / len(each)
    for part, keys in (
        (scores.has_answer, [key for key in golds if golds[key]]),
        (scores.no_answer, [key for key in golds if not golds[key]]),
    ):
        if not keys:
            assert part is None
            continue
        each = [slow_score(predictions[key], golds[key], "2.0") for key in keys]
        exact = 100.0 * sum(one[0] for one in each) / len(keys)
        assert part == SquadPart(exact, 100.0 * sum(one[1] for one in each) / len(keys), len(keys))


def test_a_set_of_1_1_by_hand():
    golds = {"a": ["one"], "b": ["two three", "two"], "c": ["x y z"], "d": ["w"]}
    predictions = {"a": "One.", "b": "three two", "c": "x"}
    scores = squad_scores(golds, predictions, "1.1")
    # Sums: exact 1; F1 1 + 1 + 2 * 1 * (1/3) / (4/3) + 0.
    assert scores.as_dict() == {"exact": 25.0, "f1": 62.5, "total": 4, "missing": 1}


def test_1_1_adds_one_after_the_other():
    # Ten thirds: a compensated sum gives another last digit.
    golds = {str(number): ["x y z w v"] for number in range(10)}
    predictions = {str(number): "x" for number in range(10)}
    total = 0
    for _ in range(10):
        total += 2 * 1.0 * 0.2 / (1.0 + 0.2)
    assert squad_scores(golds, predictions, "1.1").f1 == 100.0 * total / 10


def test_a_set_of_2_0_by_hand():
    golds = {"a": ["one"], "b": [], "c": [], "d": ["two words"]}
    scores = squad_scores(golds, {"a": "one", "b": "", "c": "x", "d": "words", "e": "?"}, "2.0")
    assert scores.as_dict() == {
        "exact": 50.0,
        "f1": 100.0 * (1 + 1 + 0 + 2 * 1.0 * 0.5 / 1.5) / 4,
        "total": 4,
        "missing": 0,
        "has_answer_exact": 50.0,
        "has_answer_f1": 100.0 * (1 + 2 * 1.0 * 0.5 / 1.5) / 2,
        "has_answer_total": 2,
        "no_answer_exact": 50.0,
        "no_answer_f1": 50.0,
        "no_answer_total": 2,
    }
    json.dumps(scores.as_dict())


def test_a_missing_prediction_is_wrong_even_without_an_answer():
    scores = squad_scores({"a": ["x"], "b": []}, {}, "2.0")
    assert (scores.exact, scores.f1, scores.missing) == (0.0, 0.0, 2)


def test_bad_sets_are_refused():
    with pytest.raises(InputError, match="no question to score"):
        squad_scores({}, {}, "1.1")
    with pytest.raises(InputError, match="question 'q7' has no gold answer"):
        squad_scores({"q7": []}, {"q7": ""}, "1.1")
    with pytest.raises(InputError, match=r"no version '3'.*1\.1, 2\.0"):
        squad_scores({"q": ["x"]}, {}, "3")
    with pytest.raises(InputError, match="no gold answer"):
        f1_score("x", [], version="1.1")


def accuracy_at(threshold, golds, predictions, odds, which):
    scores = squad_scores(golds, apply_threshold(predictions, odds, threshold), "2.0")
    return scores.exact if which == 0 else scores.f1


def test_thresholds_by_hand():
    golds = {"a": ["x"], "b": [], "c": ["y z"], "d": []}
    predictions = {"a": "x", "b": "w", "c": "y", "d": "w"}
    odds = {"a": -4.0, "b": 3.0, "c": -1.0, "d": -2.0}
    # In order a, d, c, b: exact 2, 3, 2, 2, 1; F1 2, 3, 2, 2 + 2/3, ...
    best = best_threshold(golds, predictions, odds)
    assert (best.threshold_exact, best.best_exact) == (-4.0, 75.0)
    assert (best.threshold_f1, best.best_f1) == (-4.0, 75.0)
    for which in (0, 1):
        assert accuracy_at(-4.0, golds, predictions, odds, which) == 75.0
    odds["d"] = 5.0  # then in order a, c, b, d: F1 2, 3, 3 + 2/3, ...
    best = best_threshold(golds, predictions, odds)
    assert (best.threshold_exact, best.threshold_f1) == (-4.0, -1.0)
    assert best.best_f1 == 100.0 * (3 + 2 * 1.0 * 0.5 / 1.5) / 4


def test_where_answering_nothing_is_best_the_threshold_answers_nothing():
    golds, predictions = {"a": ["x"], "b": []}, {"a": "wrong", "b": "w"}
    best = best_threshold(golds, predictions, {"a": -7.0, "b": -8.0})
    assert best.best_exact == best.best_f1 == 50.0
    odds = {"a": -7.0, "b": -8.0}
    assert -8.1 < best.threshold_exact < -8.0
    assert accuracy_at(best.threshold_exact, golds, predictions, odds, 0) == 50.0
    # Odds above 0: 0.0, as the published search gives.
    assert best_threshold(golds, predictions, {"a": 1.0, "b": 2.0}).threshold_exact == 0.0


@settings(max_examples=200, deadline=None)
@given(questions)
def test_thresholds_are_the_best_of_all(data):
    golds = {key: row[0] if any(map(normalize_answer, row[0])) else [] for key, row in data.items()}
    predictions = {key: "x " + row[1] for key, row in data.items()}
    # Distinct odds: among equal ones the published search may stop in the middle.
    odds = {key: row[2] + number * 20 for number, (key, row) in enumerate(data.items())}
    best = best_threshold(golds, predictions, odds)
    for which, threshold, score in (
        (0, best.threshold_exact, best.best_exact),
        (1, best.threshold_f1, best.best_f1),
    ):
        tried = [
            accuracy_at(one, golds, predictions, odds, which) for one in [-1e9, *odds.values()]
        ]
        assert score == pytest.approx(max(tried), abs=1e-9)
        reached = accuracy_at(threshold, golds, predictions, odds, which)
        assert reached == pytest.approx(score, abs=1e-9)


def test_an_empty_prediction_of_an_unanswerable_question_costs_nothing():
    golds, predictions = {"a": ["x"], "b": []}, {"a": "x", "b": ""}
    assert best_threshold(golds, predictions, {"a": 2.0, "b": 1.0}).best_exact == 100.0


def test_thresholds_need_everything():
    with pytest.raises(InputError, match="no question"):
        best_threshold({}, {}, {})
    with pytest.raises(InputError, match="question 'b' has no prediction"):
        best_threshold({"a": [], "b": []}, {"a": ""}, {"a": 0.0, "b": 0.0})
    with pytest.raises(InputError, match="question 'b' has no null odds"):
        best_threshold({"a": [], "b": []}, {"a": "", "b": ""}, {"a": 0.0})
    with pytest.raises(InputError, match="question 'a' are not a number"):
        best_threshold({"a": []}, {"a": ""}, {"a": float("nan")})
    with pytest.raises(InputError, match="question 'a' has no null odds"):
        apply_threshold({"a": ""}, {}, 0.0)
