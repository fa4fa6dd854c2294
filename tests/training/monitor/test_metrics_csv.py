import errno
import io
import math

import pytest

from hierbert_tf.errors import InputError, RunStopped
from hierbert_tf.training.monitor.metrics_csv import MetricsCsv


def test_written_and_read(tmp_path):
    metrics = MetricsCsv(tmp_path / "run" / "metrics.csv")
    metrics.write(0, "held_out", {"a/loss": 0.1 + 0.2, "b/loss": math.nan})
    metrics.write(5, "train", {"a/loss": 1.0})
    assert metrics.read("train") == {5: {"a/loss": 1.0}}
    found = metrics.read("held_out")[0]
    assert found["a/loss"] == 0.1 + 0.2 and math.isnan(found["b/loss"])
    assert metrics.path.read_text().splitlines()[:2] == [
        "step,split,name,value",
        "0,held_out,a/loss,0.30000000000000004",
    ]


def test_a_resume_drops_later_rows_and_half_lines(tmp_path):
    path = tmp_path / "metrics.csv"
    metrics = MetricsCsv(path)
    for step in (1, 2, 3):
        metrics.write(step, "train", {"a/loss": step})
    metrics.close()
    with open(path, "a") as stream:
        stream.write("4,train,a/lo")
    resumed = MetricsCsv(path, start_step=2)
    resumed.write(3, "train", {"a/loss": 30.0})
    assert {k: v["a/loss"] for k, v in resumed.read("train").items()} == {1: 1, 2: 2, 3: 30}


def test_a_new_run_starts_empty(tmp_path):
    MetricsCsv(tmp_path / "m.csv").write(1, "train", {"a": 1.0})
    assert MetricsCsv(tmp_path / "m.csv").read("train") == {}


def test_errors(tmp_path, monkeypatch):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="does not begin with the line step,split,name,value"):
        MetricsCsv(tmp_path / "other.csv", start_step=1)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        MetricsCsv(tmp_path / "file" / "metrics.csv")
    metrics = MetricsCsv(tmp_path / "metrics.csv")
    metrics._stream.close()
    metrics._stream = open("/dev/full", "w")  # noqa: SIM115
    with pytest.raises(RunStopped, match="is full"):
        metrics.write(1, "train", {"a": 1.0})


def test_a_close_that_cannot_write_the_rest(tmp_path):
    class Full(io.StringIO):
        def close(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    metrics = MetricsCsv(tmp_path / "metrics.csv")
    metrics.close()
    metrics._stream = Full()
    with pytest.raises(RunStopped, match="is full"):
        metrics.close()
