import signal
import types

import pytest

from hierbert_tf.training.shared_interruption import SharedInterruption


class Watch(types.SimpleNamespace):
    """Stands for a `SignalWatch`; the test delivers the signals."""

    def __init__(self):
        super().__init__(on_signal=None, exits=[])

    def exit(self, number):
        self.exits.append(number)


def sums(*interruptions):
    """What the step adds up."""
    total = sum(each.flags() for each in interruptions)
    return dict(zip(interruptions[0].names, total, strict=True))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_all_stop_one_step_after_one_received_it(number, code):
    watches = [Watch(), Watch()]
    one, other = (SharedInterruption(watch) for watch in watches)
    with one, other:
        for step in range(5):
            if step == 2:
                watches[1].on_signal(number)
            heard = sums(one, other)
            for each in (one, other):
                each.hear(heard)
                assert each.requested == (step >= 3), step
    assert one.exit_code == other.exit_code == code
    assert not any(watch.exits for watch in watches)


def test_one_that_came_too_late_to_tell_ends_this_worker():
    watch = Watch()
    with SharedInterruption(watch) as interruption:
        interruption.hear(sums(interruption))
        watch.on_signal(signal.SIGTERM)
        assert not interruption.requested and interruption.exit_code == 0
    assert watch.exits == [signal.SIGTERM] and watch.on_signal is None


def test_an_error_is_not_hidden_by_a_signal():
    watch = Watch()
    with pytest.raises(ValueError), SharedInterruption(watch):
        watch.on_signal(signal.SIGTERM)
        raise ValueError
    assert watch.exits == []
