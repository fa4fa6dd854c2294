"""The folder of a prepared corpus: found again, made beside and renamed, cleaned up."""

import os
import shutil
import socket
from pathlib import Path
from typing import Any

from hierbert_tf.corpus.preparation_hash import (
    differences,
    preparation_record,
    preparation_sha256,
)
from hierbert_tf.data.manifest import MANIFEST, Manifest
from hierbert_tf.errors import InputError

_RETIRED = "-retired"


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
    """Where this process prepares what becomes `folder`: beside it, so that a rename suffices."""
    return folder.parent / f"{folder.name}.tmp-{socket.gethostname()}-{os.getpid()}"


def remove_abandoned(folder: Path) -> None:
    """Removes what preparations of this folder left that were killed on this machine."""
    prefix = f"{folder.name}.tmp-{socket.gethostname()}-"
    for path in folder.parent.iterdir() if folder.parent.is_dir() else ():
        if path.name.startswith(prefix):
            pid = path.name.removeprefix(prefix).removesuffix(_RETIRED)
            if pid.isdigit() and not _is_running(int(pid)):
                shutil.rmtree(path, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid != os.getpid()


def publish(work: Path, folder: Path) -> None:
    """Renames the finished `work` to `folder`, in the place of what was there."""
    if folder.exists():
        retired = work.with_name(f"{work.name}{_RETIRED}")
        os.rename(folder, retired)
        try:
            os.rename(work, folder)
        except OSError:
            os.rename(retired, folder)
            raise
        shutil.rmtree(retired, ignore_errors=True)
    else:
        os.rename(work, folder)
