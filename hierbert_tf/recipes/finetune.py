r"""Fine-tunes a pre-trained encoder for a labelled task, over several seeds, and scores it.

    python -m hierbert_tf.recipes.finetune --model runs/mine --seeds 3 folder=runs/rte \
        data.train='[RTE/train.tsv]' data.evaluate.dev=RTE/dev.tsv
    python -m hierbert_tf.recipes.finetune --config squad.yaml --model runs/mine

The same command started again goes on: finished seeds are kept, a stopped one is resumed.
"""

import sys
from collections.abc import Sequence

import tensorflow as tf

from hierbert_tf.config_file import settings_sha256
from hierbert_tf.config_finetuning import (
    CLASSIFICATION,
    QUESTION_ANSWERING,
    FinetuningConfig,
)
from hierbert_tf.finetuning.check import check_finetuning
from hierbert_tf.finetuning.classification import TextClassification
from hierbert_tf.finetuning.encoder import StartingEncoder
from hierbert_tf.finetuning.question_answering import QuestionAnswering
from hierbert_tf.finetuning.results import baselines_table, write_results
from hierbert_tf.finetuning.run import finetune_seed
from hierbert_tf.finetuning.task import DownstreamTask
from hierbert_tf.recipes.command_line import Shortcut, run_with_settings
from hierbert_tf.recipes.run_folder import RunFolder
from hierbert_tf.storage import write_text

TASKS: dict[str, type[DownstreamTask]] = {
    CLASSIFICATION: TextClassification,
    QUESTION_ANSWERING: QuestionAnswering,
}

DESCRIPTION = "Fine-tune a pre-trained encoder for text classification or questions."
MODEL = Shortcut("--model", "RUN", "model.path", "pre-training run")
SEEDS = Shortcut("--seeds", "N", "seeds", "how many seeds", int)


def finetune(config: FinetuningConfig, *, from_scratch: bool = False) -> int:
    """Runs all seeds and writes the table.

    Args:
        config: the settings.
        from_scratch: set an earlier run in the folder aside.

    Returns:
        0, or 143 or 130 after a SIGTERM or Ctrl-C.

    Raises:
        InputError: something in the settings or the examples is wrong.
        RunStopped: a loss was not finite, or the disk was full.
    """
    check_finetuning(config)
    folder = RunFolder(config)
    try:
        if from_scratch and (aside := folder.set_aside()):
            print(f"the earlier run is kept in {aside}")
        folder.check_settings()
        return _finetune(config, folder)
    finally:
        folder.release()


def _finetune(config: FinetuningConfig, folder: RunFolder) -> int:
    if config.training.deterministic:
        tf.config.experimental.enable_op_determinism()
    encoder = StartingEncoder(config.model, config.training.precision)
    task = TASKS[config.task](config, encoder)
    counts = "\n\n".join(count.to_markdown() for count in task.counts)
    print(f"{counts}\n", flush=True)
    folder.claim()
    write_text(folder.path / "examples.md", counts + "\n")
    facts = {
        "encoder": config.model.path + (" (random weights)" if config.model.random_weights else ""),
        "trained on": ", ".join(config.data.train),
        "settings": settings_sha256(config)[:12],
    }
    scores, commits = {}, {}
    for seed in range(config.seed, config.seed + config.seeds):
        result = finetune_seed(config, task, seed, folder.path / f"seed_{seed}", facts)
        if result.exit_code:
            print(f"stopped in seed {seed}, saved; the same command goes on from there")
            return result.exit_code
        commits[result.commit] = seed
        scores[seed] = {name: metrics for name, metrics in result.scores.items() if metrics}
        for name, metrics in scores[seed].items():
            shown = ", ".join(f"{key} {value:.4g}" for key, value in metrics.items())
            print(f"seed {seed}, {name}: {shown}", flush=True)
    if any(scores.values()):
        facts["commit"] = " ".join(commits)
        print(f"\n{write_results(folder.path, scores, facts)}")
        print(f"without an encoder:\n\n{_baselines(folder, task)}\n")
    print(f"models: {folder.path}/seed_*/model   reports: {folder.path}/seed_*/*/report.html")
    return 0


def _baselines(folder: RunFolder, task: DownstreamTask) -> str:
    """The baselines' table, made once."""
    path = folder.path / "baselines.md"
    if not path.exists():
        write_text(path, baselines_table(task.baselines()) + "\n")
    return path.read_text(encoding="utf-8").rstrip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line and runs; returns the exit code."""
    return run_with_settings(
        finetune,
        FinetuningConfig,
        "hierbert_tf.recipes.finetune",
        DESCRIPTION,
        [MODEL, SEEDS],
        arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
