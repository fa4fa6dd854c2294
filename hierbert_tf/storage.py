"""Files that are whole or not there, and what a failed write means to a person."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from hierbert_tf.errors import InputError, RunStopped

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)
# safetensors writes "(os error 28)", or in older versions "Os { code: 28,"; h5py "errno = 28".
_NUMBER_IN_TEXT = re.compile(r"(?:os error |Os \{ code: |errno = )(\d+)")
# TensorFlow gives the system's words alone. These share its error class with a full disk.
_NAMED = (*_FULL, *_FORBIDDEN, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@contextlib.contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Context for writing a file whole or not at all: beside it first, on the disk, then renamed.

    Args:
        path: the file.

    Yields:
        The path beside it to write to. After an error nothing is left of it and `path` is as it was
        before.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with written_whole(path) as beside:
    ...     size = beside.write_text("all of it")
    ...     path.exists()
    False
    >>> path.read_text()
    'all of it'
    """
    path = Path(path)
    beside = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        yield beside
        with open(beside, "rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Writes a UTF-8 file, whole or not at all."""
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8")


def storage_error(error: Exception, place: str | Path) -> InputError | RunStopped:
    """The error to raise, in one sentence, for a failed write at `place`.

    Args:
        error: an `OSError`, TensorFlow's `tf.errors.OpError`, or the error of a library that puts
            the system's error number or words into its text, as safetensors and h5py do.
        place: file or folder that was being written.

    Returns:
        `RunStopped` where the disk, the quota or the file's size is at its limit: the same command
        can go on once there is room. Else `InputError`: another place must be given.

    Example:

    >>> storage_error(OSError(errno.ENOSPC, "No space left on device"), "runs/a")
    RunStopped("the disk is full: 'runs/a' was not written; make room and start again.")
    >>> storage_error(OSError(errno.EROFS, "Read-only file system"), "runs/a")
    InputError("'runs/a' cannot be written (Read-only file system): choose another place.")
    """
    text = getattr(error, "message", None) or str(error) or type(error).__name__
    number = _number(error, text)
    reason = os.strerror(number) if number else text.strip().splitlines()[0]
    if number in _FULL or (number is None and _is(error, "ResourceExhaustedError")):
        return RunStopped(
            f"the disk is full: {str(place)!r} was not written; make room and start again."
        )
    forbidden = _is(error, "PermissionDeniedError") or _is(error, "FailedPreconditionError")
    if number in _FORBIDDEN or (number is None and forbidden):
        return InputError(f"{str(place)!r} cannot be written ({reason}): choose another place.")
    return InputError(f"{str(place)!r} cannot be written: {reason}.")


def _number(error: Exception, text: str) -> int | None:
    """The system's error number, wherever the error has it."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if found := _NUMBER_IN_TEXT.search(text):
        return int(found[1])
    return next((number for number in _NAMED if os.strerror(number) in text), None)


def _is(error: Exception, name: str) -> bool:
    # By name: TensorFlow takes seconds to import, and most errors are not its.
    kinds = type(error).__mro__
    return any(kind.__name__ == name and kind.__module__.startswith("tensorflow") for kind in kinds)
