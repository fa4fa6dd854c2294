import contextlib
import resource
import time

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from tensorboard.util import tensor_util

from hierbert_tf.errors import InputError, RunStopped
from hierbert_tf.training.monitor.tensorboard import TensorBoard


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    return events


def points(folder, tag):
    return [
        (event.step, float(tensor_util.make_ndarray(event.tensor_proto)))
        for event in read(folder).Tensors(tag)
    ]


def test_scalars_texts_and_pictures(tmp_path):
    board = TensorBoard(tmp_path)
    board.scalars(
        3, "train", {"masked_lm/loss": 2.0, "masked_lm/weight": 9.0, "learning_rate": 0.5}
    )
    board.scalars(3, "held_out", {"masked_lm/loss": 4.0})
    board.cosines(3, {"a~b/embeddings": 0.25, "a~b/encoder_block_1": np.nan})
    board.text(3, "batch", "hello")
    board.image(3, "picture", Figure(figsize=(1, 1), dpi=10))
    board.close()
    assert points(tmp_path / "train", "loss/masked_lm") == [(3, 2.0)]
    assert points(tmp_path / "held_out", "loss/masked_lm") == [(3, 4.0)]
    assert points(tmp_path / "train", "optimizer/learning_rate") == [(3, 0.5)]
    assert points(tmp_path / "train", "gradient_cosine/a~b/embeddings") == [(3, 0.25)]
    tags = read(tmp_path / "train").Tags()["tensors"]
    assert {"batch", "picture"} <= set(tags)
    assert not {"weight/masked_lm", "gradient_cosine/a~b/encoder_block_1"} & set(tags)


def test_a_resume_strikes_out_later_points(tmp_path):
    board = TensorBoard(tmp_path)
    for step in (1, 2, 3, 4):
        board.scalars(step, "train", {"a/loss": step})
    board.close()
    time.sleep(1.1)  # files are read in the order of the seconds in their names
    board = TensorBoard(tmp_path, start_step=2)
    board.scalars(3, "train", {"a/loss": 30.0})
    board.close()
    assert points(tmp_path / "train", "loss/a") == [(1, 1.0), (2, 2.0), (3, 30.0)]


def test_projector_files_are_what_the_plugin_reads(tmp_path):
    board = TensorBoard(tmp_path)
    table = np.arange(6, dtype="float32").reshape(3, 2)
    board.projector(table, ["[PAD]", "the", "\u3000"])
    board.close()
    folder = tmp_path / "train"
    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig())
    reader = tf.train.load_checkpoint(str(folder / config.model_checkpoint_path))
    np.testing.assert_array_equal(reader.get_tensor(config.embeddings[0].tensor_name), table)
    labels = (folder / config.embeddings[0].metadata_path).read_text().splitlines()
    assert labels == ["[PAD]", "the", "(blank)"]
    with pytest.raises(ValueError, match="2 words for 3 embeddings"):
        board.projector(table, ["a", "b"])


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made"):
        TensorBoard(tmp_path / "file")


@contextlib.contextmanager
def files_of_at_most(size: int):
    """The system refuses longer files, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_projector_for_which_the_disk_has_no_room(tmp_path):
    board = TensorBoard(tmp_path)
    table = np.zeros([1000, 200], "float32")
    with files_of_at_most(100_000), pytest.raises(RunStopped, match="is full"):
        board.projector(table, ["word"] * 1000)
    board.close()


def test_errors_of_the_summaries_are_sentences(tmp_path):
    class Failing:
        def as_default(self, step):
            return contextlib.nullcontext()

        def flush(self):
            raise error

        close = flush

    board = TensorBoard(tmp_path)
    board.close()
    board._writers = {"train": Failing(), "held_out": Failing()}
    error: Exception = tf.errors.ResourceExhaustedError(None, None, "x; No space left on device")
    for write in (
        lambda: board.scalars(1, "held_out", {}),
        lambda: board.cosines(1, {}),
        board.close,
    ):
        with pytest.raises(RunStopped, match="is full"):
            write()
    error = tf.errors.PermissionDeniedError(None, None, "x; Permission denied")
    with pytest.raises(InputError, match="Permission denied"):
        board.scalars(1, "train", {})


def test_an_events_file_that_cannot_be_made(tmp_path, monkeypatch):
    def refuse(path):
        raise tf.errors.PermissionDeniedError(None, None, f"{path}; Permission denied")

    monkeypatch.setattr(tf.summary, "create_file_writer", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        TensorBoard(tmp_path)
