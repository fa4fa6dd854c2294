r"""Exports a model as a SavedModel that takes strings, for TensorFlow Serving.

    python -m hierbert_tf.recipes.export --model runs/rte/seed_1 --to saved_models/rte/1
    python -m hierbert_tf.recipes.export --model runs/mine --to saved_models/mine/1 \
        embed.layer=4 embed.pooling=mean weights=bfloat16

The export is compared in a fresh process with the model in memory before it appears.
"""

import sys
from collections.abc import Sequence

from hierbert_tf.config_export import ExportConfig
from hierbert_tf.recipes.command_line import Shortcut, run_with_settings
from hierbert_tf.serving import export as serving_export

DESCRIPTION = "Export a model as a SavedModel that takes strings, for TensorFlow Serving."
MODEL = Shortcut("--model", "RUN", "model", "run, seed of a run, preset or .keras file")
TO = Shortcut("--to", "DIR", "to", "saved_models/NAME/VERSION")


def export(config: ExportConfig) -> int:
    """Exports a model and says what was written.

    Args:
        config: the settings.

    Returns:
        0.

    Raises:
        InputError: a setting does not fit, or the version exists.
        RunStopped: the export differs from the model, or the disk is full.
    """
    done = serving_export.export(config)
    print(
        f"{done.folder}: {', '.join(done.signatures)}; {done.megabytes:.1f} MB\n"
        f"serving_default is {done.signatures[0]}\n"
        f"compared with the model in memory on {done.checked} requests in a fresh process: "
        f"largest difference {done.largest_difference:.2g}"
    )
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line and runs; returns the exit code."""
    return run_with_settings(
        export,
        ExportConfig,
        "hierbert_tf.recipes.export",
        DESCRIPTION,
        [MODEL, TO],
        arguments,
        resumes=False,
    )


if __name__ == "__main__":
    sys.exit(main())
