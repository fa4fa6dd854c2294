import math
import time

import pytest

from hierbert_tf.training.metric_window import MetricWindow


def step(loss, weight, **more):
    return {"a/loss": loss, "a/accuracy": loss / 10, "a/weight": weight, "tokens": 100.0, **more}


def test_means_are_weighted_by_labels():
    window = MetricWindow()
    window.add(1, step(1.0, 3.0, learning_rate=0.1, gradient_norm=2.0), 0.0)
    window.add(2, step(5.0, 1.0, learning_rate=0.2, gradient_norm=4.0), 0.0)
    means = window.means()
    assert means["a/loss"] == 2.0 and means["a/accuracy"] == pytest.approx(0.2)
    assert means["a/weight"] == 4.0
    assert means["learning_rate"] == 0.2 and means["gradient_norm"] == 3.0
    assert "tokens_per_second" not in means  # the clock never ran


def test_no_label_in_the_window_is_nan():
    window = MetricWindow()
    window.add(1, step(0.0, 0.0), 0.0)
    assert math.isnan(window.means()["a/loss"])


def test_speed_leaves_out_pauses_and_the_first_step():
    window = MetricWindow()
    window.resume()
    window.add(1, step(1.0, 1.0), 50.0)
    time.sleep(0.05)  # tracing
    window.restart_clock()
    time.sleep(0.02)
    window.add(2, step(1.0, 1.0), 0.005)
    window.pause()
    time.sleep(0.1)  # an evaluation
    window.resume()
    means = window.means()
    assert 100 / 0.06 < means["tokens_per_second"] <= 100 / 0.02
    assert 0.08 < means["waiting_share"] <= 0.25


def test_first_failure():
    window = MetricWindow()
    window.add(1, {"ok": 1.0}, 0.0)
    assert window.first_failure() is None
    window.add(2, {"ok": 0.0}, 0.0)
    window.add(3, {"ok": 0.0}, 0.0)
    assert window.first_failure() == (2, {"ok": 0.0})
