"""The pre-training program as a user runs it, on a small text."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import safetensors.numpy

from hierbert_tf.config_file import load_config
from hierbert_tf.corpus.vocabulary import Vocabulary
from hierbert_tf.models.text_classifier import HierarchicalBertTextClassifier
from hierbert_tf.recipes.pretrain import main
from hierbert_tf.recipes.run_folder import RunFolder
from tests.docs.test_pages import some_text

SMALL = [
    "vocabulary.size=120", "data.sequence_length=32", "data.batch_size=8", "encoder.layers=2",
    "encoder.hidden=16", "encoder.heads=2", "tasks.0.layer=1", "tasks.1.layer=1", "tasks.2.layer=2",
    "training.steps=8", "training.warmup_steps=2", "monitor.log_every=1",
    "monitor.evaluate_every=0", "monitor.checkpoint_every=3", "monitor.cosine_every=0",
]  # fmt: skip


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(some_text())
    return path


def settings(folder: Path, text: Path, *more: str) -> list[str]:
    return [*SMALL, f"folder={folder}", f"corpus.sources.0.path={text}", *more]


def program(arguments: list[str]) -> subprocess.Popen:
    command = [sys.executable, "-m", "hierbert_tf.recipes.pretrain", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(arguments: list[str]) -> tuple[int, str, str]:
    process = program(arguments)
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


def wait_for_step(process: subprocess.Popen, folder: Path, step: int) -> None:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        metrics = folder / "metrics.csv"
        if metrics.exists() and f"\n{step},train" in metrics.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"step {step} was not reached: {process.communicate()[1][-2000:]}")


def weights(folder: Path, step: int) -> dict[str, np.ndarray]:
    checkpoint = folder / "checkpoints" / f"step_{step:08d}"
    return {
        name: value
        for file in ("model.safetensors", "optimizer.safetensors")
        for name, value in safetensors.numpy.load_file(checkpoint / file).items()
    }


def assert_equal_bits(one: dict, other: dict) -> None:
    assert set(one) == set(other)
    for name, value in one.items():
        assert value.tobytes() == other[name].tobytes(), name


@pytest.fixture(scope="module")
def whole(text, tmp_path_factory) -> tuple[Path, str]:
    """A run that nobody disturbed, and what it printed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    code, output, errors = run(settings(folder, text))
    assert code == 0, errors[-3000:]
    return folder, output


def test_a_run_leaves_what_the_readme_says(whole):
    folder, output = whole
    for name in ("summary.md", "corpus_report.md", "config.yaml", "metrics.csv", "model.keras",
                 "architecture.png", "encoder/model.weights.h5", "encoder/tokenizer.json",
                 "encoder/assets/tokenizer/vocabulary.txt", "plots/masked_lm.png", "tensorboard",
                 "data/manifest.json", "data/vocab.txt"):  # fmt: skip
        assert (folder / name).exists(), name
    table = (folder / "summary.md").read_text()
    assert table in output
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")]
    assert rows[1:] == ["next_sentence", "bigram_shift", "masked_lm"]
    assert "from scratch" in output and "documents" in output
    assert [p.name for p in sorted((folder / "checkpoints").iterdir())] == [
        "step_00000003", "step_00000006", "step_00000008",
    ]  # fmt: skip


def test_the_saved_model_is_the_trained_one(whole):
    folder, _ = whole
    model = keras.saving.load_model(folder / "model.keras")
    trained = weights(folder, 8)
    for variable in model.trainable_variables:
        np.testing.assert_array_equal(variable.numpy(), trained[variable.path])


def test_a_killed_run_ends_as_if_nothing_had_happened(whole, text, tmp_path):
    folder = tmp_path / "run"
    process = program(settings(folder, text))
    wait_for_step(process, folder, 5)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (folder / "checkpoints" / "step_00000008").exists()
    code, output, errors = run(settings(folder, text))
    assert code == 0, errors[-3000:]
    assert f"resume: {folder} at step " in output
    assert_equal_bits(weights(whole[0], 8), weights(folder, 8))


def test_sigterm_saves_first_and_the_newest_damaged_checkpoint_is_skipped(whole, text, tmp_path):
    folder = tmp_path / "run"
    process = program(settings(folder, text))
    wait_for_step(process, folder, 4)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=100)
    assert process.returncode == 143, errors[-2000:]
    assert "saved" in output
    newest = max((folder / "checkpoints").iterdir())
    assert int(newest.name[-8:]) >= 4
    with open(newest / "model.safetensors", "r+b") as file:
        file.truncate(100)
    code, output, errors = run(settings(folder, text, "monitor.log_every=2"))
    assert code == 0, errors[-3000:]
    assert "at step 3" in output
    assert f"warning: skipped a damaged checkpoint: {newest}" in errors
    assert_equal_bits(weights(whole[0], 8), weights(folder, 8))


def test_warm_start_and_from_scratch(whole, text, tmp_path, capsys):
    folder = tmp_path / "run"
    few = settings(folder, text, "training.steps=1", "training.warmup_steps=0",
                   f"vocabulary.path={whole[0] / 'data' / 'vocab.txt'}")  # fmt: skip
    assert main(["--warm-start-from", str(whole[0]), *few]) == 0
    assert "warm start: " in capsys.readouterr().out
    # One step away from the other run's weights, with a bounded update.
    before, after = weights(whole[0], 8), weights(folder, 1)
    name = "embeddings/token_embedding/embeddings"
    assert 0 < np.abs(before[name] - after[name]).max() < 3e-3
    assert main(["--from-scratch", *few]) == 0
    assert f"the earlier run is kept in {folder / 'earlier_1'}" in capsys.readouterr().out
    assert_equal_bits(after, weights(folder / "earlier_1", 1))
    assert main(["--resume", *few, "seed=7"]) == 2
    assert "holds a run with seed 42, not 7" in capsys.readouterr().err


def test_a_finished_run_shows_its_table_and_saves_its_model_again(whole, text, capsys):
    folder = whole[0]
    tokenizer = folder / "encoder" / "tokenizer.json"
    tokenizer.unlink()
    assert main(settings(folder, text)) == 0
    output = capsys.readouterr().out
    assert "at step 8" in output and "| masked_lm |" in output
    assert tokenizer.exists()


def test_a_classifier_starts_from_a_run(whole):
    folder = whole[0]
    model = HierarchicalBertTextClassifier.from_preset(folder, labels=["no", "yes"])
    vocabulary = Vocabulary.load(folder / "vocab.txt")
    assert model.preprocessor.tokenizer.get_vocabulary() == list(vocabulary.tokens)
    trained = keras.saving.load_model(folder / "model.keras").backbone
    for ours, theirs in zip(model.backbone.weights, trained.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert model.classify(["One text."])[0]["label"] in ("no", "yes")


def test_a_run_whose_text_changed_is_not_gone_on_with(text, tmp_path, capsys):
    path = tmp_path / "text.txt"
    path.write_text(text.read_text())
    few = settings(tmp_path / "run", path, "training.steps=1", "training.warmup_steps=0")
    assert main(few) == 0
    vocabulary = (tmp_path / "run" / "data" / "vocab.txt").read_bytes()
    path.write_text(text.read_text() + "\n\nOne more text. It has two sentences.\n")
    capsys.readouterr()
    assert main(few) == 2
    assert "--from-scratch" in capsys.readouterr().err
    assert (tmp_path / "run" / "data" / "vocab.txt").read_bytes() == vocabulary
    assert main(["--from-scratch", *few]) == 0
    assert (tmp_path / "run" / "earlier_1" / "vocab.txt").read_bytes() == vocabulary


def test_a_run_without_any_whole_checkpoint_is_not_begun_anew_unasked(text, tmp_path, capsys):
    few = settings(tmp_path / "run", text, "training.steps=1", "training.warmup_steps=0")
    assert main(few) == 0
    (checkpoint,) = (tmp_path / "run" / "checkpoints").iterdir()
    (checkpoint / "optimizer.safetensors").unlink()
    assert main(few) == 2
    assert "no checkpoint is whole" in capsys.readouterr().err
    # Settings that another config.yaml does not tell of are known by the checkpoint itself.
    assert main(["--from-scratch", *few]) == 0
    (tmp_path / "run" / "config.yaml").unlink()
    assert main([*few, "training.learning_rate=0.5"]) == 2
    assert "another set of settings" in capsys.readouterr().err


def test_one_process_works_in_a_folder(text, tmp_path, capsys):
    folder = RunFolder(load_config(overrides=[f"folder={tmp_path / 'run'}"]))
    assert main(settings(tmp_path / "run", text)) == 2
    assert "another process works in this run folder" in capsys.readouterr().err
    folder.release()


BAD = [
    (["encoder.hiden=3"], "encoder.hiden: unknown key; the nearest valid one is 'hidden'"),
    (["tasks.2.layer=9"], "at layer 9 of an encoder of 2 layers"),
    (["tasks.0.layer=2", "tasks.2.layer=1"], "information flows upward"),
    (["data.sequence_length=4096"], "data.sequence_length is 4096"),
    (["corpus.sources.0.path=nowhere.txt"], "nowhere.txt"),
    (["data.batch_size=4096"], "fewer than data.batch_size 4096"),
]


@pytest.mark.parametrize(("more", "message"), BAD)
def test_wrong_settings_end_with_one_sentence_and_code_2(text, tmp_path, capsys, more, message):
    assert main(settings(tmp_path / "run", text, *more)) == 2
    (line,) = [part for part in capsys.readouterr().err.splitlines() if part.startswith("error")]
    assert message in line


def test_texts_that_cannot_be_used(tmp_path, capsys):
    for name, content, message in (
        ("empty.txt", "", "empty.txt"),
        ("one.txt", some_text().replace("\n\n", " "), "the training text is one document"),
        ("short.txt", "One.\n\nTwo.\n\nThree.\n\nFour.\n", "no document has two sentences"),
    ):
        path = tmp_path / name
        path.write_text(content)
        assert main(settings(tmp_path / f"run_{name}", path)) == 2, name
        assert message in capsys.readouterr().err, name


def test_one_document_is_enough_without_a_pair_task(tmp_path):
    path = tmp_path / "one.txt"
    path.write_text(some_text())
    alone = ["tasks=[{name: masked_lm, layer: 1}]", "training.steps=1", "training.warmup_steps=0"]
    small = [setting for setting in SMALL if not setting.startswith("tasks")]
    assert (
        main([*small, *alone, f"folder={tmp_path / 'run'}", f"corpus.sources.0.path={path}"]) == 0
    )


def test_a_vocabulary_without_mask_is_refused(text, tmp_path, capsys):
    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n")
    assert main(settings(tmp_path / "run", text, f"vocabulary.path={path}")) == 2
    error = capsys.readouterr().err
    assert "[MASK]" in error and str(path) in error


def test_bytes_that_are_no_text_are_counted_not_fatal(tmp_path, capsys):
    path = tmp_path / "text.txt"
    path.write_bytes(some_text().encode() + b"\n\nA \x00 NUL and \xff\xfe bytes here. And more.\n")
    few = ["training.steps=1", "training.warmup_steps=0"]
    assert main(settings(tmp_path / "run", path, *few)) == 0
    output = capsys.readouterr().out
    assert [line.split("|")[2].strip() for line in output.splitlines() if "NUL" in line] == ["1"]
    assert [line.split("|")[2].strip() for line in output.splitlines() if "undecod" in line] == [
        "2"
    ]


def test_a_folder_that_cannot_be_written(text, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(settings(tmp_path / "file" / "run", text)) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_names_the_task_and_saves_nothing(text, tmp_path, capsys):
    # A rate no number can hold: the weights overflow after the first step.
    code = main(settings(tmp_path / "run", text, "training.learning_rate=1e38",
                         "training.clip_norm=0", "training.warmup_steps=0"))  # fmt: skip
    assert code == 1
    assert "is not finite" in capsys.readouterr().err
    saved = [path.name for path in (tmp_path / "run").glob("checkpoints/*")]
    assert "step_00000008" not in saved


@pytest.mark.skipif(os.geteuid() != 0 or not os.path.ismount("/proc"), reason="mounts need root")
def test_a_full_disk_is_a_safe_stop(text, tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", place]).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        code, output, errors = run(settings(place / "run", text))
    finally:
        subprocess.run(["umount", place], check=True)
    assert code == 1, (output[-500:], errors[-2000:])
    assert "Traceback" not in errors
    assert "full" in errors or "No space" in errors
