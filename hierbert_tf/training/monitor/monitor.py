"""Everything a person sees of a run, behind one object."""

import contextlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hierbert_tf.config import RunConfig
from hierbert_tf.training.gradient_cosine import Cosines
from hierbert_tf.training.monitor.architecture import architecture_figure
from hierbert_tf.training.monitor.figure_image import write_figure
from hierbert_tf.training.monitor.metrics_csv import MetricsCsv
from hierbert_tf.training.monitor.plots import (
    cosine_name,
    cosine_plot,
    optimizer_plot,
    task_plot,
)
from hierbert_tf.training.monitor.progress import Progress
from hierbert_tf.training.monitor.tensorboard import TensorBoard

COSINE_PICTURE_EVERY = 10  # measurements: a heat map takes about as long to draw as a step


class Monitor:
    """Progress bar, TensorBoard, `metrics.csv`, `plots/*.png` and `architecture.png` of a run.

    Args:
        folder: the run folder.
        config: the run's settings.
        chance: `loss` and `accuracy` of guessing, by task name; drawn into the plots.
        words: the vocabulary, for the projector.
        token_embeddings: model -> float32 `[V, H]`, for the projector; None: no projector.
        show_progress: write the progress bar.
        tensorboard: write TensorBoard's files.
    """

    def __init__(
        self,
        folder: str | Path,
        config: RunConfig,
        chance: Mapping[str, Mapping[str, float]] | None = None,
        words: Sequence[str] = (),
        token_embeddings: Callable[[Any], np.ndarray] | None = None,
        show_progress: bool = True,
        tensorboard: bool = True,
    ) -> None:
        self.folder = Path(folder)
        self.config = config
        self.chance = dict(chance or {})
        self.words = words
        self.token_embeddings = token_embeddings
        self.show_progress = show_progress
        self.writes_tensorboard = tensorboard
        self.tensorboard: TensorBoard | None = None
        self.progress: Progress | None = None
        self.csv: MetricsCsv | None = None
        self._model: Any = None
        self._texts: list[tuple[int, str, str]] = []
        self._cosines: dict[int, dict[str, float]] = {}
        self._measured = 0
        self._drawn_step: int | None = None

    def on_start(self, model: Any, start_step: int) -> dict[int, dict[str, float]]:
        """Opens the files; later points of an interrupted run are dropped.

        Args:
            model: the model.
            start_step: steps done before.

        Returns:
            The held-out metrics that earlier processes of the run wrote, by step.

        Raises:
            InputError: the run folder cannot be written.
        """
        self._model = model
        self.csv = MetricsCsv(self.folder / "metrics.csv", start_step)
        self._cosines = self.csv.read("cosine")
        if self.writes_tensorboard:
            self.tensorboard = TensorBoard(self.folder / "tensorboard", start_step)
        figure = architecture_figure(self.config.encoder, self.config.tasks)
        write_figure(figure, self.folder / "architecture.png")
        if self.tensorboard is not None:
            self.tensorboard.image(start_step, "architecture", figure)
        for step, name, text in self._texts:
            self.write_text(name, text, step)
        self._texts = []
        self._write_projector()
        self.progress = Progress(self.config.training.steps, start_step, shown=self.show_progress)
        return self.csv.read("held_out")

    def on_step(self, step: int) -> None:
        """Moves the bar."""
        if self.progress is not None:
            self.progress.step(step)

    def on_log(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the means since the last log, as `MetricWindow.means` gives them."""
        self._write(step, "train", values)
        if self.progress is not None:
            self.progress.log(step, values)

    def on_evaluate(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the held-out metrics, as `EvaluationStep.evaluate` gives them."""
        self._write(step, "held_out", values)

    def on_cosine(self, step: int, cosines: Cosines) -> None:
        """Takes the gradient cosines, as `GradientCosine` gives them.

        The heat map is drawn for TensorBoard at the first and each tenth measurement after it, and
        at the end.
        """
        values = {
            cosine_name(pair, layer): value
            for pair, layers in cosines.items()
            for layer, value in layers.items()
        }
        if self.csv is None:
            return
        self.csv.write(step, "cosine", values)
        self._cosines[step] = values
        if self.tensorboard is not None:
            self.tensorboard.cosines(step, values)
            if self._measured % COSINE_PICTURE_EVERY == 0:
                self._show_cosines(step)
        self._measured += 1

    def write_text(self, name: str, text: str, step: int = 0) -> None:
        """Writes a Markdown text to TensorBoard, also before the start: a decoded batch."""
        if self.tensorboard is not None:
            self.tensorboard.text(step, name, text)
        elif self._model is None:
            self._texts.append((step, name, text))

    def on_end(self, step: int) -> None:
        """Draws the plots and writes the projector's embeddings.

        Args:
            step: steps done.
        """
        if self.progress is not None:
            self.progress.close()
        if self._measured and self._drawn_step != max(self._cosines):
            self._show_cosines(max(self._cosines))
        self.write_plots()
        self._write_projector()

    def write_plots(self) -> None:
        """Draws `plots/*.png` from the CSV."""
        if self.csv is None:
            return
        train, held_out = self.csv.read("train"), self.csv.read("held_out")
        plots = self.folder / "plots"
        for task in self.config.tasks:
            figure = task_plot(task.name, train, held_out, self.chance.get(task.name))
            write_figure(figure, plots / f"{task.name}.png")
        if train:
            write_figure(optimizer_plot(train), plots / "optimizer.png")
        if self._cosines:
            write_figure(cosine_plot(self._cosines), plots / "gradient_cosine.png")

    def close(self) -> None:
        """Closes the files; also after a failure."""
        with contextlib.ExitStack() as stack:  # one that fails leaves none of the others open
            for part in (self.csv, self.tensorboard, self.progress):
                if part is not None:
                    stack.callback(part.close)

    def _write(self, step: int, split: str, values: Mapping[str, float]) -> None:
        if self.csv is not None:
            self.csv.write(step, split, values)
        if self.tensorboard is not None:
            self.tensorboard.scalars(step, split, values)

    def _show_cosines(self, step: int) -> None:
        self._drawn_step = step
        if self.tensorboard is not None:
            self.tensorboard.image(step, "gradient_cosine", cosine_plot(self._cosines))

    def _write_projector(self) -> None:
        if self.tensorboard is None or self.token_embeddings is None:
            return
        embeddings = np.asarray(self.token_embeddings(self._model))
        if len(embeddings) != len(self.words):
            warnings.warn(
                f"no projector: {len(self.words)} words for {len(embeddings)} token embeddings",
                stacklevel=2,
            )
            return
        self.tensorboard.projector(embeddings, self.words)
