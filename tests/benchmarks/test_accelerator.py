"""Batches for an accelerator, and the benchmark run from end to end on JAX on this CPU."""

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hierbert_tf import open_data, prepare
from hierbert_tf.config import (
    CorpusConfig,
    DataConfig,
    EncoderConfig,
    RunConfig,
    SourceConfig,
    TaskConfig,
    VocabularyConfig,
)

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

accelerator_model = importlib.import_module("accelerator_model")
write_batches = importlib.import_module("write_batches")

# An interpreter with JAX and Keras: this one, or that of an environment without TensorFlow.
JAX_PYTHON = os.environ.get("JAX_PYTHON") or (
    sys.executable if importlib.util.find_spec("jax") else None
)
LENGTH = 32
# Drawn once. NumPy promises that the bits of its generators stay.
PINNED = [-0.0292317811, 0.0172620341, 0.0194792617]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    words = ["river", "town", "mill", "teacher", "road", "crosses", "leaves", "green", "the", "a"]
    lines = [
        " ".join(words[(n * i + n + i * i) % 10] for i in range(3 + n % 7)).capitalize() + "."
        for n in range(300)
    ]
    path.write_text("\n\n".join(" ".join(lines[i : i + 10]) for i in range(0, 300, 10)))
    return RunConfig(
        seed=42,
        corpus=CorpusConfig(sources=(SourceConfig(path=str(path)),)),
        vocabulary=VocabularyConfig(size=60),
        data=DataConfig(sequence_length=LENGTH, batch_size=8, length_multiple=0),
        encoder=EncoderConfig(layers=1),
        tasks=(TaskConfig("next_sentence", 1), TaskConfig("masked_lm", 1)),
    )


@pytest.fixture(scope="module")
def prepared(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared") / "data"
    prepare(config, folder)
    return folder


@pytest.fixture(scope="module")
def batches(prepared, tmp_path_factory):
    path = tmp_path_factory.mktemp("batches") / "batches.npz"
    assert write_batches.main([str(prepared), str(path), "--rows", "8", "--shapes", "tiny"]) == 0
    return path


def test_the_batches_are_the_pipelines(config, prepared, batches):
    data, _ = open_data(prepared, config)
    features, labels, weights = next(data.training(1).as_numpy_iterator())
    with np.load(batches) as file:
        for letter, group in zip("xyw", (features, labels, weights), strict=True):
            for name, array in group.items():
                np.testing.assert_array_equal(file[f"{letter}/{name}"], array)
        assert file["x/token_ids"].shape == (8, LENGTH)
        assert file["tiny/masked_lm"].shape == (2, file["y/masked_lm"].shape[1], 8192)


def test_the_outputs_are_the_models(batches):
    shape = accelerator_model.SHAPES["tiny"]
    model = accelerator_model.build(shape, LENGTH, dropout=0.1, dtype="float32")
    with np.load(batches) as file:
        arrays = dict(file)
    # Four rows, of which the file has the first two.
    found = accelerator_model.outputs(model, accelerator_model.rows(arrays, "x/", 4))
    for task in accelerator_model.TASKS:
        np.testing.assert_allclose(found[task][:2], arrays[f"tiny/{task}"], atol=1e-6)
        assert arrays[f"tiny/{task}"].std() > 1e-3


def test_weights_are_the_same_on_every_machine():
    import keras

    layer = keras.layers.Dense(3, name="dense")
    norm = keras.layers.LayerNormalization(name="norm")
    inputs = keras.Input((2,))
    accelerator_model.set_weights(keras.Model(inputs, norm(layer(inputs))))
    kernel, gamma = layer.kernel.numpy(), norm.gamma.numpy()
    np.testing.assert_allclose(kernel[0], PINNED, atol=1e-7)
    assert np.abs(kernel).max() <= 0.02 * 3**0.5
    np.testing.assert_allclose(gamma, 1, atol=0.02 * 3**0.5)
    assert (gamma != 1).all()


def test_rows_begin_again_at_the_end():
    arrays = {"x/a": np.arange(3), "y/a": np.zeros(3), "tiny/a": np.zeros(1)}
    found = accelerator_model.rows(arrays, "x/", 5)
    assert list(found) == ["a"] and found["a"].tolist() == [0, 1, 2, 0, 1]


def test_what_cannot_be_written_is_said(prepared, tmp_path, monkeypatch, capsys):
    assert write_batches.main([str(tmp_path), str(tmp_path / "a.npz")]) == 2
    assert "manifest.json" in capsys.readouterr().err
    assert write_batches.main([str(prepared), str(tmp_path / "no" / "a.npz"), "--rows", "8",
                               "--shapes", "tiny"]) == 2  # fmt: skip
    assert "cannot be written" in capsys.readouterr().err
    small = accelerator_model.Shape(1, 8, 1, vocabulary=20)
    monkeypatch.setattr(write_batches, "SHAPES", {"tiny": small})
    assert write_batches.main([str(prepared), str(tmp_path / "a.npz"), "--shapes", "tiny"]) == 2
    assert "vocabulary.size=20 or less" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.npz*"))
    with pytest.raises(SystemExit):
        write_batches.main([str(prepared), "a.npz", "--rows", "2", "--compare", "3"])


def accelerate(file, *options):
    command = [JAX_PYTHON, str(BENCHMARKS / "accelerator.py"), str(file), "--shapes", "tiny"]
    return subprocess.run([*command, *options], capture_output=True, text=True, timeout=600)


needs_jax = pytest.mark.skipif(JAX_PYTHON is None, reason="needs jax, or JAX_PYTHON")


@needs_jax
def test_from_end_to_end_on_jax(batches):
    done = accelerate(batches, "--batches", "2", "4", "--sides", "32", "--seconds", "0.01")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count(": as on the CPU") == 2
    found = [
        line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| tiny")
    ]
    assert [int(cells[1]) for cells in found] == [2, 4]
    for cells in found:
        _, batch, milliseconds, tokens, real, teraflops, share, loss = (c.strip() for c in cells)
        rate = float(tokens.replace(",", ""))
        assert rate == pytest.approx(int(batch) * LENGTH / float(milliseconds) * 1e3, rel=0.02)
        assert 0 < float(real.replace(",", "")) <= rate
        assert float(teraflops) > 0 and float(share.rstrip("%")) > 0
        first, last = map(float, loss.split(" to "))
        # The logarithms of 8192 and 2 at first, and less after a few steps on the same rows.
        assert first == pytest.approx(np.log(8192) + np.log(2), abs=0.1) and last < first


@needs_jax
def test_other_outputs_stop_the_benchmark(batches, tmp_path):
    with np.load(batches) as file:
        arrays = dict(file)
    arrays["tiny/next_sentence"][1, 0] += 0.002
    np.savez(tmp_path / "changed.npz", **arrays)
    done = accelerate(tmp_path / "changed.npz")
    assert done.returncode == 1
    assert "next_sentence" in done.stdout and done.stdout.count("NOT as on the CPU") == 1
    assert "tokens/s" not in done.stdout
    missing = accelerate(tmp_path / "missing.npz")
    assert missing.returncode == 2 and "write_batches.py" in missing.stderr
