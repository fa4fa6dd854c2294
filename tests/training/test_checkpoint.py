import json
import os
import resource
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from hierbert_tf.errors import InputError, RunStopped
from hierbert_tf.training import checkpoint as checkpoint_module
from hierbert_tf.training.checkpoint import Checkpoint, by_path
from hierbert_tf.training.checkpoints import Checkpoints

IDENTITY = {"vocabulary_sha256": "abc", "encoder": {"layers": 2}}


def model_variables(fill: float = 0.0):
    return [
        keras.Variable(np.full([2, 3], fill, "float32") + np.arange(3), name="kernel"),
        keras.Variable(np.array(fill, "float32"), name="scalar"),
        keras.random.SeedGenerator(3).state,
        keras.Variable(np.full([2], fill, "float32"), name="kernel"),
    ]


def state_variables(fill: int = 0):
    return [tf.Variable(fill, dtype=tf.int64, name="iterations")]


def save(folder, step=2, fill=1.5, **kwargs):
    checkpoints = Checkpoints(folder, identity=IDENTITY, **kwargs)
    ours, state = model_variables(fill), state_variables(step)
    ours[2].assign([3, 77])
    return checkpoints, checkpoints.save(step, ours, state), ours, state


def test_restore_is_exact(tmp_path):
    _, saved, ours, state = save(tmp_path)
    other, other_state = model_variables(), state_variables()
    Checkpoint.read(saved.path).restore(other, other_state)
    for variable, expected in zip((*other, *other_state), (*ours, *state), strict=True):
        assert variable.dtype == expected.dtype
        np.testing.assert_array_equal(variable.numpy(), expected.numpy())


def test_what_is_on_the_disk(tmp_path):
    _, saved, _, _ = save(tmp_path)
    assert saved.path == tmp_path / "step_00000002"
    values = safetensors.numpy.load_file(saved.path / "model.safetensors")
    assert sorted(values) == ["kernel", "kernel#2", "scalar", "seed_generator/seed_generator_state"]
    assert list(safetensors.numpy.load_file(saved.path / "optimizer.safetensors")) == [
        "iterations:0"
    ]
    description = json.loads((saved.path / "checkpoint.json").read_text())
    assert (description["format"], description["step"]) == (1, 2)
    assert description["identity"] == IDENTITY
    assert set(description["files"]) == {"model.safetensors", "optimizer.safetensors"}


def test_seed_generators_keep_their_names_in_any_process():
    first, second = keras.random.SeedGenerator(1).state, keras.random.SeedGenerator(2).state
    assert first.path != second.path
    assert list(by_path([second])) == list(by_path([first]))


def test_keeps_the_newest(tmp_path):
    for step in (1, 2, 9, 10):
        checkpoints, *_ = save(tmp_path, step, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step_00000009", "step_00000010"]
    assert checkpoints.latest().step == 10
    assert checkpoints.at(9).step == 9


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.safetensors", cut),
        ("model.safetensors", flip),
        ("optimizer.safetensors", os.remove),
        ("checkpoint.json", os.remove),
        ("checkpoint.json", cut),
    ],
)
def test_a_damaged_one_is_skipped_with_a_warning(tmp_path, name, damage):
    save(tmp_path, 1)
    checkpoints, newest, _, _ = save(tmp_path, 2)
    damage(newest.path / name)
    with pytest.warns(UserWarning, match="skipped a damaged checkpoint.*step_00000002"):
        found = checkpoints.latest()
    assert found is not None and found.step == 1
    with pytest.raises(InputError, match="step_00000002"):
        checkpoints.at(2)


def test_another_format(tmp_path):
    _, saved, _, _ = save(tmp_path)
    file = saved.path / "checkpoint.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(InputError, match="has format 9, this program reads 1"):
        Checkpoint.read(saved.path)


def test_nothing_there(tmp_path):
    assert Checkpoints(tmp_path / "none").latest() is None
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        Checkpoints(tmp_path / "file")


def test_leftovers_are_removed_and_never_taken(tmp_path):
    _, saved, _, _ = save(tmp_path)
    leftover = tmp_path / ".tmp-step_00000009-123"
    shutil.copytree(saved.path, leftover)
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.latest().step == 2 and leftover.exists()
    checkpoints.remove_leftovers()
    assert not leftover.exists() and saved.path.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v[:-1], "has besides 1 variables, the first 'kernel#2'"),
        (lambda v: [*v, keras.Variable(1.0, name="new")], "lacks 1 variables, the first 'new'"),
        (
            lambda v: [keras.Variable(np.zeros([9]), name="kernel"), *v[1:]],
            "in another shape 1 variables, the first 'kernel'",
        ),
    ],
)
def test_another_model_is_refused_and_left_alone(tmp_path, change, message):
    _, saved, _, _ = save(tmp_path)
    variables = change(model_variables(4.0))
    before = [variable.numpy() for variable in variables]
    with pytest.raises(InputError, match=message):
        saved.restore(variables, state_variables())
    for variable, expected in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), expected)


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        safetensors.SafetensorError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch, error):
    save(tmp_path, 1)

    def full(values, file):
        file.write_bytes(b"half")
        raise error

    monkeypatch.setattr(checkpoint_module, "_save", full)
    with pytest.raises(RunStopped, match="the disk is full"):
        save(tmp_path, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000001"]


def test_a_file_that_the_system_cuts_off(tmp_path):
    """The system's own error through safetensors, as on a full disk or over a quota."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    big = [keras.Variable(np.zeros([1024, 1024], "float32"), name="big")]
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(RunStopped, match="is full"):
            Checkpoints(tmp_path).save(1, big, [])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def refuse(values, file):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(checkpoint_module, "_save", refuse)
    with pytest.raises(InputError, match="cannot be written [(]Read-only file system"):
        save(tmp_path)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_damaged_newer_checkpoint_does_not_push_out_the_one_just_saved(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    for step in (200, 600):
        checkpoints.save(step, model_variables(), [])
    (tmp_path / "step_00000600" / "checkpoint.json").write_text("{")
    checkpoints.save(400, model_variables(), [])
    assert names(tmp_path) == ["step_00000400"]
    assert checkpoints.latest().step == 400


def test_a_save_removes_the_future_that_the_run_left(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (100, 500, 600, 200):
        checkpoints.save(step, model_variables(), [])
    assert names(tmp_path) == ["step_00000100", "step_00000200"]


@pytest.mark.parametrize("way", ["cut off", "found by latest"])
def test_damaged_checkpoints_do_not_count_as_kept(tmp_path, way):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 2):
        checkpoints.save(step, model_variables(), [])
    file = tmp_path / "step_00000002" / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-1] if way == "cut off" else content[:-1] + b"?")
    if way == "found by latest":
        with pytest.warns(UserWarning, match="step_00000002"):
            assert checkpoints.latest().step == 1
    checkpoints.save(3, model_variables(), [])
    assert names(tmp_path) == ["step_00000001", "step_00000002", "step_00000003"]
    checkpoints.save(4, model_variables(), [])
    assert names(tmp_path) == ["step_00000003", "step_00000004"]


def test_any_folder_tells_damaged_from_none(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    (tmp_path / "step_by_step").mkdir()
    assert not checkpoints.any_folder() and not Checkpoints(tmp_path / "none").any_folder()
    (tmp_path / "step_00000007").mkdir()
    with pytest.warns(UserWarning, match="step_00000007"):
        assert checkpoints.any_folder() and checkpoints.latest() is None
