import numpy as np
import pytest

from hierbert_tf.errors import InputError
from hierbert_tf.probing.precomputed import PrecomputedVectors
from tests.probing.small_encoders import SENTENCES, make_task

VALUES = np.random.default_rng(1).random([3, len(SENTENCES), 4]).astype("float32")


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_layers_come_as_they_are(tmp_path, kind):
    np.save(tmp_path / "planted.npy", VALUES.astype(kind))
    got = PrecomputedVectors(tmp_path).vectors(make_task())
    assert list(got) == ["given"] and got["given"].dtype == np.float32
    np.testing.assert_array_equal(got["given"], VALUES.astype(kind).astype("float32"))


def test_one_layer_needs_no_axis(tmp_path):
    np.save(tmp_path / "planted.npy", VALUES[1])
    got = PrecomputedVectors(tmp_path).vectors(make_task())["given"]
    np.testing.assert_array_equal(got, VALUES[1:2])


def test_a_large_file_stays_on_disk(tmp_path):
    np.save(tmp_path / "planted.npy", VALUES)
    got = PrecomputedVectors(tmp_path).vectors(make_task())["given"]
    assert isinstance(got, np.memmap) and not got.flags.writeable


def test_hash_follows_the_values(tmp_path):
    np.save(tmp_path / "planted.npy", VALUES)
    first, again = (PrecomputedVectors(tmp_path).sha256 for _ in range(2))
    np.save(tmp_path / "planted.npy", VALUES + 1)
    assert first == again != PrecomputedVectors(tmp_path).sha256


@pytest.mark.parametrize(
    "values, message",
    [
        (VALUES[:, 1:], "has 4 vectors a layer, but planted.txt has 5 examples: give one"),
        (VALUES[0, :, 0], r"has float32 values \[5\]; floats"),
        (VALUES.astype("int64"), r"has int64 values \[3, 5, 4\]; floats"),
        (VALUES[:, :, :0], "is empty"),
        (np.array([{}]), "cannot be read as an array of numbers"),
    ],
)
def test_values_that_do_not_fit_are_refused(tmp_path, values, message):
    np.save(tmp_path / "planted.npy", values, allow_pickle=True)
    with pytest.raises(InputError, match=rf"planted\.npy {message}"):
        PrecomputedVectors(tmp_path).vectors(make_task())


def test_skipped_lines_are_recalled(tmp_path):
    np.save(tmp_path / "planted.npy", VALUES[:, :3])
    task = make_task()
    task.counts.skip("empty sentence", "line 3")
    with pytest.raises(InputError, match=r"5 examples \(1 of its lines were skipped\)"):
        PrecomputedVectors(tmp_path).vectors(task)


def test_a_value_that_is_not_finite_is_found(tmp_path):
    values = VALUES.copy()
    values[2, 3, 1] = np.inf
    np.save(tmp_path / "planted.npy", values)
    with pytest.raises(
        InputError, match=r"vector of example 3 \(from 0\) in layer 2 is not finite"
    ):
        PrecomputedVectors(tmp_path).vectors(make_task())


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "planted.npy"
    np.save(path, VALUES)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="cannot be read as an array of numbers"):
        PrecomputedVectors(tmp_path).vectors(make_task())


def test_missing_files_and_layers_are_named(tmp_path):
    with pytest.raises(InputError, match=r"has no \.npy file: give a folder with a TASK\.npy"):
        PrecomputedVectors(tmp_path / "nowhere")
    np.save(tmp_path / "other.npy", VALUES)
    with pytest.raises(InputError, match=r"has no planted\.npy; there are: other"):
        PrecomputedVectors(tmp_path).vectors(make_task())
    np.save(tmp_path / "planted.npy", VALUES)
    with pytest.raises(InputError, match=r"model\.layers names 3, but .* has layers 0 to 2"):
        PrecomputedVectors(tmp_path, layers=(0, 3)).vectors(make_task())
