"""The stages of the vocabulary: a sample of each chunk, and one vocabulary of all samples."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hierbert_tf.corpus.chunk import read_chunk, sentences_path
from hierbert_tf.corpus.sentence_cache import CachedDocument, SentenceCache
from hierbert_tf.corpus.vocabulary import Vocabulary
from hierbert_tf.corpus.vocabulary_learner import learn_vocabulary

VOCABULARY_FILE = "vocab.txt"

VOCABULARY_CHARACTERS = 20_000_000
"""Characters to learn from: time and memory grow with them, and more would change few entries."""

# 2^64 / golden ratio: its multiples fill the range evenly.
_GOLDEN = 0x9E3779B97F4A7C15


def sampled_sentences(document: CachedDocument, share: float) -> list[str]:
    """All sentences of a document, or a share spread evenly over it.

    Example:

    >>> document = CachedDocument(0, 1 << 63, False, [str(i) for i in range(10)])
    >>> len(sampled_sentences(document, 1.0)), sampled_sentences(document, 0.3)
    (10, ['0', '5', '8'])
    """
    limit = int(share * (1 << 64))
    position = document.split_hash * _GOLDEN
    kept = []
    for sentence in document.sentences:
        position = (position + _GOLDEN) % (1 << 64)
        if position < limit:
            kept.append(sentence)
    return kept


def sample_chunk(arguments: dict[str, Any], root: Path, folder: Path) -> dict[str, Any]:
    """Writes the training sentences of a chunk that the vocabulary is learnt from.

    Args:
        arguments: `chunk`, folder and number; `threshold` of the split hashes; `share` of the
            sentences.
        root: the work folder.
        folder: where the sample goes, as a chunk of that number 0.

    Returns:
        `documents` and `bytes` for the progress.
    """
    name, number = arguments["chunk"]
    documents = characters = 0
    with SentenceCache(sentences_path(folder, 0)) as cache:
        for document in read_chunk(root / name, number):
            documents += 1
            characters += sum(map(len, document.sentences))
            if document.split_hash < arguments["threshold"]:
                continue
            if kept := sampled_sentences(document, arguments["share"]):
                cache.write(CachedDocument(document.document_id, 0, False, kept))
    return {"documents": documents, "bytes": characters}


def learn_from_samples(arguments: dict[str, Any], root: Path, folder: Path) -> dict[str, Any]:
    """Writes `vocab.txt`: learnt from the samples, or the given one.

    Args:
        arguments: `samples`, folders of `sample_chunk`, `size` and `lowercase`; or `path` of a
            vocabulary, and `lowercase`.
        root: the work folder.
        folder: where the file goes.

    Returns:
        Nothing that is needed.

    Raises:
        InputError: the vocabulary is too small or broken, or there is no text.
    """
    if arguments.get("path"):
        Vocabulary.load(arguments["path"], arguments["lowercase"]).save(folder / VOCABULARY_FILE)
        return {}

    def sentences() -> Iterator[str]:
        for name in arguments["samples"]:
            for document in read_chunk(root / name, 0):
                yield from document.sentences

    vocabulary = learn_vocabulary(sentences, arguments["size"], arguments["lowercase"])
    vocabulary.save(folder / VOCABULARY_FILE)
    return {}
