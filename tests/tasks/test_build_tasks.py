import pytest

from hierbert_tf.config import ReceivesConfig, TaskConfig
from hierbert_tf.errors import InputError
from hierbert_tf.tasks import PretrainingTask, build_tasks

MLM = TaskConfig("masked_lm", 4)
NSP = TaskConfig("next_sentence", 2)


def test_tasks_run_in_the_order_of_their_stages():
    tasks = build_tasks(
        [MLM, TaskConfig("bigram_shift", 2), TaskConfig("sentence_order", 1), NSP], 4
    )
    assert [task.name for task in tasks] == [
        "sentence_order", "next_sentence", "bigram_shift", "masked_lm",
    ]  # fmt: skip
    assert {"masked_lm", "next_sentence", "bigram_shift", "sentence_order"} <= set(
        PretrainingTask.registry
    )


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ([], "name at least one task"),
        ([TaskConfig("maskedlm", 1)], r"no task is called 'maskedlm'; nearest: masked_lm"),
        ([MLM, MLM], r"tasks\[1\].name: task 'masked_lm' is listed twice"),
        ([TaskConfig("masked_lm", 9)], "at layer 9 of an encoder of 4 layers"),
        ([TaskConfig("masked_lm", -1)], "at layer -1"),
        ([TaskConfig("masked_lm", 1, weight=-1.0)], "is negative"),
        ([TaskConfig("masked_lm", 1, options={"rat": 1})], "no option 'rat'; its options are rate"),
        ([TaskConfig("masked_lm", 4, receives=ReceivesConfig("nsp"))], "cannot receive from 'nsp'"),
        ([TaskConfig("masked_lm", 4, receives=ReceivesConfig("masked_lm"))], "cannot receive from"),
        (
            [NSP, TaskConfig("masked_lm", 1, receives=ReceivesConfig("next_sentence"))],
            "at layer 2, above 'masked_lm' at layer 1",
        ),
        (
            [NSP, TaskConfig("masked_lm", 2, receives=ReceivesConfig("next_sentence"))],
            "both sit at layer 2.*into: head",
        ),
        (
            [NSP, TaskConfig("masked_lm", 4, receives=ReceivesConfig("next_sentence", by="sum"))],
            "'sum' is no transfer",
        ),
        (
            [NSP, TaskConfig("masked_lm", 4, receives=ReceivesConfig("next_sentence", into="top"))],
            "neither block nor head",
        ),
        (
            [
                MLM,
                TaskConfig("next_sentence", 4, receives=ReceivesConfig("masked_lm", into="head")),
            ],
            r"'masked_lm' has no pooled \[CLS\] vector",
        ),
        (
            [
                TaskConfig(
                    "next_sentence", 2, receives=ReceivesConfig("sentence_order", into="head")
                ),
                TaskConfig(
                    "sentence_order", 2, receives=ReceivesConfig("next_sentence", into="head")
                ),
            ],
            "would receive from itself",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tasks, message):
    with pytest.raises(InputError, match=message):
        build_tasks(tasks, 4)
