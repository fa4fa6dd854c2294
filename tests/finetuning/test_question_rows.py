"""Which windows of labelled questions are trained on."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from hierbert_tf.config_file import load_config
from hierbert_tf.config_finetuning import FinetuningConfig
from hierbert_tf.downstream.question_examples import GoldAnswer, QuestionExample
from hierbert_tf.finetuning.question_answering import QuestionAnswering
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer

CONTEXT = "red blue \u200b green"
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "blue", "green", "who"]


@pytest.fixture
def task():
    settings = ["data.train=[none]", "data.sequence_length=16", "data.max_question_length=4",
                "data.stride=4", "data.batch_size=2"]  # fmt: skip
    # The rows need the tokenizer alone; reading files and building models are other tests.
    task = QuestionAnswering.__new__(QuestionAnswering)
    task.config = load_config(None, settings, FinetuningConfig)
    task.encoder = SimpleNamespace(tokenizer=HierarchicalBertTokenizer(TOKENS))
    return task


def example(*answers: GoldAnswer) -> QuestionExample:
    return QuestionExample("1", "", "who", CONTEXT, answers, not answers)


def test_an_answer_is_learnt_where_it_stands(task):
    task.training = [example(GoldAnswer("blue", 4)), example()]
    rows = task.training_rows(seed=1)
    # [CLS] who [SEP] red blue green [SEP]
    assert rows.features["token_ids"][0, :7].tolist() == [2, 8, 3, 5, 6, 7, 3]
    assert rows.labels["answer_start"].tolist() == [4, 0]
    assert rows.labels["answer_end"].tolist() == [4, 0]


def test_the_first_answer_whose_place_is_known_is_taken(task):
    task.training = [example(GoldAnswer("green", -1), GoldAnswer("red blue", 0))]
    rows = task.training_rows(seed=1)
    assert (rows.labels["answer_start"][0], rows.labels["answer_end"][0]) == (3, 4)


def test_an_answer_without_a_token_is_left_out_and_said(task):
    task.training = [example(GoldAnswer("\u200b", 9)), example(GoldAnswer("red", 0))]
    with pytest.warns(UserWarning, match="1 windows are not trained on"):
        rows = task.training_rows(seed=1)
    assert len(rows) == 1 and rows.labels["answer_start"].tolist() == [3]


@pytest.mark.parametrize("share", [1.0, 0.5, 0.0])
def test_windows_that_miss_the_answer_are_thinned_out(task, share):
    # 9 tokens of room: an answered question has an answered window and a missing one, one without
    # an answer two, all of which stay.
    task.config = dataclasses.replace(
        task.config, data=dataclasses.replace(task.config.data, null_windows=share, stride=9)
    )
    context = "red " + "blue " * 12
    gold = QuestionExample("1", "", "who", context, (GoldAnswer("red", 0),), False)
    nothing = QuestionExample("2", "", "who", context, (), True)
    task.training = [gold] * 50
    rows = task.training_rows(seed=1)
    answered = (rows.labels["answer_start"] == 3).sum()
    assert answered == 50
    missing = len(rows) - 50
    assert missing == 50 * share or (share == 0.5 and 13 < missing < 37)
    task.training = [nothing] * 5
    assert len(task.training_rows(seed=1)) == 10


def test_a_watched_question_without_a_known_place_is_no_question_without_answer(task):
    task.sets = {"dev": [example(GoldAnswer("green", -1)), example(GoldAnswer("green", 11))]}
    rows = task.watched_rows(seed=1)
    assert rows.labels["answer_start"].tolist() == [5]
    assert np.asarray(rows.lengths).tolist() == [7]
