"""The pre-training program by several workers, as a user runs it."""

import time
from pathlib import Path

import numpy as np
import pytest

from hierbert_tf.recipes.pretrain import main
from tests.docs.test_pages import some_text
from tests.training.loopback import free_addresses
from tests.training.worker_pair import WorkerProcess, rows, weights

SMALL = [
    "vocabulary.size=120", "data.sequence_length=32", "data.batch_size=8", "encoder.layers=2",
    "encoder.hidden=16", "encoder.heads=2", "tasks.0.layer=1", "tasks.1.layer=1", "tasks.2.layer=2",
    "training.steps=6", "training.warmup_steps=2", "monitor.log_every=1",
    "monitor.evaluate_every=0", "monitor.checkpoint_every=3", "monitor.cosine_every=4",
    "encoder.dropout=0.0", "encoder.attention_dropout=0.0",
]  # fmt: skip


def settings(place: Path, name: str, *more: str) -> list[str]:
    text = place / "text.txt"
    text.write_text(some_text())
    return [*SMALL, f"folder={place / name}", f"corpus.sources.0.path={text}", *more]


def program(log: Path, *arguments: str) -> WorkerProcess:
    return WorkerProcess(["-m", "hierbert_tf.recipes.pretrain", *arguments], log)


def pair(place: Path, name: str, *more: str) -> list[WorkerProcess]:
    addresses = ",".join(free_addresses(2))
    number = len(list(place.glob("*.log")))
    return [
        program(place / f"{number}_{index}.log", "--strategy", "multi_worker", "--workers",
                addresses, "--worker-index", str(index), "--start-timeout", "400",
                *settings(place, name, *more))
        for index in range(2)
    ]  # fmt: skip


@pytest.mark.slow
def test_two_workers_two_devices_and_one_device_are_equal(tmp_path):
    """One shard for two workers: each reads all of the text and takes its rows of each batch."""
    chief, other = pair(tmp_path, "workers")
    output = chief.ends(0)
    assert "| masked_lm |" in output and "from scratch" in output
    said = other.ends(0)
    assert "waiting for worker 0 to prepare the text" in said and "| masked_lm |" not in said
    one = program(tmp_path / "one.log", *settings(tmp_path, "one"))
    one.ends(0)
    two = program(tmp_path / "two.log", "--strategy", "mirrored", "--devices", "2",
                  *settings(tmp_path, "two"))  # fmt: skip
    two.ends(0)
    assert len(list((tmp_path / "workers" / "data").glob("train*.tfrecord*"))) == 1
    expected = weights(tmp_path / "one", 6)
    for name in ("workers", "two"):
        ours, theirs = rows(tmp_path / name), rows(tmp_path / "one")
        assert set(ours) == set(theirs)
        for row, value in ours.items():
            # A cosine is NaN where a task's gradient does not reach the layer.
            bound = 1e-3 if row[1] == "cosine" else 1e-5
            np.testing.assert_allclose(value, theirs[row], rtol=0, atol=bound, err_msg=str(row))
        for path, value in weights(tmp_path / name, 6).items():
            np.testing.assert_allclose(value, expected[path], atol=1e-5, err_msg=path)
        assert (tmp_path / name / "model.keras").exists()
    # Done: the same command shows its table again.
    for worker, words in zip(pair(tmp_path, "workers"), ("| masked_lm |", "step 6"), strict=True):
        assert words in worker.ends(0)


def test_a_worker_that_never_comes_up_is_a_sentence(tmp_path, capsys):
    addresses = ",".join(free_addresses(2))
    started = time.monotonic()
    code = main(["--strategy", "multi_worker", "--workers", addresses, "--worker-index", "0",
                 "--start-timeout", "1", *settings(tmp_path, "run")])  # fmt: skip
    assert code == 1 and time.monotonic() - started < 60
    captured = capsys.readouterr()
    assert "waiting up to 1 s for the others" in captured.out
    missing = addresses.split(",")[1]
    assert f"stopped: worker 1 ({missing}) did not come up within 1 s" in captured.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "a:1"], "--workers needs --worker-index"),
        (["--strategy", "mirrored", "--devices", "2", "training.xla=true"], "xla is on with 2"),
        (["--strategy", "mirrored", "--devices", "3"], "does not divide into 3 replicas x 1"),
        (["--strategy", "tpu"], "set data.length_multiple to 0"),
    ],
)
def test_wrong_devices_end_with_one_sentence_and_code_2(tmp_path, capsys, options, message):
    assert main([*options, *settings(tmp_path, "run")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
