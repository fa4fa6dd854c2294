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
        ([TaskConfig("masked_lm", 1, weight=-1.0)], "is no weight"),
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": "0,15"}, "option 'rate' is '0,15', but must be a number"),
        ({"rate": None}, "option 'rate' is None, but must be a number"),
        ({"rate": True}, "option 'rate' is True, but must be a number"),
        ({"unit": 3}, "option 'unit' is 3, but must be text"),
    ],
)
def test_options_have_their_types(options, message):
    with pytest.raises(InputError, match=message):
        build_tasks([TaskConfig("masked_lm", 1, options=options)], 4)


def test_numbers_as_yaml_reads_them_are_numbers():
    (task,) = build_tasks(
        [TaskConfig("masked_lm", 1, options={"rate": "1e-1", "mask_share": 1, "random_share": 0})],
        4,
    )
    assert (task.rate, task.mask_share) == (0.1, 1.0)
    for shares in ((0.8, 0.2), (0.9, 0.1), (0.0, 1.0)):
        options = dict(zip(("mask_share", "random_share"), shares, strict=True))
        build_tasks([TaskConfig("masked_lm", 1, options=options)], 4)


def test_one_stream_has_one_transfer_from_a_source():
    receives = ReceivesConfig("next_sentence", by="gate")
    two = [NSP, TaskConfig("masked_lm", 4, receives=ReceivesConfig("next_sentence"))]
    build_tasks([*two, TaskConfig("bigram_shift", 3, receives=two[1].receives)], 4)
    with pytest.raises(InputError, match="in two ways"):
        build_tasks([*two, TaskConfig("bigram_shift", 3, receives=receives)], 4)


def test_labels_that_the_encoder_computes_cannot_depend_on_a_head():
    shift = TaskConfig("bigram_shift", 2, receives=ReceivesConfig("next_sentence", into="head"))
    giving = ReceivesConfig("bigram_shift", by="label_embedding")
    with pytest.raises(InputError, match="would not reach them"):
        build_tasks([NSP, shift, TaskConfig("masked_lm", 4, receives=giving)], 4)


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), -1.0])
def test_weights_are_numbers(weight):
    with pytest.raises(InputError, match="is no weight"):
        build_tasks([TaskConfig("masked_lm", 1, weight=weight)], 4)
    with pytest.raises(InputError, match="every weight is 0"):
        build_tasks([TaskConfig("masked_lm", 1, weight=0.0)], 4)
