import keras
import numpy as np
import pytest

from hierbert_tf.config import TrainingConfig
from hierbert_tf.errors import InputError
from hierbert_tf.training.schedule import WarmupSchedule


@pytest.mark.parametrize("decay", ["linear", "cosine", "constant"])
def test_warmup_then_keras_own_decay(decay):
    ours = WarmupSchedule(2.0, steps=50, warmup_steps=10, decay=decay)
    theirs = {
        "linear": keras.optimizers.schedules.PolynomialDecay(2.0, 40, 0.0),
        "cosine": keras.optimizers.schedules.CosineDecay(2.0, 40),
        "constant": lambda step: 2.0,
    }[decay]
    warmup = [float(ours(step)) for step in range(10)]
    np.testing.assert_allclose(warmup, np.arange(1, 11) * 0.2, rtol=1e-6)
    found = [float(ours(step)) for step in range(10, 60)]
    np.testing.assert_allclose(found, [float(theirs(step)) for step in range(50)], atol=1e-6)


def test_no_warmup_starts_at_the_peak():
    assert float(WarmupSchedule(0.5, steps=4)(0)) == 0.5


def test_from_settings_and_serialisation():
    settings = TrainingConfig(steps=30, learning_rate=0.1, schedule="cosine", warmup_steps=3)
    schedule = WarmupSchedule.from_settings(settings)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert [float(again(step)) for step in (1, 20)] == [float(schedule(step)) for step in (1, 20)]
    assert again.get_config()["peak"] == 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"decay": "exponential"}, "training.schedule is 'exponential'"),
        ({"warmup_steps": 11}, "training.warmup_steps is 11; it must be from 0 to .* 10"),
        ({"warmup_steps": -1}, "training.warmup_steps is -1"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(InputError, match=message):
        WarmupSchedule(1.0, steps=10, **arguments)


def test_a_warmup_as_long_as_the_run_ends_at_the_peak():
    schedule = WarmupSchedule(2.0, steps=4, warmup_steps=4)
    assert [float(schedule(step)) for step in range(5)] == [0.5, 1.0, 1.5, 2.0, 2.0]
