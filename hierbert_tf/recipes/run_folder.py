"""The run folder: whose run it is, that one process works in it, and what earlier runs left."""

import fcntl
import os
from pathlib import Path
from typing import IO, Any

from hierbert_tf.config import RunConfig
from hierbert_tf.config_file import comparable_settings, dump_config, load_config
from hierbert_tf.config_finetuning import FinetuningConfig
from hierbert_tf.config_probing import ProbingConfig
from hierbert_tf.errors import InputError
from hierbert_tf.storage import storage_error, write_text
from hierbert_tf.training.checkpoints import Checkpoints

# Everything that a run writes but its prepared text, which another run in the folder may share.
RECORDS = ("checkpoints", "config.yaml", "vocab.txt", "chance.json", "metrics.csv", "tensorboard",
           "plots", "architecture.png", "corpus_report.md", "summary.md", "model.keras",
           "encoder", "examples.md", "results.csv", "results.md", "baselines.md",
           "seed_*", "tasks", "scores.csv", "scores.md", "heat_map_*.png", "lines_*.png",
           "selectivity_*.png",
           "probing")  # fmt: skip


class RunFolder:
    """The folder of one run, of whatever kind: its settings, records and lock.

    Args:
        config: the resolved settings; `folder` names the place.
        owner: makes and locks the folder. Of several workers only the chief does; the others read.

    Raises:
        InputError: the folder cannot be made or written, or another process works in it.
    """

    def __init__(
        self, config: RunConfig | FinetuningConfig | ProbingConfig, owner: bool = True
    ) -> None:
        self.config = config
        self.path = Path(config.folder)
        self.data = self.path / "data"
        self.checkpoints = self.path / "checkpoints"
        self._lock: IO[str] | None = None
        if owner:
            self._take()

    def _take(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # Opened for as long as the process lives; the system lets go of the lock at any end.
            self._lock = open(self.path / ".lock", "w")  # noqa: SIM115
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
        if self._lock is not None:
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
        theirs = load_config(path, (), type(self.config))
        found = _first_difference(comparable_settings(theirs), comparable_settings(self.config), "")
        if found:
            key, their, our = found
            raise InputError(
                f"{self.path} holds a run with {key} {their!r}, not {our!r}; choose another "
                "folder=..., or --from-scratch to set that run aside"
            )

    def claim(self, vocabulary: Path | None = None) -> None:
        """Writes `config.yaml` and a copy of the vocabulary: with them a checkpoint can be used."""
        write_text(self.path / "config.yaml", dump_config(self.config))
        if vocabulary is not None:
            write_text(self.path / "vocab.txt", vocabulary.read_text(encoding="utf-8"))

    def set_aside(self) -> Path | None:
        """Moves what an earlier run left into `earlier_1/`, `earlier_2/`, ...

        Returns:
            Where it is now; None if there was nothing.
        """
        present = [path for name in RECORDS for path in sorted(self.path.glob(name))]
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
