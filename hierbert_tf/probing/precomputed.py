"""Vectors that another program made.

Dimension letters: D dimension of a vector, R rows (layers), E examples.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from hierbert_tf.config_probing import GIVEN
from hierbert_tf.errors import InputError
from hierbert_tf.probing.examples import ProbingTask

# Examples whose values are looked at together.
_EXAMPLES = 1 << 14


class PrecomputedVectors:
    """A folder with a `TASK.npy` for each task.

    Args:
        folder: has the files: floats [E, D], one row an example in the order of the task's file, or
            [R, E, D] with R layers.
        layers: rows that will be read, from 0; empty: all.

    Attributes:
        name: the folder's path.
        heads: empty.

    Raises:
        InputError: no such folder, or it has no `.npy` file.

    Example:

    >>> import tempfile
    >>> from hierbert_tf.downstream.example_counts import ExampleCounts
    >>> folder = Path(tempfile.mkdtemp())
    >>> np.save(folder / "length.npy", np.ones([2, 5], np.float32))
    >>> task = ProbingTask(
    ...     "length", "length.txt", False, ("so", "so so so"), np.arange(2, dtype=np.int32),
    ...     np.zeros(2, np.int32), np.array([0, 1]), np.zeros(2, np.int8), ("1", "3"),
    ...     ExampleCounts("-"))
    >>> PrecomputedVectors(folder).vectors(task)["given"].shape
    (1, 2, 5)
    """

    heads: tuple[tuple[str, int], ...] = ()

    def __init__(self, folder: str | Path, layers: Sequence[int] = ()) -> None:
        self.folder = Path(folder)
        self.layers = tuple(layers)
        self.name = str(folder)
        self.files = sorted(self.folder.glob("*.npy"))
        if not self.files:
            raise InputError(f"{folder} has no .npy file: give a folder with a TASK.npy a task")

    @cached_property
    def sha256(self) -> str:
        """Hash of all the files."""
        digest = hashlib.sha256()
        for path in self.files:
            with open(path, "rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{path.name} {content}\n".encode())
        return digest.hexdigest()

    def vectors(self, task: ProbingTask) -> dict[str, np.ndarray]:
        """The vectors of a task.

        Args:
            task: its E examples.

        Returns:
            `given`: float32 [R, E, D]; a float32 file is mapped, not read into memory.

        Raises:
            InputError: there is no such file, it is damaged, or its values do not fit the task.
        """
        path = self.folder / f"{task.name}.npy"
        if not path.exists():
            there = ", ".join(file.stem for file in self.files)
            raise InputError(f"{self.folder} has no {path.name}; there are: {there}")
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path} cannot be read as an array of numbers: {error}") from error
        if array.ndim not in (2, 3) or not np.issubdtype(array.dtype, np.floating):
            raise InputError(
                f"{path} has {array.dtype} values {list(array.shape)}; floats [examples, "
                "dimension] or [layers, examples, dimension] are needed"
            )
        if array.ndim == 2:
            array = array[np.newaxis]
        if array.shape[1] != len(task.labels):
            skipped = sum(task.counts.skipped.values())
            note = f" ({skipped} of its lines were skipped)" if skipped else ""
            raise InputError(
                f"{path} has {array.shape[1]} vectors a layer, but {task.path} has "
                f"{len(task.labels)} examples{note}: give one vector for each, in their order"
            )
        if 0 in array.shape:
            raise InputError(f"{path} is empty: its values are {list(array.shape)}")
        wrong = [layer for layer in self.layers if not 0 <= layer < len(array)]
        if wrong:
            raise InputError(
                f"model.layers names {wrong[0]}, but {path} has layers 0 to {len(array) - 1}"
            )
        _check_finite(array, path)
        return {GIVEN: np.asanyarray(array, np.float32)}


def _check_finite(array: np.ndarray, path: Path) -> None:
    for layer, values in enumerate(array):
        for first in range(0, len(values), _EXAMPLES):
            finite = np.isfinite(values[first : first + _EXAMPLES]).all(axis=-1)
            if not finite.all():
                example = first + int(np.argmin(finite))
                raise InputError(
                    f"{path}: the vector of example {example} (from 0) in layer {layer} is not "
                    "finite; make it again"
                )
