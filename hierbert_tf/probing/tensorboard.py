"""A probing run in TensorBoard: charts over the layers, the figures, and the table."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from hierbert_tf.probing.figures import probing_figures
from hierbert_tf.probing.layer_scores import by_task, poolings_of
from hierbert_tf.probing.scores import PRE_TRAINED, RANDOM_WEIGHTS, ProbeScore
from hierbert_tf.storage import storage_error
from hierbert_tf.training.monitor.figure_image import figure_image

# TensorBoard's runs, each a line of every chart: the encoder and the field of its scores.
RUNS = {
    "pre-trained": (PRE_TRAINED, "test"),
    "random_weights": (RANDOM_WEIGHTS, "test"),
    "control": (PRE_TRAINED, "control"),
    "majority": (PRE_TRAINED, "majority"),
}


def write_probing_tensorboard(
    folder: str | Path,
    scores: Sequence[ProbeScore],
    heads: Sequence[tuple[str, int]],
    markdown: str,
) -> None:
    """Writes the scores for TensorBoard, in place of those of an earlier call.

    The runs `pre-trained`, `random_weights`, `control` and `majority` (those that there are) share
    the charts `probing/<pooling>/<task>`: accuracy, mean over the seeds, with the *layer* as the
    step. `pre-trained` also has the figures `probing/<figure>/<pooling>` and the text
    `probing/scores`.

    Args:
        folder: TensorBoard's folder of this probing run alone: what was in it is replaced.
        scores: all scores of the run.
        heads: name and layer of each pre-training task.
        markdown: the tables, as `write_probing_results` returns them.

    Raises:
        InputError: the folder cannot be written.
        RunStopped: the disk is full.
    """
    folder = Path(folder)
    # Beside it first: TensorBoard would draw the points of two calls into one zigzag line.
    beside = folder.with_name(f"{folder.name}.tmp-{os.getpid()}")
    try:
        for run, (encoder, field) in RUNS.items():
            points = _points(scores, encoder, field)
            if not points and run != PRE_TRAINED:
                continue
            writer = tf.summary.create_file_writer(str(beside / run))
            with writer.as_default():
                for tag, layer, value in points:
                    tf.summary.scalar(tag, value, step=layer)
                if run == PRE_TRAINED:
                    _write_figures(scores, heads)
                    tf.summary.text("probing/scores", markdown, step=0)
            writer.close()
        if folder.exists():
            shutil.rmtree(folder)
        beside.replace(folder)
    except (OSError, tf.errors.OpError) as error:
        raise storage_error(error, folder) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _points(scores: Sequence[ProbeScore], encoder: str, field: str) -> list[tuple[str, int, float]]:
    """Tag, layer and mean of each point of one run."""
    found = []
    for pooling in poolings_of(scores):
        for task, encoders in by_task(scores, pooling).items():
            if encoder in encoders:
                for layer in encoders[encoder].layers:
                    if spread := encoders[encoder].spread(layer, field):
                        found.append((f"probing/{pooling}/{task}", layer, spread.mean))
    return found


def _write_figures(scores: Sequence[ProbeScore], heads: Sequence[tuple[str, int]]) -> None:
    for pooling in poolings_of(scores):
        for name, figure in probing_figures(scores, heads, pooling):
            tf.summary.image(f"probing/{name}/{pooling}", figure_image(figure)[None], step=0)
