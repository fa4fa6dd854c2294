"""Start a new run with the weights of another one's checkpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from hierbert_tf.errors import InputError
from hierbert_tf.training.checkpoint import Checkpoint, by_path, checkpoint_step
from hierbert_tf.training.checkpoints import Checkpoints


@dataclass(frozen=True)
class WarmStart:
    """What a warm start did.

    Args:
        path: the checkpoint.
        taken: paths of the variables that were copied.
        left: paths of the model's variables that kept their own values: absent in the checkpoint or
            of another shape.
        unused: paths in the checkpoint that the model has not.
    """

    path: Path
    taken: tuple[str, ...]
    left: tuple[str, ...]
    unused: tuple[str, ...]


def warm_start(
    model: keras.Model, path: str | Path, vocabulary_sha256: str | None = None
) -> WarmStart:
    """Copies the trainable weights of equal path and shape from a checkpoint; no optimizer state.

    Args:
        model: the model to fill.
        path: a checkpoint folder, or a folder of them (a run's `checkpoints`, or the run folder),
            of which the newest whole one is taken.
        vocabulary_sha256: hash of the model's vocabulary; None: not compared.

    Returns:
        What was taken and what was left.

    Raises:
        InputError: no checkpoint there, one of another vocabulary, or nothing fits.
    """
    checkpoint = _find(Path(path))
    theirs = checkpoint.identity.get("vocabulary_sha256")
    if vocabulary_sha256 and theirs and theirs != vocabulary_sha256:
        raise InputError(
            f"{checkpoint.path} was trained with another vocabulary (sha256 {theirs[:12]}..., this "
            f"run's is {vocabulary_sha256[:12]}...), so its token ids mean other words; set "
            "vocabulary.path to that run's vocab.txt."
        )
    values = checkpoint.model_values()
    # Not the dropout seeds: a warm start is a new run with its own seed.
    own: dict[str, Any] = by_path(model.trainable_variables)
    taken = tuple(
        name
        for name, variable in own.items()
        if name in values and tuple(values[name].shape) == tuple(variable.shape)
    )
    if not taken:
        raise InputError(
            f"nothing in {checkpoint.path} fits this model: no variable has an equal name and "
            "shape; compare the encoder's settings."
        )
    for name in taken:
        own[name].assign(values[name])
    return WarmStart(
        checkpoint.path,
        taken,
        tuple(name for name in own if name not in taken),
        tuple(name for name in values if name not in own),
    )


def _find(path: Path) -> Checkpoint:
    if checkpoint_step(path) is not None:
        found = Checkpoint.read(path)
        found.verify()
        return found
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    latest = Checkpoints(folder).latest() if folder.is_dir() else None
    if latest is None:
        raise InputError(f"{path} holds no whole checkpoint to start from; give another folder.")
    return latest
