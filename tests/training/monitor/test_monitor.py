import numpy as np
import pytest
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from hierbert_tf.config import RunConfig
from hierbert_tf.errors import RunStopped
from hierbert_tf.training.monitor.monitor import Monitor


def measured(folder, measurements: int, start_step: int = 0, first: int = 1) -> Monitor:
    monitor = Monitor(folder, RunConfig(), show_progress=False)
    monitor.on_start(object(), start_step)
    for step in range(first, first + measurements):
        monitor.on_cosine(step, {("a", "b"): {"embeddings": step / 100}})
    return monitor


def test_the_heat_map_is_drawn_every_tenth_time_and_at_the_end(tmp_path):
    monitor = measured(tmp_path, 12)
    monitor.on_end(12)
    monitor.close()
    events = EventAccumulator(str(tmp_path / "tensorboard/train"), size_guidance={"tensors": 0})
    events.Reload()
    assert [event.step for event in events.Tensors("gradient_cosine")] == [1, 11, 12]
    assert len(events.Tensors("gradient_cosine/a~b/embeddings")) == 12


def test_the_history_of_earlier_processes_is_drawn_too(tmp_path, monkeypatch):
    measured(tmp_path, 3).close()
    monitor = measured(tmp_path, 1, start_step=2, first=3)
    drawn = []
    monkeypatch.setattr(
        "hierbert_tf.training.monitor.monitor.cosine_plot",
        lambda history: drawn.append(dict(history)) or Figure(),
    )
    monitor.on_end(3)
    monitor.close()
    assert [list(history) for history in drawn] == [[1, 2, 3]]
    np.testing.assert_allclose(drawn[0][2]["a~b/embeddings"], 0.02)


def test_a_part_that_fails_to_close_leaves_no_other_open(tmp_path):
    monitor = measured(tmp_path, 0)
    closed = []

    class Part:
        def __init__(self, error: Exception | None = None) -> None:
            self.error = error

        def close(self) -> None:
            closed.append(self)
            if self.error:
                raise self.error

    monitor.close()
    monitor.csv, monitor.progress = Part(), Part()  # type: ignore[assignment]
    monitor.tensorboard = Part(RunStopped("full"))  # type: ignore[assignment]
    with pytest.raises(RunStopped, match="full"):
        monitor.close()
    assert len(closed) == 3
