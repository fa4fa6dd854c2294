"""Starts and watches the processes of `worker_program`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import safetensors.numpy

from tests.training.loopback import free_addresses

PROGRAM = Path(__file__).parent / "worker_program.py"
# Generous: the machine may do much else. Importing TensorFlow alone may take minutes.
PATIENCE = 900.0


class WorkerProcess:
    """One worker and what it printed."""

    def __init__(self, command: list[str], log: Path, **environment: str) -> None:
        self.log = log
        with open(log, "a") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-u", *command],
                stdout=stream,
                stderr=stream,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait_for(self, words: str) -> None:
        """Until `words` are in the output."""
        deadline = time.monotonic() + PATIENCE
        while words not in self.output:
            assert self.process.poll() is None, self.output[-3000:]
            assert time.monotonic() < deadline, self.output[-3000:]
            time.sleep(0.02)

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.process.wait(60)

    def ends(self, code: int, seconds: float = PATIENCE) -> str:
        """Waits for the end, with this exit code; returns what was printed."""
        try:
            found = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"not ended after {seconds} s: {self.output[-3000:]}") from None
        assert found == code, self.output[-3000:]
        assert "Traceback" not in self.output, self.output[-3000:]
        return self.output


def pair(folder: Path, steps: int, *more: str, workers: int = 2, environments=({}, {})):
    """Two workers of one run in `folder`; `more` are pause, silence and dropout."""
    addresses = ",".join(free_addresses(workers))
    number = len(list(folder.parent.glob(f"{folder.name}_*.log")))
    return [
        WorkerProcess(
            [str(PROGRAM), str(folder), addresses, str(index), str(steps), *more],
            folder.parent / f"{folder.name}_{number}_{index}.log",
            **environments[index],
        )
        for index in range(workers)
    ]


def weights(folder: Path, step: int) -> dict[str, np.ndarray]:
    checkpoint = folder / "checkpoints" / f"step_{step:08d}"
    return {
        name: value
        for file in ("model.safetensors", "optimizer.safetensors")
        for name, value in safetensors.numpy.load_file(checkpoint / file).items()
    }


def assert_equal_bits(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert set(one) == set(other)
    for name, value in one.items():
        assert value.tobytes() == other[name].tobytes(), name


def rows(folder: Path) -> dict[tuple[str, ...], float]:
    """What the chief logged, but for what a clock says."""
    lines = (folder / "metrics.csv").read_text().splitlines()[1:]
    cells = [line.split(",") for line in lines]
    return {
        tuple(row[:3]): float(row[3])
        for row in cells
        if row[2] not in ("tokens_per_second", "waiting_share")
    }
