"""Matplotlib figures as arrays and files, without a display or global state."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hierbert_tf.storage import storage_error, written_whole


def figure_image(figure: Figure) -> np.ndarray:
    """The figure's pixels.

    Returns:
        uint8 `[height, width, 4]`, red, green, blue, opacity.

    Example:

    >>> figure_image(Figure(figsize=(1, 2), dpi=10)).shape
    (20, 10, 4)
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()


def write_figure(figure: Figure, path: Path) -> None:
    """Writes the figure as PNG, whole or not at all.

    Raises:
        RunStopped: the disk is full.
        InputError: the folder cannot be written.
    """
    FigureCanvasAgg(figure)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as beside:
            figure.savefig(beside, format="png")
    except OSError as error:
        raise storage_error(error, path) from error
