"""What a large pre-training run needs: disk, hours, network, input, checkpoints, lost work.

    python benchmarks/scaling.py [--gpus 8 64] [--lengths 128 512] [--gigabytes 16] [...]

Arithmetic only, no TensorFlow: every figure comes from the settings in the first table, which says
of each whether it was measured, read from a data sheet or assumed. Put in your own; see --help.
`docs/scaling.md` holds this program's output for its defaults, and a test compares the two.

    python benchmarks/scaling.py --prepared runs/mine/data      # bytes and tokens of own shards
    python benchmarks/scaling.py --time-checkpoint /mnt/shared  # MB/s of our writer to that disk
"""

import argparse
import dataclasses
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scaling_plan import Layout, Plan, checkpoint_bytes, parameters, ring_bytes, token_flop


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A markdown table; numbers stand to the right."""
    head = list(head)
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def number(value: float) -> str:
    """Three digits, thousands marked."""
    if isinstance(value, int) or value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def settings_table(plan: Plan, given: Iterable[str] = ()) -> str:
    """What the calculation is fed with."""
    given = set(given)
    rows = []
    for item in dataclasses.fields(plan):
        source = "given" if item.name in given else item.metadata["source"]
        option = f"`--{item.name.replace('_', '-')}`"
        rows.append([option, number(getattr(plan, item.name)), item.metadata["meaning"], source])
    return table(["option", "value", "meaning", "from"], rows)


def corpus_table(plan: Plan) -> str:
    """What does not depend on T and the GPUs."""
    tokens = plan.gigabytes * 1e9 / plan.text_bytes_a_token
    hours = plan.gigabytes * 1e3 / plan.preparation_rate / 3600
    count, size = parameters(plan), checkpoint_bytes(plan)
    rows = [
        ["WordPieces of the corpus", f"{tokens / 1e9:.2f} billion"],
        ["shards on disk", f"{tokens * plan.shard_bytes_a_token / 1e9:.1f} GB"],
        ["preparation, core hours", number(hours)],
        [
            f"preparation on {plan.preparation_cores} cores",
            f"{hours / plan.preparation_cores * 60:.1f} minutes",
        ],
        ["parameters", f"{count:,}"],
        ["checkpoint (weights and two moments, float32)", f"{size / 1e9:.2f} GB"],
        ["writing it", f"{size / plan.checkpoint_rate / 1e6:.1f} s"],
    ]
    return table(["the corpus and the model", ""], rows)


def layouts_table(layouts: list[Layout]) -> str:
    """One column for each T and number of GPUs."""
    plan = layouts[0].plan
    total = parameters(plan)
    networks = {
        "NVLink": plan.nvlink,
        f"{number(plan.fast_network)} Gb/s": plan.fast_network / 8,
        f"{number(plan.slow_network)} Gb/s": plan.slow_network / 8,
    }
    rows: dict[str, Any] = {
        "workers": lambda x: x.workers,
        "sequences a step": lambda x: f"{x.sequences:,}",
        "GFLOP a token, weights": lambda x: number(token_flop(plan, x.length)["weights"] / 1e9),
        "GFLOP a token, attention": lambda x: number(token_flop(plan, x.length)["attention"] / 1e9),
        "GFLOP a token, masked LM": lambda x: number(token_flop(plan, x.length)["masked LM"] / 1e9),
        "TFLOP a step": lambda x: number(x.step_flop / 1e12),
        "step, computing": lambda x: f"{x.compute_seconds * 1e3:.0f} ms",
        "all-reduce, bytes a GPU": lambda x: f"{ring_bytes(total, x.gpus) / 1e6:.0f} MB",
    }
    for name, speed in networks.items():
        rows[f"all-reduce over {name}"] = lambda x, speed=speed: (
            f"{x.sum_seconds(speed) * 1e3:.0f} ms"
        )
    rows |= {
        "step, computing and summing": lambda x: f"{x.step_seconds * 1e3:.0f} ms",
        "input needed of every worker": lambda x: f"{x.input_needed:,.0f} sequences/s",
        "cores for it, a worker": lambda x: f"{x.input_needed / x.input_rate_of_core:.1f}",
        "the same, reading own rows alone": lambda x: (
            f"{x.input_needed / x.workers / x.input_rate_of_core:.1f}"
        ),
        "read from disk, a worker": lambda x: (
            f"{x.input_needed * x.length * plan.shard_bytes_a_token / 1e6:.1f} MB/s"
        ),
        "batch copied to every GPU": lambda x: f"{x.batch_bytes / 1e6:.0f} MB",
        "GPUs at which the input is the limit": lambda x: f"{x.gpus_at_input_limit:,}",
        "steps": lambda x: f"{x.steps:,}",
        "days": lambda x: f"{x.steps * x.step_seconds / 86400:.2f}",
        "mean time between stops": lambda x: f"{x.failure_seconds / 3600:.1f} h",
        "checkpoint every": lambda x: f"{x.interval / 60:.1f} minutes",
        "`monitor.checkpoint_every`": lambda x: f"{x.interval / x.step_seconds:,.0f}",
        "time lost": lambda x: f"{x.lost_share:.1%}",
        "days with what is lost": lambda x: (
            f"{x.steps * x.step_seconds / 86400 / (1 - x.lost_share):.2f}"
            if x.lost_share < 1
            else "never ends"
        ),
    }
    head = ["", *(f"T {x.length}, {x.gpus} GPUs" for x in layouts)]
    return table(head, ([name, *map(cell, layouts)] for name, cell in rows.items()))


def read_prepared(folder: Path) -> dict[str, float]:
    """Bytes of text and of shards a token, of a prepared folder."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    report, splits = manifest["report"], manifest["splits"].values()
    tokens = sum(split["tokens"] for split in splits)
    shards = sum(shard["bytes"] for split in splits for shard in split["shards"])
    return {
        "text_bytes_a_token": report["text_bytes"] / tokens,
        "shard_bytes_a_token": shards / tokens,
    }


def time_checkpoint(folder: Path, plan: Plan) -> float:
    """MB/s of writing one checkpoint of the plan's size with the package's own writer."""
    import numpy as np

    from hierbert_tf.training.checkpoint import Checkpoint

    class Variable:
        """What `Checkpoint.write` asks of a variable."""

        def __init__(self, name: str, values: Any) -> None:
            self.name, self.values = name, values

        def numpy(self) -> Any:
            """The values."""
            return self.values

    own = Path(tempfile.mkdtemp(prefix="checkpoint-speed-", dir=folder))
    rng = np.random.default_rng(0)
    values = [
        Variable(name, rng.random(parameters(plan), dtype="float32"))
        for name in ("weights", "first_moment", "second_moment")
    ]
    try:
        begin = time.perf_counter()
        Checkpoint.write(own, 1, values[:1], values[1:], {})
        return checkpoint_bytes(plan) / 1e6 / (time.perf_counter() - begin)
    finally:
        shutil.rmtree(own)


def main(arguments: list[str] | None = None) -> int:
    """Prints the tables; exit code 2 for settings that make no sense."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lengths", type=int, nargs="+", default=[128, 512], metavar="T")
    parser.add_argument("--gpus", type=int, nargs="+", default=[8, 64], metavar="N")
    parser.add_argument("--prepared", type=Path, help="take the bytes a token from this folder")
    parser.add_argument("--time-checkpoint", type=Path, metavar="FOLDER", help="measure there")
    for item in dataclasses.fields(Plan):
        parser.add_argument(
            f"--{item.name.replace('_', '-')}",
            type=type(item.default),
            help=f"{item.metadata['meaning']} ({item.metadata['source']}: {item.default:,})",
        )
    options = vars(parser.parse_args(arguments))
    lengths, gpus, prepared, disk = (
        options.pop(name) for name in ("lengths", "gpus", "prepared", "time_checkpoint")
    )
    given = {name: value for name, value in options.items() if value is not None}
    try:
        if prepared:
            given = read_prepared(prepared) | given
    except (OSError, ValueError, KeyError, ZeroDivisionError):
        parser.error(f"{prepared}: no prepared text is here; give a run's data folder")
    wrong = [name for name, value in given.items() if value < 0] + [
        name
        for name, value in given.items()
        if value == 0 and name not in ("sequence_tasks", "transfers", "restart_minutes")
    ]
    if wrong or min(*lengths, *gpus) < 1:
        parser.error(f"{wrong[0] if wrong else 'lengths and gpus'} must be above zero")
    plan = Plan(**given)
    if max(lengths) > min(plan.positions, plan.tokens_a_gpu):
        parser.error("a length is above --positions or --tokens-a-gpu; lower it or raise those")
    if disk:
        plan = dataclasses.replace(plan, checkpoint_rate=time_checkpoint(disk, plan))
        given["checkpoint_rate"] = plan.checkpoint_rate
    layouts = [Layout(plan, length, count) for length in lengths for count in gpus]
    print(settings_table(plan, given), corpus_table(plan), layouts_table(layouts), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
