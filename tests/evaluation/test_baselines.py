import numpy as np
import pytest

from hierbert_tf.downstream.question_examples import GoldAnswer, QuestionExample
from hierbert_tf.downstream.text_examples import TextExample
from hierbert_tf.errors import InputError
from hierbert_tf.evaluation.baselines import (
    MostFrequentSpan,
    question_baselines,
    text_baselines,
)


def pair(a, b, label, name="1"):
    return TextExample(name, a, b, label)


TRAIN = [
    pair("a dog runs", "a dog runs", "yes"),
    pair("a cat sits", "a cat sits", "yes"),
    pair("an owl flies", "an owl flies", "yes"),
    pair("a dog sits", "an owl flies", "no"),
    pair("a cat runs", "a dog sits", "no"),
]


def question(context, answer, start=None, name="1"):
    gold = () if answer is None else (GoldAnswer(answer, context.index(answer)),)
    if start is not None:
        gold = (GoldAnswer(answer, start),)
    return QuestionExample(name, "", "What?", context, gold, answer is None)


def test_majority_class_has_the_training_shares():
    dev = [pair("x", "y", "no"), pair("x", "y", "yes"), pair("x", "z", "no")]
    majority = text_baselines(TRAIN, {"dev": dev})["dev"][0]
    assert majority.name == "majority class"
    assert majority.scores.labels == ("no", "yes")
    assert majority.scores.confusion == ((0, 2), (0, 1))
    expected = -(2 * np.log(0.4) + np.log(0.6)) / 3
    assert majority.scores.log_loss == pytest.approx(expected)


def test_a_tie_goes_to_the_first_label():
    train = [pair("x", "y", "no"), pair("x", "y", "yes")]
    assert text_baselines(train, {"dev": train})["dev"][0].scores.confusion == ((1, 0), (1, 0))


def test_only_the_overlap_sees_that_two_new_texts_are_equal():
    nonsense = [f"w{number}" for number in range(40)]
    random = np.random.default_rng(0)
    train, dev = [], []
    for number in range(200):
        one, two = (" ".join(random.choice(nonsense, 3, replace=False)) for _ in range(2))
        same = number % 2 == 0
        (train if number < 150 else dev).append(pair(one, one if same else two, str(same)))
    scores = {b.name: b.scores.accuracy for b in text_baselines(train, {"dev": dev})["dev"]}
    assert scores["majority class"] == 0.5
    assert scores["bag of words"] < 0.75
    assert scores["bag of words, overlap"] > 0.9


def test_the_two_texts_have_separate_bags():
    train = [pair("good", "bad", "yes"), pair("bad", "good", "no")] * 5
    found = text_baselines(train, {"dev": train, "other": train[:1]})
    assert found["dev"][1].scores.accuracy == 1.0
    assert found["other"][1].scores.count == 1


def test_single_texts_have_no_overlap():
    train = [TextExample("1", "good film", None, "1"), TextExample("2", "bad film", None, "0")]
    found = text_baselines(train, {"dev": train})["dev"]
    assert [one.name for one in found] == ["majority class", "bag of words"]
    assert found[1].scores.accuracy == 1.0


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"two labels, not \['yes'\]"):
        text_baselines(TRAIN[:3], {})
    with pytest.raises(InputError, match="'line 3' of dev has the label 'maybe'.*no, yes"):
        text_baselines(TRAIN, {"dev": [pair("x", "y", "maybe", "line 3")]})
    with pytest.raises(InputError, match="'line 4' of dev has no label"):
        text_baselines(TRAIN, {"dev": [pair("x", "y", None, "line 4")]})
    with pytest.raises(InputError, match="no labelled example"):
        text_baselines(TRAIN, {"dev": []})


def test_span_counts_words_that_scoring_keeps():
    # "The" and the dash are no words: Ada is word 0, "Ada Lovelace," words 0 and 1.
    span = MostFrequentSpan(
        [
            question("The Ada - Lovelace, wrote.", "Ada - Lovelace"),
            question("An Ada Lovelace wrote.", "Ada Lovelace"),
            question("Someone wrote it.", "wrote"),
        ]
    )
    assert (span.start, span.length) == (0, 2)
    assert span.answer("The quick (brown) fox") == "quick (brown)"
    assert span.answer("  one\n") == "one"
    assert span.answer("the a") == ""
    assert span.answer("") == ""


def test_an_answer_inside_a_word_touches_it():
    span = MostFrequentSpan([question("In 1,066-1,070 there", "066-1")])
    assert (span.start, span.length) == (1, 1)


def test_the_span_moves_back_into_a_short_context():
    span = MostFrequentSpan([question("one two three four five six", "four five")])
    assert (span.start, span.length) == (3, 2)
    assert span.answer("one two three four five six") == "four five"
    assert span.answer("one two three four") == "three four"
    assert span.answer("one") == "one"


def test_ties_go_to_the_earliest_then_the_shortest():
    train = [question("x y z", text) for text in ("y", "x y", "x", "z")]
    span = MostFrequentSpan(train)
    assert (span.start, span.length) == (0, 1)


def test_only_the_first_gold_answer_counts_and_none_is_left_out():
    context = "x y z"
    two = QuestionExample("1", "", "?", context, (GoldAnswer("z", 4), GoldAnswer("x", 0)), False)
    span = MostFrequentSpan([two, question(context, None)])
    assert (span.start, span.length) == (2, 1)


def test_training_without_answers_is_refused():
    with pytest.raises(InputError, match="no training question has an answer"):
        MostFrequentSpan([question("x", None)])


def test_question_baselines_by_hand():
    train = [question("x y z", "y")]
    dev = [
        question("one two three", "two", name="a"),
        question("one two three", "two three", name="b"),
        question("one two three", None, name="c"),
        question("one two three", "three", name="d"),
    ]
    (span, nothing) = question_baselines(train, dev, "2.0")
    assert (span.name, nothing.name) == ("most frequent span", "no answer")
    assert span.scores.exact == 25.0
    assert span.scores.f1 == 100.0 * (1 + 2 / 3) / 4
    assert (nothing.scores.exact, nothing.scores.no_answer.total) == (25.0, 1)
    (only,) = question_baselines(train, [dev[0], dev[3]], "1.1")
    assert only.scores.exact == 50.0
