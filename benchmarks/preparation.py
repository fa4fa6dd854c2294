"""Speed and peak memory of corpus preparation, for a text and for ten times that text.

    python benchmarks/preparation.py [--text FOLDER] [--megabytes 5] [--factor 10]

Without `--text` a synthetic text is made: words of a Zipf distribution over a vocabulary that grows
with the text, as natural text's does. With it, the folder's text files are read in order, and
repeated where they do not suffice. Each preparation runs in a fresh process, which reports its own
peak memory; the baseline is a process that only imports what preparation needs.
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


def measure(path: Path | None) -> dict:
    """In this process: prepares `path`, or nothing, and returns seconds and peak memory."""
    from hierbert_tf.config import CorpusConfig, RunConfig, SourceConfig
    from hierbert_tf.corpus.prepare import prepare

    stages: list[tuple[str, float]] = []
    start = time.perf_counter()

    def progress(stage: str, _: int) -> None:
        stages.append((stage, time.perf_counter()))

    manifest = None
    if path:
        config = RunConfig(corpus=CorpusConfig(sources=(SourceConfig(path=str(path)),)))
        with tempfile.TemporaryDirectory() as folder:
            cpu = time.process_time()
            manifest = prepare(config, Path(folder) / "corpus", progress)
            cpu = time.process_time() - cpu
    end = time.perf_counter()
    result = {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    if manifest:
        reading = [seen for stage, seen in stages if stage == "reading"]
        tokens = [seen for stage, seen in stages if stage == "tokens"]
        learning = next(seen for stage, seen in stages if stage == "vocabulary")
        result |= {
            "seconds": end - start,
            "cpu": cpu,
            "reading": reading[-1] - start,
            "vocabulary and first batch": tokens[0] - learning,
            "tokens": end - tokens[0],
            "megabytes": path.stat().st_size / 1e6 if path else 0.0,
            "tokens written": sum(split.tokens for split in manifest.splits.values()),
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path)
    parser.add_argument("--megabytes", type=float, default=5.0)
    parser.add_argument("--factor", type=int, default=10)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure is not None:
        print(json.dumps(measure(Path(arguments.measure) if arguments.measure else None)))
        return
    with tempfile.TemporaryDirectory() as folder:
        results = []
        for factor in (0, 1, arguments.factor):
            path = Path(folder) / f"{factor}.txt"
            if factor and arguments.text:
                write_sample(path, arguments.text, factor * arguments.megabytes)
            elif factor:
                write_synthetic(path, factor * arguments.megabytes)
            output = subprocess.run(
                [sys.executable, __file__, "--measure", str(path) if factor else ""],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            results.append(json.loads(output.splitlines()[-1]))
    empty, small, large = results
    print(
        "| text MB | seconds | MB/s | MB/s of CPU time | reading | learning | tokens | peak MiB |"
    )
    print(
        "|--------:|--------:|-----:|-----------------:|--------:|---------:|-------:|---------:|"
    )
    for row in (small, large):
        print(
            f"| {row['megabytes']:.1f} | {row['seconds']:.1f} "
            f"| {row['megabytes'] / row['seconds']:.2f} | {row['megabytes'] / row['cpu']:.2f} "
            f"| {row['reading']:.1f} s | {row['vocabulary and first batch']:.1f} s "
            f"| {row['tokens']:.1f} s | {row['peak']:.0f} |"
        )
    print(
        f"\nPeak memory for {arguments.factor} x the text: {large['peak'] / small['peak']:.2f} x; "
        f"above the {empty['peak']:.0f} MiB of the imports: "
        f"{small['peak'] - empty['peak']:.0f} and {large['peak'] - empty['peak']:.0f} MiB."
    )


if __name__ == "__main__":
    main()
