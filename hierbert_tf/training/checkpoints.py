"""The checkpoints of a run: save, find the newest whole one, keep only the last few."""

import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hierbert_tf.errors import InputError
from hierbert_tf.storage import storage_error
from hierbert_tf.training.checkpoint import (
    TEMPORARY_PREFIX,
    Checkpoint,
    checkpoint_path,
    checkpoint_step,
)


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
        self._damaged: set[Path] = set()
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
            raise storage_error(error, self.folder) from error

    def save(
        self, step: int, model_variables: Sequence[Any], state_variables: Sequence[Any]
    ) -> Checkpoint:
        """Writes a checkpoint, then removes the oldest beyond `keep` and all of later steps.

        Those of later steps, whole or damaged, belong to a future that this run has left: it went
        on from an earlier step. Damaged ones do not count as kept.

        Args:
            step: optimizer steps done.
            model_variables: every variable of the model, seed states included.
            state_variables: every other variable of the training step.

        Raises:
            RunStopped: the disk is full.
            InputError: the folder cannot be written.
        """
        saved = Checkpoint.write(self.folder, step, model_variables, state_variables, self.identity)
        self._damaged.discard(saved.path)
        kept = 1
        for path in self._paths():
            if path == saved.path:
                continue
            later = (checkpoint_step(path) or 0) > step
            if later or kept >= self.keep:
                shutil.rmtree(path, ignore_errors=True)
            elif self._seems_whole(path):
                kept += 1
        return saved

    def any_folder(self) -> bool:
        """Whether there is a checkpoint's folder at all, be it whole or damaged.

        So `any_folder()` with `latest()` None means that every checkpoint of the run is damaged.
        """
        return bool(self._paths())

    def latest(self) -> Checkpoint | None:
        """The newest whole checkpoint or None; a damaged one is skipped with a warning."""
        for path in self._paths():
            try:
                found = Checkpoint.read(path)
                found.verify()
            except InputError as error:
                self._damaged.add(path)
                warnings.warn(f"skipped a damaged checkpoint: {error}", stacklevel=2)
                continue
            return found
        return None

    def at(self, step: int) -> Checkpoint:
        """The checkpoint of a step, its files verified.

        Raises:
            InputError: there is none, or it is damaged.
        """
        found = Checkpoint.read(checkpoint_path(self.folder, step))
        found.verify()
        return found

    def _paths(self) -> list[Path]:
        """Folders of checkpoints, newest first."""
        steps = {path: checkpoint_step(path) for path in self.folder.glob("step_*")}
        found = [(step, path) for path, step in steps.items() if step is not None]
        return [path for _, path in sorted(found, reverse=True)]

    def _seems_whole(self, path: Path) -> bool:
        """Without reading the weights: at each save that would cost as much as the save."""
        try:
            return path not in self._damaged and Checkpoint.read(path).has_its_sizes()
        except InputError:
            return False
