"""Prepares the text of a run by itself, in several processes or on Apache Beam.

    python -m hierbert_tf.recipes.prepare --config mine.yaml --processes 8
    python -m hierbert_tf.recipes.prepare --config mine.yaml --runner FlinkRunner -- \
        --flink_master=host:8081

The run's folder is the settings' `folder`; `hierbert_tf.recipes.pretrain` with the same settings
finds the shards there. The same command started again goes on where it was stopped.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Sequence

from hierbert_tf.config import RunConfig
from hierbert_tf.config_check import check_config
from hierbert_tf.config_file import load_config
from hierbert_tf.corpus.beam_runner import BeamRunner
from hierbert_tf.corpus.prepare import prepare
from hierbert_tf.corpus.report import CorpusReport
from hierbert_tf.corpus.runner import LocalRunner, Runner
from hierbert_tf.corpus.stage_progress import StageProgress
from hierbert_tf.errors import InputError
from hierbert_tf.recipes.command_line import run_program
from hierbert_tf.recipes.run_folder import RunFolder

LOCAL = "local"
# Seconds between two lines of progress.
_LINE_EVERY = 5.0


class ProgressLines:
    """Prints how far a stage is: its beginning, its end, and a line now and then between."""

    def __init__(self) -> None:
        self._last = float("-inf")

    def __call__(self, progress: StageProgress) -> None:
        """Prints a line, if the last one is not too new."""
        now = time.monotonic()
        if progress.tasks_done == progress.tasks or now - self._last >= _LINE_EVERY:
            self._last = now
            print(f"preparing: {progress.to_text()}", flush=True)


def prepare_text(config: RunConfig, runner: Runner) -> None:
    """Prepares the text of a run where pre-training looks for it, and prints its report.

    Args:
        config: the settings.
        runner: does the tasks.

    Raises:
        InputError: wrong settings or text.
        RunStopped: the disk is full, or a process was killed.
    """
    check_config(config)
    folder = RunFolder(config)
    try:
        start = time.monotonic()
        # What was trained on other shards needs those.
        manifest = prepare(
            config, folder.data, replace=not folder.has_run, runner=runner, watch=ProgressLines()
        )
        seconds = time.monotonic() - start
    finally:
        folder.release()
    known = CorpusReport.__dataclass_fields__
    report = CorpusReport(**{k: v for k, v in manifest.report.items() if k in known})
    print(f"\n{report.to_markdown()}")
    print(f"{report.text_bytes / 1e6:,.1f} MB of text in {seconds:,.1f} s: {folder.data}")


def make_runner(name: str, processes: int | None, flags: Sequence[str]) -> Runner | LocalRunner:
    """What does the tasks.

    Args:
        name: `local`, or a runner of Beam's.
        processes: of the local runner, or of Beam's `DirectRunner`; None: 1.
        flags: Beam's own.

    Raises:
        InputError: flags without Beam, processes with a runner that has own flags for them, or Beam
            is not installed.

    Example:

    >>> make_runner("local", 1, ["--flink_master=host:8081"])
    Traceback (most recent call last):
    hierbert_tf.errors.InputError: '--flink_master=host:8081' is Beam's: name a --runner of Beam's.
    """
    if name == LOCAL:
        if flags:
            raise InputError(f"{flags[0]!r} is Beam's: name a --runner of Beam's.")
        return LocalRunner(1 if processes is None else processes)
    known = [f"--runner={name}", *flags]
    if processes is not None:
        if name != "DirectRunner":
            raise InputError(f"--processes is not for {name}: give its own flags after '--'.")
        known += [f"--direct_num_workers={processes}", "--direct_running_mode=multi_processing"]
    return BeamRunner(known)


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line and runs; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    flags: list[str] = []
    if "--" in given:
        flags = given[given.index("--") + 1 :]
        given = given[: given.index("--")]
    parser = argparse.ArgumentParser(
        prog="python -m hierbert_tf.recipes.prepare",
        description="Prepare the text of a run.",
        epilog="After '--': Beam's own flags.",
    )
    parser.add_argument(
        "--config", metavar="FILE", help="settings in YAML; default: the main recipe"
    )
    parser.add_argument(
        "--runner",
        default=LOCAL,
        metavar="NAME",
        help="local (default) or a runner of Beam's",
    )
    parser.add_argument("--processes", type=int, metavar="N", help="processes of this machine")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="such as seed=7")
    options = parser.parse_intermixed_args(given)

    def program() -> None:
        config = load_config(options.config, options.overrides)
        runner = make_runner(options.runner, options.processes, flags)
        if isinstance(runner, LocalRunner):
            with runner:
                prepare_text(config, runner)
        else:
            prepare_text(config, runner)

    with warnings.catch_warnings():
        return run_program(program)


if __name__ == "__main__":
    sys.exit(main())
