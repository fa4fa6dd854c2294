"""The stage of tokens: a chunk of sentences to the records of both splits."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hierbert_tf.corpus.chunk import read_chunk
from hierbert_tf.corpus.record_file import RecordFile, RecordWriter
from hierbert_tf.corpus.sentence_cache import CachedDocument
from hierbert_tf.corpus.tokenizer import WordPieceTokenizer
from hierbert_tf.corpus.vocabulary import Vocabulary

SPLITS = ("train", "held_out")
TRAIN_COUNTS = "train_counts.npy"

_BATCH_SENTENCES = 8192
_BATCH_CHARACTERS = 1 << 20


def tokenise_chunk(arguments: dict[str, Any], root: Path, folder: Path) -> dict[str, Any]:
    """Writes a chunk's records and counts their tokens.

    Args:
        arguments: `chunk`, folder and number; `first_document`, added to its documents' numbers;
            `threshold` of the split hashes; `vocabulary`, its file; `lowercase`; `token_dtype`;
            `shard_tokens`.
        root: the work folder.
        folder: where the records go.

    Returns:
        `unknown`, how many tokens are [UNK]; `documents` and `bytes` for the progress.
    """
    name, number = arguments["chunk"]
    tokenizer = _tokenizer(str(root / arguments["vocabulary"]), arguments["lowercase"])
    vocabulary = tokenizer.vocabulary
    counts = {split: np.zeros(len(vocabulary), np.int64) for split in SPLITS}
    writers = {
        split: RecordWriter(
            RecordFile(folder, split, arguments["token_dtype"]), arguments["shard_tokens"]
        )
        for split in SPLITS
    }
    documents = characters = 0
    for batch in _batches(read_chunk(root / name, number)):
        ragged = tokenizer.tokenize([s for document in batch for s in document.sentences])
        token_ids, lengths = ragged.flat_values.numpy(), ragged.row_lengths().numpy()
        sentence_ends = np.cumsum([len(document.sentences) for document in batch]).tolist()
        token_ends = np.cumsum(lengths)[np.array(sentence_ends) - 1].tolist()
        starts = zip([0, *sentence_ends[:-1]], [0, *token_ends[:-1]], strict=True)
        ends = zip(sentence_ends, token_ends, strict=True)
        of_split: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
        for document, (s, t), (s_end, t_end) in zip(batch, starts, ends, strict=True):
            split = "held_out" if document.split_hash < arguments["threshold"] else "train"
            writers[split].add(
                arguments["first_document"] + document.document_id,
                token_ids[t:t_end],
                lengths[s:s_end],
                document.is_pair,
            )
            of_split[split].append(token_ids[t:t_end])
            characters += sum(map(len, document.sentences))
        for split, parts in of_split.items():
            if parts:
                counts[split] += np.bincount(np.concatenate(parts), minlength=len(vocabulary))
        documents += len(batch)
    for writer in writers.values():
        writer.close()
    np.save(folder / TRAIN_COUNTS, counts["train"])
    unknown = sum(int(count[vocabulary.unknown_id]) for count in counts.values())
    return {"unknown": unknown, "documents": documents, "bytes": characters}


@lru_cache(maxsize=1)
def _tokenizer(path: str, lowercase: bool) -> WordPieceTokenizer:
    return WordPieceTokenizer(Vocabulary.load(path, lowercase))


def _batches(documents: Iterator[CachedDocument]) -> Iterator[list[CachedDocument]]:
    batch: list[CachedDocument] = []
    sentences = characters = 0
    for document in documents:
        batch.append(document)
        sentences += len(document.sentences)
        characters += sum(map(len, document.sentences))
        if sentences >= _BATCH_SENTENCES or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, sentences, characters = [], 0, 0
    if batch:
        yield batch
