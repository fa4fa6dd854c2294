r"""Asks what each layer of an encoder knows: probing tasks over every layer's vectors.

    python -m hierbert_tf.recipes.probe --model runs/mine --data data/probing
    python -m hierbert_tf.recipes.probe --model runs/mine --data data/probing --seeds 3 \
        classifier.kind=logistic_regression

The same command started again goes on: the tasks and seeds that are done are kept.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hierbert_tf.config_file import settings_sha256
from hierbert_tf.config_probing import ProbingConfig
from hierbert_tf.errors import InputError
from hierbert_tf.probing.check import check_probing
from hierbert_tf.probing.example_files import find_probing_tasks, read_probing_task
from hierbert_tf.probing.load_probed import load_probed
from hierbert_tf.probing.results import write_probing_results
from hierbert_tf.probing.run import ProbingRun
from hierbert_tf.probing.tensorboard import write_probing_tensorboard
from hierbert_tf.recipes.command_line import Shortcut, run_with_settings
from hierbert_tf.recipes.run_folder import RunFolder
from hierbert_tf.storage import write_text

DESCRIPTION = "Probe what each layer of an encoder knows."
MODEL = Shortcut("--model", "RUN", "model.path", "run, preset, .keras file or vectors")
DATA = Shortcut("--data", "DIR", "data", "folder of the tasks' files")
SEEDS = Shortcut("--seeds", "N", "seeds", "how many seeds", int)


def probe(config: ProbingConfig, *, from_scratch: bool = False) -> int:
    """Probes the encoder with every task and writes the tables and figures.

    Args:
        config: the settings.
        from_scratch: set earlier results in the folder aside; the cached vectors stay.

    Returns:
        0.

    Raises:
        InputError: something in the settings, the tasks or the encoder is wrong.
        RunStopped: the disk is full.
    """
    check_probing(config)
    if not config.folder:
        config = replace(config, folder=str(_folder_beside(config.model.path)))
    folder = RunFolder(config)
    try:
        if from_scratch and (aside := folder.set_aside()):
            print(f"the earlier results are kept in {aside}")
        folder.check_settings()
        return _probe(config, folder)
    finally:
        folder.release()


def _probe(config: ProbingConfig, folder: RunFolder) -> int:
    paths = find_probing_tasks(config.data, config.tasks, config.word_level)
    # All files are read before the first is probed: a fault in the last one is found at once.
    tasks = [read_probing_task(path, path.stem in config.word_level) for path in paths]
    counts = "\n\n".join(task.counts.to_markdown() for task in tasks)
    print(f"{counts}\n", flush=True)
    run = ProbingRun(config, load_probed(config.model), folder.path)
    folder.claim()
    write_text(folder.path / "examples.md", counts + "\n")
    scores = [score for task in tasks for score in run.scores(task)]
    facts = {
        "probed": config.model.path,
        "settings": settings_sha256(config)[:12],
        "commit": " ".join(run.commits),
    }
    table = write_probing_results(folder.path, scores, facts, run.heads)
    write_probing_tensorboard(folder.path / "tensorboard", scores, run.heads, table)
    print(f"\n{table}")
    print(f"scores: {folder.path}/scores.csv   figures: {folder.path}/*.png")
    return 0


def _folder_beside(model: str) -> Path:
    """Where results go if no folder is named: beside the model that they are about."""
    path = Path(model)
    if path.is_dir():
        return path / "probing"
    if path.is_file():
        return path.with_suffix("") / "probing"
    raise InputError(
        f"model.path: there is no {model}; for an encoder that is not on this disk give folder=..."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line and runs; returns the exit code."""
    return run_with_settings(
        probe,
        ProbingConfig,
        "hierbert_tf.recipes.probe",
        DESCRIPTION,
        [MODEL, DATA, SEEDS],
        arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
