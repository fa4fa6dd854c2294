"""What a failed read or write means to the person who started the program."""

import errno
from pathlib import Path

import tensorflow as tf

from hierbert_tf.errors import InputError, RunStopped

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


def storage_error(error: OSError | tf.errors.OpError, folder: str | Path) -> Exception:
    """The error to raise, in one sentence, for a failed write below `folder`.

    Args:
        error: of Python's or TensorFlow's file operations.
        folder: what was being written.

    Returns:
        `RunStopped` for a full disk, else `InputError`.

    Example:

    >>> storage_error(OSError(errno.ENOSPC, "No space left on device"), "runs/a")
    RunStopped("the disk is full: 'runs/a' was not written; free space and start again.")
    """
    if isinstance(error, OSError):
        number, reason = error.errno, error.strerror or str(error)
    else:
        number, reason = None, error.message.splitlines()[0]
    place = repr(str(folder))
    full = isinstance(error, tf.errors.ResourceExhaustedError) or "No space left" in reason
    if number in _FULL or full:
        return RunStopped(f"the disk is full: {place} was not written; free space and start again.")
    if number in _FORBIDDEN or isinstance(error, tf.errors.PermissionDeniedError):
        return InputError(f"{place} cannot be written ({reason}): choose a folder that can be.")
    return InputError(f"{place} cannot be written: {reason}.")
