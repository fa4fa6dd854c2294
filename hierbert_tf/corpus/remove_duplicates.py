"""The stage on request: a unit's chunks without the paragraphs and pairs that occurred before."""

from pathlib import Path
from typing import Any

from hierbert_tf.corpus.chunk import ChunkWriter, line_kinds, read_chunk
from hierbert_tf.corpus.duplicate_lines import repeated_places
from hierbert_tf.corpus.sentence_cache import CachedDocument


def remove_duplicates(arguments: dict[str, Any], root: Path, folder: Path) -> dict[str, Any]:
    """Writes a unit again, without its repeated lines; documents keep their numbers.

    A document of which nothing is left goes; of a document cut into pieces the first that is left
    begins it.

    Args:
        arguments: `unit`, folder of the unit; `chunks`, how many it has; `first_chunk`, number of
            the first in the corpus; `repeated`, folders of `find_duplicates`.
        root: the work folder.
        folder: where the chunks go.

    Returns:
        `chunks`, `numbers`, `documents` and `bytes` as `read_unit`, and `removed`, the paragraphs
        and pairs left out.
    """
    writer = ChunkWriter(folder, with_lines=False)
    removed, last, read = 0, -1, 0
    for number in range(arguments["chunks"]):
        repeated = repeated_places(root, arguments["repeated"], arguments["first_chunk"] + number)
        place = 0
        for document in read_chunk(root / arguments["unit"], number):
            read += sum(map(len, document.sentences))
            count = len(line_kinds(document.is_pair, len(document.paragraphs)))
            gone = {line for line in range(count) if place + line in repeated}
            place += count
            removed += len(gone)
            kept = _without(document, gone)
            if kept is not None:
                writer.add(kept, (), begins=kept.document_id != last)
                last = kept.document_id
    chunks = writer.close()
    return {
        "chunks": chunks,
        "numbers": arguments["numbers"],
        "removed": removed,
        "documents": sum(chunk["documents"] for chunk in chunks),
        "bytes": read,
    }


def _without(document: CachedDocument, gone: set[int]) -> CachedDocument | None:
    """The document without these lines; None: nothing is left."""
    if not gone:
        return document
    if document.is_pair:  # only the pair as a whole is ever removed
        return None
    sentences: list[str] = []
    paragraphs: list[int] = []
    start = 0
    for line, count in enumerate(document.paragraphs):
        if line not in gone:
            sentences += document.sentences[start : start + count]
            paragraphs.append(count)
        start += count
    if not sentences:
        return None
    return CachedDocument(
        document.document_id, document.split_hash, False, sentences, tuple(paragraphs)
    )
