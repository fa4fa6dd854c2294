"""Speed and peak memory of corpus preparation, by size of the text and number of processes.

    python benchmarks/preparation.py [--text FOLDER] [--megabytes 5] [--factors 1 10]
        [--processes 1 2]

Without `--text` a synthetic text is made: words of a Zipf distribution over a vocabulary that grows
with the text, as natural text's does. With it, the folder's text files are read in order, and
repeated where they do not suffice. Each preparation runs in a fresh process, which reports its own
peak memory and that of the largest of its children; the baseline is a process that only imports
what preparation needs. CPU time is that of all processes, without their imports: on a machine that
other work shares it is the steadier measure.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CONSONANTS, VOWELS = "bcdfghjklmnprstvw", "aeiou"


def word(number: int) -> str:
    """A pronounceable word for each number."""
    letters = ""
    while True:
        number, consonant = divmod(number, len(CONSONANTS))
        number, vowel = divmod(number, len(VOWELS))
        letters += CONSONANTS[consonant] + VOWELS[vowel]
        if not number:
            return letters


def write_synthetic(path: Path, megabytes: float) -> None:
    random = np.random.default_rng(0)
    with open(path, "w", encoding="utf-8") as file:
        size = 0
        while size < megabytes * 1e6:
            sentences = []
            for length in random.integers(6, 30, random.integers(3, 12)):
                words = [word(int(n)) for n in np.minimum(random.zipf(1.4, length), 10**7)]
                sentences.append(" ".join(words).capitalize() + ".")
            size += file.write(" ".join(sentences) + "\n\n")


def write_sample(path: Path, folder: Path, megabytes: float) -> None:
    with open(path, "wb") as file:
        size = 0
        while size < megabytes * 1e6:
            for source in sorted(folder.rglob("*.txt")):
                size += file.write(source.read_bytes() + b"\n\n")
                if size >= megabytes * 1e6:
                    break


def cpu_seconds() -> float:
    """Of this process and its ended children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(path: Path | None, processes: int) -> dict:
    """In this process: prepares `path`, or nothing; returns seconds, CPU seconds, peak memory."""
    from hierbert_tf.config import CorpusConfig, RunConfig, SourceConfig
    from hierbert_tf.corpus.prepare import prepare
    from hierbert_tf.corpus.runner import LocalRunner

    imports = cpu_seconds()
    stages: dict[str, float] = {}
    start = time.perf_counter()
    if path:
        config = RunConfig(corpus=CorpusConfig(sources=(SourceConfig(path=str(path)),)))
        with tempfile.TemporaryDirectory() as folder, LocalRunner(processes) as runner:
            prepare(
                config,
                Path(folder) / "corpus",
                runner=runner,
                watch=lambda progress: stages.update({progress.stage: progress.seconds}),
            )
    children = processes if processes > 1 else 0
    return {
        "processes": processes,
        "peak": max(
            resource.getrusage(who).ru_maxrss / 1024
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        ),
        "seconds": time.perf_counter() - start,
        "cpu": cpu_seconds() - imports * (1 + children),
        "megabytes": path.stat().st_size / 1e6 if path else 0.0,
        "stages": stages,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path)
    parser.add_argument("--megabytes", type=float, default=5.0)
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure is not None:
        path, processes = arguments.measure
        print(json.dumps(measure(Path(path) if path else None, int(processes))))
        return
    stages = ("read", "duplicates", "sample", "vocabulary", "tokens", "shards")
    print(
        "| text MB | processes | seconds | MB/s | CPU seconds | MB a CPU second | peak MiB | "
        + " | ".join(f"{stage} s" for stage in stages)
        + " |\n|" + "---:|" * (7 + len(stages))
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for factor in (0, *arguments.factors):
            path = Path(folder) / f"{factor}.txt"
            if factor and arguments.text:
                write_sample(path, arguments.text, factor * arguments.megabytes)
            elif factor:
                write_synthetic(path, factor * arguments.megabytes)
            for processes in arguments.processes if factor else [1]:
                output = subprocess.run(
                    [sys.executable, __file__, "--measure", str(path) if factor else "",
                     str(processes)],
                    stdout=subprocess.PIPE, text=True, check=True,
                ).stdout  # fmt: skip
                row = json.loads(output.splitlines()[-1])
                size = row["megabytes"]
                speed = (size / max(row[key], 1e-9) for key in ("seconds", "cpu"))
                wall, cpu = (f"{value:.2f}" for value in speed)
                print(
                    f"| {size:.1f} | {processes} | {row['seconds']:.1f} | {wall} "
                    f"| {row['cpu']:.1f} | {cpu} | {row['peak']:.0f} | "
                    + " | ".join(f"{row['stages'].get(stage, 0):.1f}" for stage in stages)
                    + " |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
