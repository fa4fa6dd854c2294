"""Settings of a probing run that cannot work are refused, one sentence each."""

from dataclasses import replace

import pytest

from hierbert_tf.config_probing import ProbeClassifierConfig, ProbedConfig, ProbingConfig
from hierbert_tf.errors import InputError
from hierbert_tf.probing.check import check_probing

GOOD = ProbingConfig(data="probing", model=ProbedConfig(path="runs/mine"))


def with_setting(key, value):
    section, _, name = key.rpartition(".")
    if not section:
        return replace(GOOD, **{name: value})
    return replace(GOOD, **{section: replace(getattr(GOOD, section), **{name: value})})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.path", "", "model.path is empty; name what is to be probed"),
        ("data", "", "data is empty; name the folder of the probing tasks"),
        ("tasks", ("a", "b", "a"), "tasks is ['a', 'b', 'a'], but must be without repeats"),
        ("word_level", ("a", "a"), "word_level is ['a', 'a'], but must be without repeats"),
        ("seed", -1, "seed is -1, but must be 0 or more"),
        ("seeds", 0, "seeds is 0, but must be at least 1"),
        ("model.layers", (2, -1), "model.layers is [2, -1], but must be numbers from 0"),
        ("model.layers", (2, 3, 2), "model.layers is [2, 3, 2], but must be numbers from 0"),
        ("model.poolings", (), "model.poolings is [], but must be one or more of cls, mean, max"),
        ("model.poolings", ("cls", "min"), "model.poolings is ['cls', 'min'], but"),
        ("model.poolings", ("first_token",), "model.poolings is ['first_token'], but"),
        ("model.poolings", ("cls", "cls"), "model.poolings is ['cls', 'cls'], but"),
        ("model.sequence_length", 2, "model.sequence_length is 2, but must be 0 (the model's"),
        ("model.sequence_length", -1, "model.sequence_length is -1, but"),
        ("model.batch_tokens", 0, "model.batch_tokens is 0, but must be at least 1"),
        ("classifier.kind", "svm", "classifier.kind is svm, but must be mlp or logistic_reg"),
        ("classifier.hidden", (), "classifier.hidden is [], but must be one or more widths"),
        ("classifier.hidden", (50, -1), "classifier.hidden is [50, -1], but"),
        ("classifier.hidden", (50, 50), "classifier.hidden is [50, 50], but"),
        ("classifier.dropout", (), "classifier.dropout is [], but must be one or more rates"),
        ("classifier.dropout", (0.0, 1.0), "classifier.dropout is [0.0, 1.0], but"),
        ("classifier.dropout", (-0.1,), "classifier.dropout is [-0.1], but"),
        ("classifier.dropout", (float("nan"),), "classifier.dropout is [nan], but"),
        ("classifier.dropout", (0.1, 0.1), "classifier.dropout is [0.1, 0.1], but"),
        ("classifier.linear_tasks", ("a", "a"), "classifier.linear_tasks is ['a', 'a'], but"),
        ("classifier.learning_rate", 0.0, "classifier.learning_rate is 0.0, but must be above 0"),
        ("classifier.learning_rate", float("inf"), "classifier.learning_rate is inf, but"),
        ("classifier.learning_rate", float("nan"), "classifier.learning_rate is nan, but"),
        ("classifier.batch_size", 0, "classifier.batch_size is 0, but must be at least 1"),
        ("classifier.epoch_size", 0, "classifier.epoch_size is 0, but must be at least 1"),
        ("classifier.tenacity", -1, "classifier.tenacity is -1, but must be 0 or more"),
        ("classifier.max_epochs", 0, "classifier.max_epochs is 0, but must be at least 1"),
        ("classifier.inverse_regularisation", (), "classifier.inverse_regularisation is [], but"),
        ("classifier.inverse_regularisation", (0.0,), "classifier.inverse_regularisation is [0.0]"),
        ("classifier.inverse_regularisation", (1.0, 1.0), "classifier.inverse_regularisation is"),
        ("classifier.inverse_regularisation", (float("inf"),), "classifier.inverse_regularisation"),
    ],
)
def test_a_wrong_setting_is_named(key, value, message):
    with pytest.raises(InputError) as error:
        check_probing(with_setting(key, value))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 0),
        ("seeds", 5),
        ("tasks", ("a", "b")),
        ("model.layers", (0, 4)),
        ("model.poolings", ("max", "mean", "cls")),
        ("model.sequence_length", 0),
        ("model.sequence_length", 3),
        ("classifier.kind", "logistic_regression"),
        ("classifier.hidden", (0,)),
        ("classifier.hidden", (0, 50)),
        ("classifier.dropout", (0.0, 0.99)),
        ("classifier.tenacity", 0),
        ("classifier.max_epochs", 1),
        ("classifier", ProbeClassifierConfig()),
    ],
)
def test_what_can_work_passes(key, value):
    check_probing(with_setting(key, value))
