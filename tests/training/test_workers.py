"""Two real processes on this machine: equal to one device, and to themselves after every fault.

The quick tests share their runs; the whole program is in tests/recipes/test_pretrain_workers.py.
"""

import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.training.worker_pair import (
    PATIENCE,
    WorkerProcess,
    assert_equal_bits,
    pair,
    rows,
    weights,
)

STEPS = 8
# Strategies of different sizes do not go together in one process, but for one device.
ALONE = """
import sys
from pathlib import Path
from worker_program import run, settings
from hierbert_tf.training.strategy import StrategyChoice
folder, steps, devices = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
run(settings(folder / str(devices), steps), StrategyChoice("mirrored", devices))
if devices == 2:
    run(settings(folder / "one", steps), StrategyChoice())
    run(settings(folder / "accumulated", steps, 2), StrategyChoice())
"""


def run_alone(folder: Path, devices: int) -> None:
    process = WorkerProcess(
        ["-c", ALONE, str(folder), str(STEPS), str(devices)],
        folder / f"{devices}.log",
        PYTHONPATH=str(Path(__file__).parent),
    )
    process.ends(0)


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """Folder with runs of one worker: on `2` devices, on `one`, and `accumulated`."""
    folder = tmp_path_factory.mktemp("alone")
    run_alone(folder, 2)
    return folder


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    """The folder of a run of two workers that nobody disturbed."""
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    for worker in pair(folder, STEPS):
        assert f"ended at step {STEPS}, saved {STEPS}" in worker.ends(0)
    return folder


def assert_equal(one: Path, other: Path, losses: float = 1e-6) -> None:
    ours, theirs = rows(one), rows(other)
    assert set(ours) == set(theirs) and any("held_out" in row for row in ours)
    for row, value in ours.items():
        bound = losses if row[2].endswith("/loss") else 1e-5
        assert abs(value - theirs[row]) < bound, (row, value, theirs[row])
    for name, value in weights(one, STEPS).items():
        np.testing.assert_allclose(weights(other, STEPS)[name], value, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("other", ["2", "accumulated"])
def test_replicas_and_accumulation_equal_one_device(alone, other):
    assert_equal(alone / "one", alone / other)


@pytest.mark.slow
def test_four_replicas_equal_one_device(alone, tmp_path):
    run_alone(tmp_path, 4)
    assert_equal(alone / "one", tmp_path / "4")


def test_two_workers_equal_one_device(alone, unbroken):
    assert_equal(alone / "one", unbroken)


def test_labels_are_unequal_over_replicas(alone):
    """The tests above have teeth."""
    sys.path.insert(0, str(Path(__file__).parent))
    from worker_program import batches

    sums = {"masked_lm": set(), "next_sentence": set()}
    for _, _, task_weights in batches(0, 3):
        for name, values in task_weights.items():
            sums[name] |= {float(np.sum(part)) for part in np.split(values.numpy(), 2)}
    assert min(len(values) for values in sums.values()) >= 2


def test_only_the_chief_writes(unbroken):
    names = sorted(path.name for path in unbroken.iterdir())
    assert names == [".lock", "architecture.png", "checkpoints", "metrics.csv", "plots"]
    keys = [line.split(",")[:3] for line in (unbroken / "metrics.csv").read_text().splitlines()]
    assert len(keys) == len(set(map(tuple, keys)))


def test_a_killed_worker_is_named_and_both_go_on_exactly(unbroken, tmp_path):
    chief, other = pair(tmp_path / "run", STEPS, "0.3")
    other.wait_for("done 5")
    other.kill()
    killed = time.monotonic()
    output = chief.ends(1)
    assert time.monotonic() - killed < 60
    assert "worker 1 (127.0.0.1:" in output and "is gone: its connection ended" in output
    assert "start the same command again on every worker" in output
    assert not list((tmp_path / "run").rglob("*.tmp*"))
    for worker in pair(tmp_path / "run", STEPS):
        worker.ends(0)
    assert_equal_bits(weights(unbroken, STEPS), weights(tmp_path / "run", STEPS))
    assert rows(tmp_path / "run") == rows(unbroken)


@pytest.mark.slow
def test_a_killed_chief_is_named_and_one_worker_goes_on_alone(alone, tmp_path):
    chief, other = pair(tmp_path / "run", STEPS, "0.3")
    other.wait_for("done 5")
    chief.kill()
    assert "worker 0 (127.0.0.1:" in (output := other.ends(1)) and "is gone" in output
    (worker,) = pair(tmp_path / "run", STEPS, workers=1)
    assert "resume: " in worker.ends(0)
    assert_equal(alone / "one", tmp_path / "run", losses=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dropout", ["0", "0.4"])
def test_sigterm_on_one_worker_stops_both_at_one_step_and_is_saved(unbroken, tmp_path, dropout):
    whole = unbroken
    if dropout != "0":
        whole = tmp_path / "whole"
        for worker in pair(whole, STEPS, "0", "60", dropout):
            worker.ends(0)
    chief, other = pair(tmp_path / "run", STEPS, "0.3", "60", dropout)
    other.wait_for("done 3")
    other.send(signal.SIGTERM)
    ends = [worker.ends(143).splitlines()[-1] for worker in (chief, other)]
    assert ends[0] == ends[1] and "ended at step" in ends[0]
    step = int(ends[0].split()[3].rstrip(","))
    assert 3 <= step < STEPS and ends[0].endswith(f"saved {step}")
    for worker in pair(tmp_path / "run", STEPS, "0", "60", dropout):
        assert f"at step {step}" in worker.ends(0)
    assert_equal_bits(weights(whole, STEPS), weights(tmp_path / "run", STEPS))


@pytest.mark.slow
def test_a_chief_killed_while_it_saves_leaves_the_checkpoint_before(unbroken, tmp_path):
    chief, other = pair(tmp_path / "run", STEPS, environments=({"KILL_WHILE_SAVING": "6"}, {}))
    chief.ends(-signal.SIGKILL)
    assert "worker 0" in other.ends(1)
    checkpoints = tmp_path / "run" / "checkpoints"
    left = sorted(path.name for path in checkpoints.iterdir())
    assert left[1:] == ["step_00000002", "step_00000004"]
    assert left[0].startswith(".tmp-step_00000006")
    chief, other = pair(tmp_path / "run", STEPS)
    assert "at step 4" in chief.ends(0) and "at step 4" in other.ends(0)
    assert not list(checkpoints.glob(".tmp*"))
    assert_equal_bits(weights(unbroken, STEPS), weights(tmp_path / "run", STEPS))


@pytest.mark.slow
@pytest.mark.parametrize("stalled", [0, 1])
def test_a_stopped_worker_is_named(tmp_path, stalled):
    workers = pair(tmp_path / "run", STEPS, "0.3", "6")
    workers[1 - stalled].wait_for("done 3")
    workers[stalled].send(signal.SIGSTOP)
    try:
        output = workers[1 - stalled].ends(1, seconds=200)
        assert f"worker {stalled} (127.0.0.1:" in output and "has not reported for" in output
    finally:
        workers[stalled].send(signal.SIGCONT)
    workers[stalled].ends(1, seconds=200)


@pytest.mark.slow
def test_a_worker_without_the_shared_folder_is_refused(tmp_path):
    for worker in pair(tmp_path / "run", 4):
        worker.ends(0)
    from tests.training.loopback import free_addresses
    from tests.training.worker_pair import PROGRAM

    addresses = ",".join(free_addresses(2))
    chief, other = (
        WorkerProcess(
            [str(PROGRAM), str(folder), addresses, str(index), "4"], tmp_path / f"{index}.log"
        )
        for index, folder in enumerate((tmp_path / "run", tmp_path / "elsewhere"))
    )
    assert "worker 1 does not see the checkpoint" in other.ends(2)
    assert "worker 1 (127.0.0.1:" in (output := chief.ends(1)) and "does not see" in output


@pytest.mark.slow
def test_a_missing_worker_is_named_and_sigterm_is_honoured_meanwhile(tmp_path):
    chief, other = pair(tmp_path / "run", STEPS)
    other.kill()
    chief.wait_for("waiting up to 400 s")
    chief.send(signal.SIGTERM)
    sent = time.monotonic()
    assert "SIGTERM" in chief.ends(143)
    assert time.monotonic() - sent < 30


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 0.7, 2.0])
def test_sigterm_is_honoured_while_tensorflow_starts(tmp_path, seconds):
    """Between the meeting of the workers and the first step."""
    # A chief that ends before they met is waited for so long.
    soon = [{"START_TIMEOUT": "60"}] * 2
    chief, other = pair(tmp_path / "run", STEPS, "0.3", environments=soon)
    chief.wait_for("waiting up to 60 s")
    other.wait_for("waiting up to 60 s")
    time.sleep(seconds)
    chief.send(signal.SIGTERM)
    sent = time.monotonic()
    chief.ends(143)
    assert time.monotonic() - sent < 60
    assert other.process.wait(PATIENCE) in (1, 143)  # 143 where training had begun
    assert "Traceback" not in other.output


@pytest.mark.slow
def test_twenty_kills_in_a_row_lose_nothing(tmp_path):
    """Of either worker or both, at seeded moments from start-up to the last step."""
    draw, steps = random.Random(5), 60
    whole, folder = tmp_path / "whole", tmp_path / "run"
    for worker in pair(whole, steps):
        worker.ends(0)
    for _ in range(20):
        # One whose partner died before they met waits in vain.
        workers = pair(folder, steps, "0.2", environments=[{"START_TIMEOUT": "40"}] * 2)
        victims = draw.choice(([0], [1], [0, 1]))
        if draw.random() < 0.8:
            # Long enough for some to save and to evaluate, and for some of them to be cut.
            _wait_until_training(workers[victims[0]])
            time.sleep(draw.random() * 6)
        else:
            time.sleep(draw.random() * 10)
        for index in victims:
            workers[index].kill()
        for index in {0, 1} - set(victims):
            # 0 only where the run was done already.
            assert workers[index].process.wait(PATIENCE) in (0, 1), workers[index].output[-3000:]
    for worker in pair(folder, steps):
        worker.ends(0)
    assert_equal_bits(weights(whole, steps), weights(folder, steps))
    assert rows(folder) == rows(whole)


def _wait_until_training(worker: WorkerProcess) -> None:
    deadline = time.monotonic() + PATIENCE
    while "done" not in worker.output and worker.process.poll() is None:
        assert time.monotonic() < deadline, worker.output[-3000:]
        time.sleep(0.02)
