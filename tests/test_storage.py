import errno
import os

import pytest
import tensorflow as tf

from hierbert_tf.errors import InputError, RunStopped
from hierbert_tf.storage import storage_error

FULL = "the disk is full: 'runs/a' was not written; make room and start again."
H5PY = "Can't write data (file write failed: time = Sun\n, errno = 28, error message = '...')"


def of_tensorflow(kind, message):
    return getattr(tf.errors, kind)(None, None, message)


@pytest.mark.parametrize(
    "error",
    [
        *(OSError(number, os.strerror(number)) for number in (errno.ENOSPC, errno.EDQUOT)),
        OSError(errno.EFBIG, "File too large"),
        OSError(H5PY),
        OSError("Can't close file: No space left on device"),
        RuntimeError("Error while serializing: I/O error: File too large (os error 27)"),
        RuntimeError('IoError(Os { code: 28, kind: StorageFull, message: "No space" })'),
        of_tensorflow("ResourceExhaustedError", "a.tfrecord; No space left on device"),
        of_tensorflow("ResourceExhaustedError", "quota of the bucket"),
        of_tensorflow("OutOfRangeError", "/dev/full; File too large"),
    ],
)
def test_a_full_disk_stops_the_run(error):
    told = storage_error(error, "runs/a")
    assert isinstance(told, RunStopped)
    assert str(told) == FULL


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        *((OSError(n, "-"), os.strerror(n)) for n in (errno.EROFS, errno.EACCES, errno.EPERM)),
        (NotADirectoryError(errno.ENOTDIR, "-"), "Not a directory"),
        (RuntimeError("I/O error: Read-only (os error 30)"), "Read-only file system"),
        (of_tensorflow("PermissionDeniedError", "a; Permission denied"), "Permission denied"),
        (of_tensorflow("FailedPreconditionError", "a; Not a directory"), "Not a directory"),
        (of_tensorflow("FailedPreconditionError", "no\nway"), "no"),
    ],
)
def test_a_forbidden_place_is_to_be_changed(error, reason):
    told = storage_error(error, "runs/a")
    assert isinstance(told, InputError)
    assert str(told) == f"'runs/a' cannot be written ({reason}): choose another place."


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EIO, "-"), "Input/output error"),
        (OSError("odd"), "odd"),
        (OSError(), "OSError"),
        (of_tensorflow("ResourceExhaustedError", "a; Too many open files"), "Too many open files"),
    ],
)
def test_anything_else_is_said_in_its_own_words(error, reason):
    told = storage_error(error, "runs/a")
    assert isinstance(told, InputError)
    assert str(told) == f"'runs/a' cannot be written: {reason}."
