"""A run's TensorBoard: scalars, texts, pictures and the token-embedding projector."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.plugins import projector
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from hierbert_tf.errors import InputError
from hierbert_tf.storage import storage_error
from hierbert_tf.training.monitor.figure_image import figure_image

GROUPS = {
    "learning_rate": "optimizer/learning_rate",
    "gradient_norm": "optimizer/gradient_norm",
    "loss_scale": "optimizer/loss_scale",
    "tokens_per_second": "speed/tokens_per_second",
    "waiting_share": "speed/share_of_time_waiting_for_data",
}


def tag(name: str) -> str:
    """TensorBoard's tag of a metric: the kind first, so that like charts stand together.

    Example:

    >>> tag("masked_lm/loss"), tag("learning_rate")
    ('loss/masked_lm', 'optimizer/learning_rate')
    """
    task, _, kind = name.rpartition("/")
    return GROUPS.get(name, f"{kind}/{task}" if task else name)


class TensorBoard:
    """Writes `folder/train` and `folder/held_out`, whose equal tags share a chart.

    Args:
        folder: TensorBoard's log folder.
        start_step: steps done before; later points of an interrupted run are struck out.

    Raises:
        InputError: the folder cannot be written; so also from every method.
        RunStopped: the disk is full; likewise.
    """

    def __init__(self, folder: str | Path, start_step: int = 0) -> None:
        self.folder = Path(folder)
        self._writers: dict[str, Any] = {}
        for split in ("train", "held_out"):
            path = self.folder / split
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(
                    f"{path} cannot be made ({error.strerror}); choose another run folder."
                ) from error
            with self._writing():
                self._mark_start(path, start_step)
                self._writers[split] = tf.summary.create_file_writer(str(path))

    def scalars(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Writes one point a metric.

        Args:
            step: optimizer steps done.
            split: `train` or `held_out`.
            values: numbers by name, such as `masked_lm/loss`; `<task>/weight` is left out.
        """
        with self._events(split, step):
            for name, value in values.items():
                if not name.endswith("/weight"):
                    tf.summary.scalar(tag(name), value)

    def cosines(self, step: int, values: Mapping[str, float]) -> None:
        """Writes the gradient cosines, `{"<task>~<other>/<layer>": cosine}`; NaN is left out."""
        with self._events("train", step):
            for name, value in values.items():
                if not np.isnan(value):
                    tf.summary.scalar(f"gradient_cosine/{name}", value)

    def text(self, step: int, name: str, text: str) -> None:
        """Writes a Markdown text."""
        with self._events("train", step):
            tf.summary.text(name, text)

    def image(self, step: int, name: str, figure: Figure) -> None:
        """Writes a figure as a picture."""
        with self._events("train", step):
            tf.summary.image(name, figure_image(figure)[None])

    def projector(self, embeddings: np.ndarray, words: Sequence[str]) -> None:
        """Writes the token embeddings for the projector tab.

        Keras' `embeddings_freq` does not work, so this writes what the plugin reads: a checkpoint,
        the labels, and the projector's configuration, in a folder that has an events file.

        Args:
            embeddings: float32 `[V, H]`.
            words: the V WordPieces.

        Raises:
            ValueError: the two numbers differ.
        """
        if len(words) != len(embeddings):
            raise ValueError(f"{len(words)} words for {len(embeddings)} embeddings")
        path = self.folder / "train"
        labels = [word if word.strip() else "(blank)" for word in words]
        variable = tf.Variable(embeddings, name="token_embeddings")
        settings = projector.ProjectorConfig()
        settings.model_checkpoint_path = "token_embeddings.ckpt"
        embedding = settings.embeddings.add()
        embedding.tensor_name = "token_embeddings/.ATTRIBUTES/VARIABLE_VALUE"
        embedding.metadata_path = "words.tsv"
        with self._writing():
            (path / "words.tsv").write_text("\n".join(labels) + "\n", encoding="utf-8")
            checkpoint = tf.train.Checkpoint(token_embeddings=variable)
            checkpoint.write(str(path / "token_embeddings.ckpt"))
            projector.visualize_embeddings(str(path), settings)

    def close(self) -> None:
        """Closes the files."""
        with self._writing(), contextlib.ExitStack() as stack:
            for writer in self._writers.values():
                stack.callback(writer.close)

    @contextlib.contextmanager
    def _events(self, split: str, step: int) -> Iterator[None]:
        """Summaries written inside are of `step` and in the file afterwards."""
        with self._writing():
            with self._writers[split].as_default(step=step):
                yield
            self._writers[split].flush()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Says in a sentence what the system or TensorFlow could not write."""
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            raise storage_error(error, self.folder) from error

    @staticmethod
    def _mark_start(path: Path, start_step: int) -> None:
        """Tells TensorBoard that the run starts here; points of later steps before this are void.

        Written by each process: TensorBoard takes the first mark of a folder for no restart.
        """
        writer = EventFileWriter(str(path), filename_suffix=".restart")
        log = SessionLog(status=SessionLog.START)
        writer.add_event(Event(step=start_step + 1, session_log=log))
        writer.close()
