"""Every cell of docs/distribute.md's matrix that this machine can try."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.training.loopback import free_addresses
from tests.training.worker_pair import WorkerProcess

PROGRAM = Path(__file__).parent / "matrix_program.py"
PAGE = Path(__file__).parents[2] / "docs" / "distribute.md"
# Rounding of the precision, in losses of about 5.
BOUNDS = {"float32": 1e-5, "mixed_bfloat16": 0.05, "mixed_float16": 0.01}


@pytest.mark.slow
def test_every_cell_trains_and_agrees_with_one_device_in_float32(tmp_path):
    addresses = ",".join(free_addresses(2))
    commands = [[], [addresses, "0"], [addresses, "1"]]
    processes = [
        WorkerProcess([str(PROGRAM), *more], tmp_path / f"{number}.log")
        for number, more in enumerate(commands)
    ]
    printed = [json.loads(process.ends(0).splitlines()[-1]) for process in processes]
    assert printed[1] == printed[2]  # both workers see the same, global losses
    found = {**printed[0], **printed[1]}
    assert len(found) == 12
    expected = np.array(found["one_device float32 plain"])
    for cell, losses in found.items():
        bound = BOUNDS[cell.split()[1]]
        np.testing.assert_allclose(losses, expected, atol=bound, err_msg=cell)


def test_the_page_claims_no_more_than_was_tried():
    text = PAGE.read_text()
    table = re.search(r"\| strategy \|.*?\n\n", text, re.DOTALL)[0]
    rows = {
        tuple(cell.strip(" `") for cell in line.split("|")[1:3]): line.split("|")[3:6]
        for line in table.splitlines()[2:]
        if line.startswith("|")
    }
    tried = {key for key, cells in rows.items() if any(c.strip() == "tried" for c in cells)}
    assert tried == {
        ("one_device", "off"), ("one_device", "on"), ("mirrored, CPU", "off"),
        ("multi_worker, CPU", "off"),
    }  # fmt: skip
    assert not tf.config.list_physical_devices("TPU")
