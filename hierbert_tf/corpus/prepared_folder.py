"""The folder of a prepared corpus: found again, made beside and renamed, cleaned up."""

import contextlib
import errno
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hierbert_tf.corpus.preparation_hash import (
    differences,
    preparation_record,
    preparation_sha256,
)
from hierbert_tf.data.manifest import MANIFEST, Manifest
from hierbert_tf.errors import InputError

_LOCK = "lock"
# Seconds between looks at a lock that another process has.
_LOOK_EVERY = 0.5


def find_prepared(folder: Path, settings: dict[str, Any], replace: bool) -> Manifest | None:
    """The manifest in `folder` if its corpus was made from these settings and sources.

    Args:
        folder: absolute path.
        settings: `preparation_settings` of the run.
        replace: a corpus of other settings or sources may be replaced.

    Returns:
        None if the folder may be made: there is nothing, or something to be replaced.

    Raises:
        InputError: the folder must not be replaced, or its corpus is damaged.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not (folder / MANIFEST).is_file():
            raise InputError(
                f"{str(folder)!r} exists and is no prepared corpus: name another folder or remove "
                "it."
            )
        manifest = Manifest.load(folder)
        if manifest.config_sha256 == preparation_sha256(settings):
            manifest.verify(folder)
            return manifest
        if not replace:
            # A folder of an older version does not say what it was made from.
            before = manifest.preparation
            known = differences(before, preparation_record(settings)) if before else []
            what = f" ({', '.join(known)})" if known else ""
            raise InputError(
                f"{str(folder)!r} was prepared from other text or settings{what}, and what was "
                "trained on it needs it as it is: give those again, choose another folder=..., or "
                "--from-scratch."
            )
    if Path.cwd().is_relative_to(folder):
        raise InputError(
            f"{str(folder)!r} is the current folder or one above it, and would be replaced: name a "
            "folder in it."
        )
    return None


def work_folder(folder: Path) -> Path:
    """Where what becomes `folder` is prepared: beside it, so that a rename suffices."""
    return folder.parent / f"{folder.name}.tmp"


@contextlib.contextmanager
def claimed(work: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Context in which no other process of this machine prepares in `work`.

    The system gives the lock back when a process ends, however it ends. Where the file system has
    no locks, there is none; tasks that are done twice do no harm.

    Args:
        work: the work folder; made if it is not there.
        wait: called once if another process has it, before waiting for it.
    """
    told = False
    while True:
        work.mkdir(parents=True, exist_ok=True)
        with open(work / _LOCK, "w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    wait()
                    told = True
                time.sleep(_LOOK_EVERY)
                continue
            except OSError as error:
                if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                    raise
            try:
                mine = os.path.samestat(os.fstat(lock.fileno()), os.stat(work / _LOCK))
            except FileNotFoundError:
                mine = False
            # Else the other process has finished, and the folder with the lock is gone.
            if mine:
                yield
                return


def remove_abandoned(folder: Path) -> None:
    """Removes what preparations of this folder left that were killed while they replaced it.

    Call it with the work folder claimed. What they had finished of the new text is in the work
    folder, and stays.
    """
    shutil.rmtree(_retired(folder), ignore_errors=True)


def _retired(folder: Path) -> Path:
    return folder.parent / f"{folder.name}.tmp-retired"


def publish(finished: Path, folder: Path) -> None:
    """Renames the folder `finished` to `folder`, in the place of what was there."""
    if folder.exists():
        retired = _retired(folder)
        os.rename(folder, retired)
        try:
            os.rename(finished, folder)
        except OSError:
            os.rename(retired, folder)
            raise
        shutil.rmtree(retired, ignore_errors=True)
    else:
        os.rename(finished, folder)
