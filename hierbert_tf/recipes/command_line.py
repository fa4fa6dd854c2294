"""What the programs share: how they end, and how they warn."""

import argparse
import ctypes
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hierbert_tf.config_file import load_config
from hierbert_tf.errors import InputError, RunStopped
from hierbert_tf.storage import storage_error

WRONG_INPUT = 2
STOPPED = 1
# Of malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3


def run_program(program: Callable[[], int | None]) -> int:
    """Runs a program and turns its expected failures into one sentence on standard error.

    Args:
        program: returns an exit code, or None for 0.

    Returns:
        0, the program's own code, 2 for wrong input, 1 for a run that stopped itself, 130 for
        Ctrl-C outside training.

    Example:

    >>> run_program(lambda: None)
    0
    """
    warnings.showwarning = _show_warning
    _keep_freed_memory()
    try:
        return program() or 0
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG_INPUT
    except RunStopped as error:
        print(f"stopped: {error}", file=sys.stderr)
        return STOPPED
    except KeyboardInterrupt:
        print("stopped: interrupted; nothing that was saved is lost", file=sys.stderr)
        return 130
    except OSError as error:
        # Wherever a file cannot be written, the system's own words and the file say it.
        if error.errno is None:
            raise
        known = storage_error(error, error.filename or "a file")
        stopped = isinstance(known, RunStopped)
        print(f"{'stopped' if stopped else 'error'}: {known}", file=sys.stderr)
        return STOPPED if stopped else WRONG_INPUT


@dataclass(frozen=True)
class Shortcut:
    """An option of a command line that stands for a setting.

    Args:
        option: such as `--model`.
        metavar: how the help names its value.
        key: the setting's dotted key.
        what: the help's words.
        kind: type of the value.
    """

    option: str
    metavar: str
    key: str
    what: str
    kind: type = str


def run_with_settings(
    program: Callable[..., int],
    kind: type[Any],
    name: str,
    description: str,
    shortcuts: Sequence[Shortcut],
    arguments: Sequence[str] | None = None,
    *,
    resumes: bool = True,
) -> int:
    """Reads settings from the command line and runs a program on them.

    Every such program takes `--config FILE`, `key=value` and its shortcuts, which win over a
    `key=value` of the same setting; one that goes on with an earlier run takes `--from-scratch`.

    Args:
        program: called with the settings, and with `from_scratch` if it resumes; returns an exit
            code.
        kind: class of the settings.
        name: the program's module.
        description: the help's first sentence.
        shortcuts: options that stand for a setting.
        arguments: the command line; None: of this process.
        resumes: whether the program goes on with an earlier run in its folder.

    Returns:
        The exit code, as of `run_program`.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=description)
    parser.add_argument("--config", metavar="FILE", help="settings in YAML")
    for number, one in enumerate(shortcuts):
        parser.add_argument(
            one.option,
            metavar=one.metavar,
            type=one.kind,
            dest=f"shortcut_{number}",
            help=f"{one.what}: {one.key}={one.metavar}",
        )
    if resumes:
        parser.add_argument(
            "--from-scratch", action="store_true", help="set an earlier run in the folder aside"
        )
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="any setting, such as seeds=3"
    )
    options = vars(parser.parse_intermixed_args(arguments))
    overrides = list(options["overrides"])
    for number, one in enumerate(shortcuts):
        if (value := options[f"shortcut_{number}"]) is not None:
            # As JSON, which is YAML too: a folder called 7 stays a text.
            overrides.append(f"{one.key}={json.dumps(value)}")

    def whole() -> int:
        config = load_config(options["config"], overrides, kind)
        return program(config, **{k: options[k] for k in ("from_scratch",) if k in options})

    with warnings.catch_warnings():
        return run_program(whole)


def _keep_freed_memory() -> None:
    """Tells glibc's allocator not to give freed memory back to the system.

    A step frees and takes the same few large tensors again and again. By default each goes back to
    the system and comes as new, zeroed pages: a tenth of the time of a step of a small model.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc alone has it
    if mallopt is not None:
        for option, value in (
            (_TRIM_THRESHOLD, -1),
            (_TOP_PAD, 64 << 20),
            (_MMAP_THRESHOLD, 32 << 20),
        ):
            mallopt(option, value)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """A warning as one sentence, without the place in the code."""
    if issubclass(category, UserWarning):
        print(f"warning: {message}", file=sys.stderr)
