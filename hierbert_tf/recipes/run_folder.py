"""The run folder: whose run it is, that one process works in it, and what earlier runs left."""

import fcntl
import hashlib
import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from hierbert_tf.config import MonitorConfig, RunConfig
from hierbert_tf.config_file import dump_config, load_config
from hierbert_tf.errors import InputError
from hierbert_tf.storage import storage_error, write_text
from hierbert_tf.training.checkpoints import Checkpoints

# Everything that a run writes but its prepared text, which another run in the folder may share.
RECORDS = ("checkpoints", "config.yaml", "vocab.txt", "chance.json", "metrics.csv", "tensorboard",
           "plots", "architecture.png", "corpus_report.md", "summary.md", "model.keras",
           "encoder")  # fmt: skip


class RunFolder:
    """The folder of one run: `config.yaml`, `data/`, `checkpoints/`, `tensorboard/` and the rest.

    Args:
        config: the resolved settings; `folder` names the place.

    Raises:
        InputError: the folder cannot be made or written, or another process works in it.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.path = Path(config.folder)
        self.data = self.path / "data"
        self.checkpoints = self.path / "checkpoints"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # Opened for as long as the process lives; the system lets go of the lock at any end.
            self._lock: IO[str] = open(self.path / ".lock", "w")  # noqa: SIM115
        except OSError as error:
            raise storage_error(error, self.path) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise InputError(
                f"{self.path}: another process works in this run folder; wait for it or choose "
                "another folder=..."
            ) from error

    def release(self) -> None:
        """Lets another process, or a later run of this one, work in the folder."""
        self._lock.close()

    @property
    def has_run(self) -> bool:
        """An earlier run left checkpoints here, whole or not."""
        return Checkpoints(self.checkpoints).any_folder()

    def check_settings(self) -> None:
        """Refuses to go on with a run of other settings; the monitor's alone may differ.

        Raises:
            InputError: names the first setting that differs.
        """
        path = self.path / "config.yaml"
        if not path.exists():
            return
        found = _first_difference(_comparable(load_config(path)), _comparable(self.config), "")
        if found:
            key, theirs, ours = found
            raise InputError(
                f"{self.path} holds a run with {key} {theirs!r}, not {ours!r}; choose another "
                "folder=..., or --from-scratch to set that run aside"
            )

    def claim(self, vocabulary: Path) -> None:
        """Writes `config.yaml` and a copy of the vocabulary: with them a checkpoint can be used."""
        write_text(self.path / "config.yaml", dump_config(self.config))
        write_text(self.path / "vocab.txt", vocabulary.read_text(encoding="utf-8"))

    def set_aside(self) -> Path | None:
        """Moves what an earlier run left into `earlier_1/`, `earlier_2/`, ...

        Returns:
            Where it is now; None if there was nothing.
        """
        present = [self.path / name for name in RECORDS if (self.path / name).exists()]
        if not present:
            return None
        number = 1
        while (aside := self.path / f"earlier_{number}").exists():
            number += 1
        aside.mkdir()
        for path in present:
            path.rename(aside / path.name)
        return aside

    def temporary(self, name: str) -> Path:
        """A path beside `name`, to write to and rename."""
        stem, _, suffix = name.partition(".")
        return self.path / f".{stem}-{os.getpid()}{'.' if suffix else ''}{suffix}"

    def identity(
        self, vocabulary_sha256: str, preparation_sha256: str, warm_start_from: str | None
    ) -> dict[str, Any]:
        """What the checkpoints' weights belong to."""
        comparable = json.dumps(_comparable(self.config), sort_keys=True)
        return {
            "vocabulary_sha256": vocabulary_sha256,
            "preparation_sha256": preparation_sha256,
            "encoder": asdict(self.config.encoder),
            "config_sha256": hashlib.sha256(comparable.encode()).hexdigest(),
            "warm_start_from": warm_start_from,
        }


def _comparable(config: RunConfig) -> dict[str, Any]:
    return asdict(replace(config, monitor=MonitorConfig(), folder=""))


def _first_difference(theirs: Any, ours: Any, key: str) -> tuple[str, Any, Any] | None:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        pairs = [(name, theirs.get(name), ours.get(name)) for name in {**theirs, **ours}]
    elif isinstance(theirs, list | tuple) and isinstance(ours, list | tuple):
        if len(theirs) != len(ours):
            return key, theirs, ours
        pairs = [(str(i), *both) for i, both in enumerate(zip(theirs, ours, strict=True))]
    else:
        return None if theirs == ours else (key, theirs, ours)
    for name, their, our in pairs:
        found = _first_difference(their, our, f"{key}.{name}" if key else name)
        if found:
            return found
    return None
