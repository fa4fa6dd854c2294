"""Where a run starts: resume, warm start, or from scratch."""

from dataclasses import dataclass
from typing import Any

import keras

from hierbert_tf.errors import InputError
from hierbert_tf.models.weights_hash import weights_sha256
from hierbert_tf.recipes.run_folder import RunFolder
from hierbert_tf.training.checkpoint import Checkpoint, checkpoint_path
from hierbert_tf.training.checkpoints import Checkpoints
from hierbert_tf.training.warm_start import warm_start
from hierbert_tf.training.worker_group import WorkerGroup


@dataclass(frozen=True)
class Start:
    """What the user asked for.

    Args:
        resume: there must be a checkpoint.
        from_scratch: an earlier run in the folder is set aside.
        warm_start_from: a run or checkpoint whose weights a new run begins with.
    """

    resume: bool = False
    from_scratch: bool = False
    warm_start_from: str | None = None


def decide_start(
    start: Start,
    folder: RunFolder,
    checkpoints: Checkpoints,
    model: keras.Model,
    vocabulary_sha256: str,
    workers: WorkerGroup | None = None,
) -> int:
    """Decides where the run starts, says so, and fills a warm-started model.

    Of several workers the chief decides; the others follow, and see that they see the same.

    Args:
        start: what was asked for.
        folder: the run folder.
        checkpoints: its checkpoints, with this run's identity.
        model: the new model.
        vocabulary_sha256: hash of the run's vocabulary.
        workers: those that train together; None: this one alone.

    Returns:
        The step to resume at, 0 for a new run.

    Raises:
        InputError: no checkpoint to resume from, none that is whole, or one of another run; or this
            worker does not see what the chief sees.
        RunStopped: another worker is gone.
    """
    workers = workers or WorkerGroup()
    if workers.is_chief:
        step = _decide(start, folder, checkpoints, model, vocabulary_sha256)
        files = Checkpoint.read(checkpoint_path(checkpoints.folder, step)).files if step else None
        workers.from_chief("the start", {"step": step, "files": files})
    else:
        chief = workers.from_chief("the start")
        step = _follow(chief, start, checkpoints, model, vocabulary_sha256, workers.index)
    if not step and workers.size > 1:
        ours = weights_sha256(model)
        if workers.from_chief("the weights", ours) != ours:
            raise InputError(
                f"worker {workers.index} begins with other weights than worker 0; see that all "
                "read the same --warm-start-from, and have the same version of the program."
            )
    return step


def _follow(
    chief: dict[str, Any],
    start: Start,
    checkpoints: Checkpoints,
    model: keras.Model,
    vocabulary_sha256: str,
    index: int,
) -> int:
    """Starts where the chief does."""
    step = int(chief["step"])
    if step:
        path = checkpoint_path(checkpoints.folder, step)
        try:
            found = Checkpoint.read(path).files
        except InputError:
            found = {}
        if found != chief["files"]:
            raise InputError(
                f"worker {index} does not see the checkpoint {path} from which worker 0 goes on; "
                "give all workers a folder=... that they share."
            )
        print(f"worker {index}: resume at step {step}", flush=True)
    elif start.warm_start_from:
        warm_start(model, start.warm_start_from, vocabulary_sha256)
    return step


def _decide(
    start: Start,
    folder: RunFolder,
    checkpoints: Checkpoints,
    model: keras.Model,
    vocabulary_sha256: str,
) -> int:
    """The chief's decision."""
    if start.from_scratch and (aside := folder.set_aside()):
        print(f"the earlier run is kept in {aside}")
    latest = checkpoints.latest()
    if latest is not None:
        _check_identity(latest.identity, checkpoints.identity, latest.path)
        print(f"resume: {folder.path} at step {latest.step}", flush=True)
        return latest.step
    if folder.has_run:
        raise InputError(
            f"{folder.checkpoints}: no checkpoint is whole; --from-scratch sets them aside and "
            "begins anew"
        )
    if start.resume:
        raise InputError(f"{folder.checkpoints} holds no checkpoint to resume from")
    if start.warm_start_from:
        done = warm_start(model, start.warm_start_from, vocabulary_sha256)
        print(
            f"warm start: {len(done.taken)} weights from {done.path}, {len(done.left)} new",
            flush=True,
        )
    else:
        print(f"from scratch: {folder.path}", flush=True)
    return 0


def _check_identity(theirs: dict[str, Any], ours: dict[str, Any], path: object) -> None:
    for key, what in (
        ("vocabulary_sha256", "vocabulary"),
        ("preparation_sha256", "text"),
        ("config_sha256", "set of settings"),
        ("warm_start_from", "--warm-start-from"),
    ):
        if theirs.get(key) != ours[key]:
            raise InputError(
                f"{path} belongs to a run with another {what}; choose another folder=..., or "
                "--from-scratch to set that run aside"
            )
