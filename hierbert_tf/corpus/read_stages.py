"""The first stages: sources to chunks of sentences, counted, on request without repetitions."""

from dataclasses import asdict, dataclass
from typing import Any

from hierbert_tf.config import CorpusConfig, RunConfig
from hierbert_tf.corpus.duplicate_lines import bucket_ranges, find_duplicates
from hierbert_tf.corpus.read_unit import read_unit
from hierbert_tf.corpus.reader import text_notice
from hierbert_tf.corpus.remove_duplicates import remove_duplicates
from hierbert_tf.corpus.report import CorpusReport
from hierbert_tf.corpus.stage_runner import StageRunner
from hierbert_tf.corpus.task import Task
from hierbert_tf.corpus.units import plan_units
from hierbert_tf.errors import InputError


@dataclass(frozen=True)
class Chunk:
    """A chunk in corpus order.

    Args:
        folder: its unit's, below the work folder.
        number: its number there.
        first_document: what is added to its documents' numbers.
        counts: what it holds.
    """

    folder: str
    number: int
    first_document: int
    counts: dict[str, int]

    def arguments(self) -> dict[str, Any]:
        """What a task needs to read it."""
        return {"chunk": [self.folder, self.number], "first_document": self.first_document}


def read_sources(
    stages: StageRunner, config: RunConfig, settings: dict[str, Any]
) -> tuple[list[Chunk], CorpusReport]:
    """Reads the corpus.

    Args:
        stages: has the tasks done.
        config: `corpus` and `seed` are used.
        settings: `preparation_settings` of it.

    Returns:
        The chunks in corpus order, and the report, as far as it is known before tokenising.

    Raises:
        InputError: wrong, broken or empty sources.
    """
    corpus = config.corpus
    common = {"language": corpus.language, "seed": config.seed}
    versions = {name: settings[name] for name in ("readers", "splitter")}
    tasks = []
    for i, unit in enumerate(plan_units(corpus.sources, settings["files"])):
        # A file counts by its bytes, wherever it stands; of TFDS the path is all that is known.
        source = asdict(unit.source) | ({"path": ""} if unit.identity else {})
        identity = [common, versions, source, unit.identity]
        tasks.append(stages.task("read", i, read_unit, unit.arguments() | common, identity))
    units = stages.run(tasks, "reading")
    statistics = {
        name: sum(unit["statistics"][name] for unit in units) for name in units[0]["statistics"]
    }
    chunks = _chunks(tasks, units)
    repeated, duplicates = _find_duplicates(stages, chunks, corpus)
    removed = 0
    if corpus.remove_duplicates:
        tasks = _removals(stages, tasks, units, repeated)
        units = stages.run(tasks)
        chunks = _chunks(tasks, units)
        removed = sum(unit["removed"] for unit in units)
    total = {
        name: sum(chunk.counts[name] for chunk in chunks)
        for name in ("documents", "pairs", "sentences", "words", "characters", "short")
    }
    if not total["documents"]:
        names = ", ".join(repr(source.tfds_name or source.path) for source in corpus.sources)
        raise InputError(f"the corpus is empty: no text in {names}.")
    return chunks, CorpusReport(
        texts=tuple(asdict(text_notice(source)) for source in corpus.sources),
        **statistics,
        too_short_documents=total.pop("short"),
        **total,
        duplicate_lines=duplicates,
        removed_duplicates=removed,
    )


def _find_duplicates(
    stages: StageRunner, chunks: list[Chunk], corpus: CorpusConfig
) -> tuple[list[Task], int]:
    """The tasks that listed the repeated lines, and how many those are."""
    if not chunks:
        return [], 0
    ranges = bucket_ranges(sum(chunk.counts["lines"] for chunk in chunks))
    common = {
        "chunks": [(chunk.folder, chunk.number) for chunk in chunks],
        "remove": corpus.remove_duplicates,
    }
    tasks = [
        stages.task("duplicates", i, find_duplicates, common | {"first": first, "last": last})
        for i, (first, last) in enumerate(ranges)
    ]
    return tasks, sum(result["duplicates"] for result in stages.run(tasks))


def _removals(
    stages: StageRunner, read: list[Task], units: list[dict[str, Any]], repeated: list[Task]
) -> list[Task]:
    tasks: list[Task] = []
    first = 0
    for i, (task, unit) in enumerate(zip(read, units, strict=True)):
        arguments = {
            "unit": task.name,
            "chunks": len(unit["chunks"]),
            "first_chunk": first,
            "numbers": unit["numbers"],
            "repeated": [task.name for task in repeated],
        }
        tasks.append(stages.task("remove", i, remove_duplicates, arguments))
        first += len(unit["chunks"])
    return tasks


def _chunks(tasks: list[Task], units: list[dict[str, Any]]) -> list[Chunk]:
    chunks, first_document = [], 0
    for task, unit in zip(tasks, units, strict=True):
        chunks += [
            Chunk(task.name, number, first_document, counts)
            for number, counts in enumerate(unit["chunks"])
        ]
        first_document += unit["numbers"]
    return chunks
