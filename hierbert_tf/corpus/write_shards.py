"""The last stage: records to shard files."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from hierbert_tf.corpus.record_file import RecordFile
from hierbert_tf.data.shards import ShardWriter

SHARDS_AT_ONCE = 4
"""Shards that one task writes."""


def write_shards(arguments: dict[str, Any], root: Path, folder: Path) -> dict[str, Any]:
    """Writes some successive shards of a split.

    Args:
        arguments: `split`; `first`, number of the first shard; `shards`, `pieces` and
            `last_document` of each; `token_dtype`, `shard_tokens` and `sequence_length`.
        root: the work folder.
        folder: where the shards go.

    Returns:
        `shards`, a `ShardInfo` each; `documents` and `bytes` for the progress.
    """
    split, infos = arguments["split"], []
    for number, shard in enumerate(arguments["shards"], arguments["first"]):
        writer = ShardWriter(
            folder,
            split,
            arguments["token_dtype"],
            arguments["shard_tokens"],
            arguments["sequence_length"],
            first_shard=number,
            last_document=shard["last_document"],
        )
        for name, first, last in shard["pieces"]:
            for record in RecordFile(root / name, split, arguments["token_dtype"]).read(
                first, last
            ):
                writer.add(*record)
        (info,) = writer.close()
        infos.append(asdict(info))
    return {
        "shards": infos,
        "documents": sum(info["documents"] for info in infos),
        "bytes": sum(info["bytes"] for info in infos),
    }
