"""The checkpoints of a run: save, find the newest whole one, keep only the last few."""

import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hierbert_tf.errors import InputError
from hierbert_tf.training.checkpoint import TEMPORARY_PREFIX, Checkpoint, write_error


class Checkpoints:
    """The folder `checkpoints/` of a run, with one folder a checkpoint.

    Args:
        folder: the folder; it need not exist.
        keep: newest checkpoints that are kept.
        identity: JSON values stored with each: `vocabulary_sha256`, `encoder`, `config_sha256`.

    Raises:
        InputError: `folder` is a file.
    """

    def __init__(
        self, folder: str | Path, keep: int = 3, identity: dict[str, Any] | None = None
    ) -> None:
        self.folder = Path(folder)
        self.keep = max(1, keep)
        self.identity = identity or {}
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"{self.folder} is a file, not a folder of checkpoints; move it away.")

    def remove_leftovers(self) -> None:
        """Removes what a killed write left behind; for the run that owns the folder, at its start.

        Raises:
            InputError: the folder is read-only.
        """
        try:
            for leftover in self.folder.glob(f"{TEMPORARY_PREFIX}*"):
                shutil.rmtree(leftover)
        except OSError as error:
            raise write_error(self.folder, error) from error

    def save(
        self, step: int, model_variables: Sequence[Any], state_variables: Sequence[Any]
    ) -> Checkpoint:
        """Writes a checkpoint and removes the oldest beyond `keep`.

        Args:
            step: optimizer steps done.
            model_variables: every variable of the model, seed states included.
            state_variables: every other variable of the training step.

        Raises:
            RunStopped: the disk is full.
            InputError: the folder cannot be written.
        """
        saved = Checkpoint.write(self.folder, step, model_variables, state_variables, self.identity)
        for path in self._paths()[self.keep :]:
            shutil.rmtree(path, ignore_errors=True)
        return saved

    def latest(self) -> Checkpoint | None:
        """The newest whole checkpoint or None; a damaged one is skipped with a warning."""
        for path in self._paths():
            try:
                found = Checkpoint.read(path)
                found.verify()
            except InputError as error:
                warnings.warn(f"skipped a damaged checkpoint: {error}", stacklevel=2)
                continue
            return found
        return None

    def at(self, step: int) -> Checkpoint:
        """The checkpoint of a step, its files verified.

        Raises:
            InputError: there is none, or it is damaged.
        """
        found = Checkpoint.read(self.folder / f"step_{step:08d}")
        found.verify()
        return found

    def _paths(self) -> list[Path]:
        """Folders of checkpoints, newest first."""
        return sorted(self.folder.glob("step_[0-9]*"), reverse=True)
