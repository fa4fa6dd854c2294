import keras
import numpy as np
import pytest

from hierbert_tf.errors import InputError
from hierbert_tf.training.checkpoints import Checkpoints
from hierbert_tf.training.warm_start import warm_start


def model(hidden: int = 4, head: str = "head", body: str = "body"):
    return keras.Sequential(
        [
            keras.Input([3]),
            keras.layers.Dense(hidden, name=body),
            keras.layers.Dropout(0.5, seed=1),
            keras.layers.Dense(2, name=head),
        ],
        name="model",
    )


@pytest.fixture
def saved(tmp_path):
    source = model()
    source.layers[1].seed_generator.state.assign([1, 9])
    checkpoints = Checkpoints(tmp_path / "checkpoints", identity={"vocabulary_sha256": "a" * 64})
    return source, checkpoints.save(5, source.variables, [])


@pytest.mark.parametrize("place", ["step", "checkpoints", "run"])
def test_takes_what_fits_and_says_what_not(saved, place):
    source, checkpoint = saved
    path = {
        "step": checkpoint.path,
        "checkpoints": checkpoint.path.parent,
        "run": checkpoint.path.parent.parent,
    }[place]
    target = model(head="other_head")
    kept = target.get_layer("other_head").get_weights()
    done = warm_start(target, path, "a" * 64)
    assert done.taken == ("model/body/kernel", "model/body/bias")
    assert done.left == ("model/other_head/kernel", "model/other_head/bias")
    assert done.path == checkpoint.path and "model/head/kernel" in done.unused
    np.testing.assert_array_equal(
        target.get_layer("body").get_weights()[0], source.get_layer("body").get_weights()[0]
    )
    np.testing.assert_array_equal(target.get_layer("other_head").get_weights()[0], kept[0])
    # The new run's dropout is its own.
    assert target.layers[1].seed_generator.state.numpy().tolist() == [1, 0]


def test_another_shape_is_left(saved):
    done = warm_start(model(hidden=5), saved[1].path)
    assert done.taken == ("model/head/bias",) and "model/body/kernel" in done.left


def test_errors(saved, tmp_path):
    with pytest.raises(InputError, match="trained with another vocabulary"):
        warm_start(model(), saved[1].path, "b" * 64)
    with pytest.raises(InputError, match="no variable has an equal name and shape"):
        warm_start(model(head="x", body="y"), saved[1].path)
    with pytest.raises(InputError, match="holds no whole checkpoint"):
        warm_start(model(), tmp_path / "nowhere")
    with pytest.raises(InputError, match="no whole checkpoint"):
        warm_start(model(), tmp_path / "step_00000001")


def test_a_run_folder_whose_name_begins_like_a_checkpoints(tmp_path):
    source = model()
    run = tmp_path / "step_by_step"
    saved = Checkpoints(run / "checkpoints").save(5, source.variables, [])
    assert warm_start(model(), run).path == saved.path
