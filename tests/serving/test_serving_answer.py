"""Answers inside the graph are those of the model's `predict`."""

import random

import numpy as np
import pytest

from hierbert_tf.models.answer_labels import EXAMPLE
from hierbert_tf.serving.answer import Answer, AnswerIds
from tests.serving.served_models import ODD_BYTES, odd_texts, question_model, sentences


def pairs(count: int) -> tuple[list[str], list[str]]:
    """Sentences as questions, and contexts of one to three sentences."""
    draw, all_of_them = random.Random(3), sentences()
    questions = [draw.choice(all_of_them) for _ in range(count)]
    contexts = [
        " ".join(draw.choices(all_of_them, k=draw.choice([1, 1, 1, 3]))) for _ in range(count)
    ]
    return questions, contexts


def assert_same_answers(found, expected) -> None:
    assert [text.decode() for text in found["answer"].numpy()] == expected["answer"].tolist()
    for name in ("start", "end"):
        assert found[name].dtype == "int64"
        np.testing.assert_array_equal(found[name], expected[name])
    for name in ("score", "null_score"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)


@pytest.fixture(scope="module")
def model():
    return question_model()


def test_answers_are_the_models_own(model):
    questions, contexts = pairs(1000)
    found = Answer(model)(questions, contexts)
    expected = model.predict({"question": questions, "context": contexts}, verbose=0)
    assert_same_answers(found, expected)
    # Not the first token every time.
    assert len(set(expected["start"].tolist())) > 100


def test_odd_texts_are_answered_as_in_memory(model):
    texts = odd_texts()
    questions = texts + texts[3:] + texts[:3]
    contexts = texts[5:] + texts[:5] + texts
    found = Answer(model)(questions, contexts)
    expected = model.predict({"question": questions, "context": contexts}, verbose=0)
    assert_same_answers(found, expected)
    # Contexts without a token, and one of hundreds of windows, are among them.
    assert np.isneginf(expected["score"]).any()
    assert expected["start"].max() > 50_000 or len(set(expected["start"])) > 5
    windows = model.preprocessor.windows([""], [texts[-1]])
    assert windows[EXAMPLE].shape[0] > 300
    for answer, context, start, end in zip(
        found["answer"].numpy(), contexts, found["start"].numpy(), found["end"].numpy(), strict=True
    ):
        assert start == -1 or context[start:end] == answer.decode()


def test_bytes_that_are_no_utf8_count_as_one_replacement_character(model):
    context = [byte + b" the cat 42 " + byte for byte in ODD_BYTES]
    question = [byte + b" who" for byte in ODD_BYTES]
    found = Answer(model)(question, context)
    texts = {"question": np.array(question, object), "context": np.array(context, object)}
    assert_same_answers(found, model.predict(texts, verbose=0))


def test_the_null_threshold_is_honoured(model):
    questions, contexts = pairs(60)
    texts = {"question": questions, "context": contexts}
    odds = np.sort([found.null_odds for found in model.answer(questions, contexts)])
    try:
        halves = (odds[29:31].mean(), 30), (odds[-1] + 1, 0), (odds[0] - 1, 60)
        for threshold, unanswered in halves:
            model.null_threshold = float(threshold)
            expected = model.predict(texts, verbose=0)
            assert_same_answers(Answer(model)(questions, contexts), expected)
            assert np.sum(expected["start"] == -1) == unanswered
    finally:
        model.null_threshold = None


def test_no_questions_have_no_answers(model):
    found = Answer(model)(np.array([], object), np.array([], object))
    assert {name: value.shape for name, value in found.items()} == dict.fromkeys(found, (0,))


def test_logits_of_ids_are_the_models(model):
    questions, contexts = pairs(7)
    features = model.preprocessor({"question": questions, "context": contexts})
    endpoint = AnswerIds(model)
    found = endpoint(*(features[spec.name] for spec in endpoint.inputs))
    expected = model(features, training=False)
    for name in ("answer_start", "answer_end"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
