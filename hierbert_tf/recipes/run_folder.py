"""The run folder: whose run it is, and where a run in it starts."""

import hashlib
import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hierbert_tf.config import MonitorConfig, RunConfig
from hierbert_tf.config_file import dump_config, load_config, write_text
from hierbert_tf.errors import InputError


class RunFolder:
    """The folder of one run: `config.yaml`, `data/`, `checkpoints/`, `tensorboard/` and the rest.

    Args:
        config: the resolved settings; `folder` names the place.

    Raises:
        InputError: the folder cannot be made or written.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.path = Path(config.folder)
        self.data = self.path / "data"
        self.checkpoints = self.path / "checkpoints"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.path}: the run folder cannot be made: {error.strerror}; "
                             "choose another with folder=...") from error  # fmt: skip
        if not os.access(self.path, os.W_OK) or _is_read_only(self.path):
            raise InputError(
                f"{self.path}: the run folder cannot be written; choose another with folder=..."
            )

    def claim(self) -> None:
        """Writes `config.yaml`, unless the folder holds a run of other settings.

        Settings of the monitor alone may differ.

        Raises:
            InputError: names the first setting that differs.
        """
        path = self.path / "config.yaml"
        if path.exists() and self.checkpoints.exists():
            other = load_config(path)
            found = _first_difference(_comparable(other), _comparable(self.config), "")
            if found:
                key, theirs, ours = found
                raise InputError(
                    f"{self.path} holds a run with {key} {theirs!r}, not {ours!r}; choose another "
                    "folder=..., or --from-scratch to set that run aside"
                )
        write_text(path, dump_config(self.config))

    def set_aside(self) -> Path | None:
        """Renames what an earlier run left, so that a new one starts from scratch.

        Returns:
            Where the earlier run's checkpoints and records are now; None if there were none.
        """
        kept = ("checkpoints", "config.yaml", "metrics.csv", "tensorboard", "plots", "summary.md",
                "model.keras", "encoder")  # fmt: skip
        present = [self.path / name for name in kept if (self.path / name).exists()]
        if not self.checkpoints.exists():
            return None
        number = 1
        while (aside := self.path / f"earlier_{number}").exists():
            number += 1
        aside.mkdir()
        for path in present:
            path.rename(aside / path.name)
        return aside

    def identity(self, vocabulary_sha256: str) -> dict[str, Any]:
        """What the checkpoints' weights belong to."""
        comparable = json.dumps(_comparable(self.config), sort_keys=True)
        return {
            "vocabulary_sha256": vocabulary_sha256,
            "encoder": asdict(self.config.encoder),
            "config_sha256": hashlib.sha256(comparable.encode()).hexdigest(),
        }


def _comparable(config: RunConfig) -> dict[str, Any]:
    return asdict(replace(config, monitor=MonitorConfig(), folder=""))


def _is_read_only(path: Path) -> bool:
    # os.access says yes to root; only a write tells.
    probe = path / f".write-test-{os.getpid()}"
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return True
    return False


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
