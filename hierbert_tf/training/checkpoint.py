"""One checkpoint on disk: a folder that is either whole or not there."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from hierbert_tf.errors import InputError
from hierbert_tf.storage import storage_error

FORMAT = 1
MODEL_FILE = "model.safetensors"
OPTIMIZER_FILE = "optimizer.safetensors"
DESCRIPTION_FILE = "checkpoint.json"
TEMPORARY_PREFIX = ".tmp-"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint folder.

    `model.safetensors` holds every variable of the model by path, the dropout seeds' states
    included; `optimizer.safetensors` all other state of the training step; `checkpoint.json` the
    step, what the run is (`identity`) and the size and SHA-256 of both files.

    Args:
        path: the folder, `step_00000200`.
        step: optimizer steps done.
        identity: what the weights belong to: `vocabulary_sha256`, `encoder`, `config_sha256`, ...
        files: size in bytes and SHA-256 (`bytes`, `sha256`) of each file.
    """

    path: Path
    step: int
    identity: dict[str, Any]
    files: dict[str, dict[str, Any]]

    @classmethod
    def write(
        cls,
        folder: Path,
        step: int,
        model_variables: Sequence[Any],
        state_variables: Sequence[Any],
        identity: dict[str, Any],
    ) -> "Checkpoint":
        """Writes `folder/step_...`, beside first and renamed when it is whole and on the disk.

        Args:
            folder: folder of the checkpoints; made if missing.
            step: optimizer steps done.
            model_variables: Keras variables.
            state_variables: Keras or TensorFlow variables.
            identity: JSON values.

        Raises:
            RunStopped: the disk is full; nothing is left of the attempt.
            InputError: the folder cannot be written.
        """
        path = checkpoint_path(folder, step)
        temporary = folder / f"{TEMPORARY_PREFIX}{path.name}-{os.getpid()}"
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            _save(values_by_path(model_variables), temporary / MODEL_FILE)
            _save(values_by_path(state_variables), temporary / OPTIMIZER_FILE)
            files = {name: _measure(temporary / name) for name in (MODEL_FILE, OPTIMIZER_FILE)}
            description = {"format": FORMAT, "step": step, "files": files, "identity": identity}
            text = json.dumps(description, indent=1, sort_keys=True)
            (temporary / DESCRIPTION_FILE).write_text(text + "\n", encoding="utf-8")
            for name in (*files, DESCRIPTION_FILE, "."):
                _flush(temporary / name)
            if path.exists():  # written by an earlier, damaged attempt of the same run
                shutil.rmtree(path)
            temporary.rename(path)
            _flush(folder)
        except (OSError, safetensors.SafetensorError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise storage_error(error, folder) from error
        return cls(path, step, identity, files)

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """Reads the description of a checkpoint folder; `verify` looks at its files.

        Raises:
            InputError: no checkpoint, a broken one, or one of another format.
        """
        file = path / DESCRIPTION_FILE
        try:
            description = json.loads(file.read_text(encoding="utf-8"))
            if description["format"] != FORMAT:
                raise InputError(
                    f"{file} has format {description['format']}, this program reads {FORMAT}; "
                    "use the version that wrote it."
                )
            return cls(
                path, int(description["step"]), description["identity"], description["files"]
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{path} is no whole checkpoint ({DESCRIPTION_FILE} is missing or broken); "
                "choose another."
            ) from error

    def has_its_sizes(self) -> bool:
        """Whether each file is there and as long as it was: no proof as `verify`, but no reading.

        Example:

        >>> Checkpoint(Path("nowhere"), 1, {}, {"a": {"bytes": 3}}).has_its_sizes()
        False
        """
        try:
            sizes = {name: (self.path / name).stat().st_size for name in self.files}
        except OSError:
            return False
        return all(size == self.files[name]["bytes"] for name, size in sizes.items())

    def verify(self) -> None:
        """Compares size and SHA-256 of each file.

        Raises:
            InputError: a file is missing, cut short or changed.
        """
        for name, expected in self.files.items():
            file = self.path / name
            try:
                found = _measure(file)
            except OSError as error:
                raise InputError(
                    f"{file} of the checkpoint cannot be read ({error.strerror}); choose another."
                ) from error
            if found != expected:
                raise InputError(
                    f"{file} is damaged: it has {found['bytes']} bytes and another SHA-256 than "
                    f"the {expected['bytes']} bytes written; choose another checkpoint."
                )

    def model_values(self) -> dict[str, np.ndarray]:
        """The model's variables by path."""
        return safetensors.numpy.load_file(self.path / MODEL_FILE)

    def restore(self, model_variables: Sequence[Any], state_variables: Sequence[Any]) -> None:
        """Sets the variables to what was saved, bit for bit.

        Args:
            model_variables: the variables given to `write`, of an equal model.
            state_variables: likewise.

        Raises:
            InputError: the variables are not those of this checkpoint.
        """
        values = self.model_values()
        state = safetensors.numpy.load_file(self.path / OPTIMIZER_FILE)
        # All is compared before any is set: an error leaves the model as it was.
        _compare(self.path / MODEL_FILE, values, model_variables)
        _compare(self.path / OPTIMIZER_FILE, state, state_variables)
        for path, variable in by_path(model_variables).items():
            variable.assign(values[path])
        for path, variable in by_path(state_variables).items():
            variable.assign(state[path])


def checkpoint_path(folder: Path, step: int) -> Path:
    """The folder of a step's checkpoint."""
    return folder / f"step_{step:08d}"


def checkpoint_step(path: Path) -> int | None:
    """The step in the name of a checkpoint's folder; None if it is no such name.

    Example:

    >>> checkpoint_step(Path("checkpoints/step_00000200")), checkpoint_step(Path("step_by_step"))
    (200, None)
    """
    found = re.fullmatch(r"step_(\d{8,})", path.name)
    return int(found[1]) if found else None


def by_path(variables: Sequence[Any]) -> dict[str, Any]:
    """The variables under their paths; the second of an equal path gets `#2`, and so on.

    Keras numbers seed generators by how many the process made before; that number is left out, or
    a checkpoint would fit only a process with the same history.

    Example:

    >>> import keras
    >>> list(by_path([keras.Variable(0.0, name="a"), keras.Variable(0.0, name="a")]))
    ['a', 'a#2']
    """
    named: dict[str, Any] = {}
    for variable in variables:
        path = getattr(variable, "path", variable.name)
        path = re.sub(r"(^|/)seed_generator_\d+/", r"\1seed_generator/", path)
        name, number = path, 1
        while name in named:
            number += 1
            name = f"{path}#{number}"
        named[name] = variable
    return named


def values_by_path(variables: Sequence[Any]) -> dict[str, np.ndarray]:
    """The variables' values under their paths, see `by_path`."""
    # order="C": safetensors writes the memory as it lies.
    return {
        path: np.asarray(variable.numpy(), order="C")
        for path, variable in by_path(variables).items()
    }


def _save(values: dict[str, np.ndarray], file: Path) -> None:
    safetensors.numpy.save_file(values, file)


def _measure(file: Path) -> dict[str, Any]:
    with open(file, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": digest}


def _flush(path: Path) -> None:
    """Waits until the file or folder is on the disk, not only in memory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _compare(file: Path, values: dict[str, np.ndarray], variables: Sequence[Any]) -> None:
    named = by_path(variables)
    missing = sorted(set(named) - set(values))
    extra = sorted(set(values) - set(named))
    shapes = [
        path
        for path in named
        if path in values and tuple(values[path].shape) != tuple(named[path].shape)
    ]
    for found, problem in (
        (missing, "lacks"),
        (extra, "has besides"),
        (shapes, "has in another shape"),
    ):
        if found:
            raise InputError(
                f"{file} does not fit this model: it {problem} {len(found)} variables, the first "
                f"{found[0]!r}; resume with the settings of that run, or use warm start."
            )
