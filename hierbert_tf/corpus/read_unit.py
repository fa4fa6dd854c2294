"""First stage: a unit of the sources to chunks of sentences."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from hierbert_tf.config import SourceConfig
from hierbert_tf.corpus.chunk import ChunkWriter
from hierbert_tf.corpus.hold_out import HoldOut
from hierbert_tf.corpus.reader import read_part
from hierbert_tf.corpus.sentence_cache import CachedDocument
from hierbert_tf.corpus.sentences import sentences_by_text
from hierbert_tf.corpus.span import Span
from hierbert_tf.corpus.statistics import ReadStatistics


def read_unit(arguments: dict[str, Any], _: Path, folder: Path) -> dict[str, Any]:
    """Reads, cleans and splits the documents of a unit.

    Args:
        arguments: `source` and `parts` of a `Unit`, `language`, `seed`.
        folder: where the chunks go.

    Returns:
        `chunks`, the counts of each; `numbers`, how many document numbers they use; `statistics`
        of reading; `documents` and `bytes` for the progress.

    Raises:
        InputError: a file is missing or broken.
    """
    source = SourceConfig(**arguments["source"] | {"fields": tuple(arguments["source"]["fields"])})
    statistics = ReadStatistics()
    split = HoldOut(0.0, arguments["seed"])
    writer = ChunkWriter(folder)
    number, split_hash, begun = -1, 0, False
    for path, start, end in arguments["parts"]:
        place = Path(path) if path else None
        for document in read_part(source, place, statistics, Span(start, end)):
            begun = begun and document.continues
            parts = sentences_by_text(document, arguments["language"])
            sentences = [sentence for part in parts for sentence in part]
            if not sentences:
                continue
            if not begun:
                number += 1
                split_hash = split.hash(document.split_key)
            cached = CachedDocument(
                number, split_hash, document.is_pair, sentences, tuple(map(len, parts))
            )
            writer.add(cached, document.texts, begins=not begun)
            begun = True
    chunks = writer.close()
    return {
        "chunks": chunks,
        "numbers": number + 1,
        "statistics": asdict(statistics),
        "documents": sum(chunk["documents"] for chunk in chunks),
        "bytes": statistics.text_bytes,
    }
