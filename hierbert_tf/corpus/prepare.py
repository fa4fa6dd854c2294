"""From sources to shards: `prepare` makes the folder that training reads."""

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from hierbert_tf.config import RunConfig
from hierbert_tf.corpus.duplicates import DuplicateCounter
from hierbert_tf.corpus.hold_out import HoldOut
from hierbert_tf.corpus.preparation_hash import (
    preparation_record,
    preparation_settings,
    preparation_sha256,
)
from hierbert_tf.corpus.prepared_folder import (
    find_prepared,
    publish,
    remove_abandoned,
    work_folder,
)
from hierbert_tf.corpus.reader import read_documents, text_notice
from hierbert_tf.corpus.report import CorpusReport
from hierbert_tf.corpus.sentence_cache import CachedDocument, SentenceCache
from hierbert_tf.corpus.sentences import check_language, split_sentences
from hierbert_tf.corpus.statistics import ReadStatistics
from hierbert_tf.corpus.tokenizer import WordPieceTokenizer
from hierbert_tf.corpus.vocabulary import Vocabulary
from hierbert_tf.corpus.vocabulary_learner import learn_vocabulary
from hierbert_tf.data.manifest import Manifest
from hierbert_tf.data.shards import ShardWriter, save_token_counts
from hierbert_tf.errors import InputError
from hierbert_tf.storage import storage_error

VOCABULARY_FILE = "vocab.txt"
REPORT_FILE = "corpus_report.json"

Progress = Callable[[str, int], None]
"""Called now and then with a stage (`reading`, `vocabulary`, `tokens`) and the documents done."""

# A trainer's time and memory grow with the text; more would change few of the entries.
_VOCABULARY_CHARACTERS = 20_000_000
# 2^64 / golden ratio: its multiples fill the range evenly.
_GOLDEN = 0x9E3779B97F4A7C15
_BATCH_SENTENCES = 8192
_BATCH_CHARACTERS = 1 << 20
_EVERY = 1000


def prepare(
    config: RunConfig,
    folder: str | Path,
    progress: Progress | None = None,
    *,
    replace: bool = True,
) -> Manifest:
    """Prepares the corpus of a run, or finds it prepared.

    Sources are read once: their sentences are split, counted and kept in a compressed file; then
    the vocabulary is learnt from the training documents (or read), and all sentences are tokenised
    into shards. All is made in a folder beside and renamed: `folder` is always whole.
    Memory does not grow with the text: a vocabulary is learnt from 20 million characters, from
    sentences spread evenly over the training documents where there are more.

    Args:
        config: `corpus`, `vocabulary`, `seed` and `data.sequence_length` are used.
        folder: where the shards, `vocab.txt`, `manifest.json` and `corpus_report.json` go.
        progress: called with `(stage, documents)`.
        replace: replace a corpus in `folder` that was prepared from other text or settings. False
            where something belongs to its vocabulary and shards, such as a run's checkpoints.

    Returns:
        The manifest; when the folder's was made with the same settings and sources, that one.

    Raises:
        InputError: wrong settings, wrong or empty sources, a folder that cannot be written, that
            holds something else or, with `replace=False`, a corpus of other text or settings.
        RunStopped: the disk is full.
    """
    # Resolved: work is done beside the folder, under its own name, which "." has not.
    folder = Path(os.path.realpath(folder))
    check_language(config.corpus.language)
    if not config.corpus.sources:
        raise InputError("corpus.sources is empty: name at least one text.")
    if config.corpus.shard_tokens < 1:
        raise InputError(f"corpus.shard_tokens is {config.corpus.shard_tokens}: give 1 or more.")
    if config.data.sequence_length < 8:
        raise InputError(f"data.sequence_length is {config.data.sequence_length}: give 8 or more.")
    settings = preparation_settings(config)
    work = work_folder(folder)
    try:
        remove_abandoned(folder)
        prepared = find_prepared(folder, settings, replace)
        if prepared:
            return prepared
        work.mkdir(parents=True)
        manifest = _prepare_into(work, config, settings, progress or (lambda *_: None))
        publish(work, folder)
    except (OSError, tf.errors.OpError) as error:
        raise storage_error(error, folder) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest


def _prepare_into(
    work: Path, config: RunConfig, settings: dict[str, Any], progress: Progress
) -> Manifest:
    split = HoldOut(config.corpus.held_out_fraction, config.seed)
    cache = SentenceCache(work / "sentences.zst")
    report = _read(config, split, cache, progress)
    threshold = split.threshold()
    if config.vocabulary.path:
        vocabulary = Vocabulary.load(config.vocabulary.path, config.vocabulary.lowercase)
    else:
        progress("vocabulary", 0)
        share = min(1.0, _VOCABULARY_CHARACTERS / max(1, report.characters))
        vocabulary = learn_vocabulary(
            lambda: _training_sentences(cache, threshold, share),
            config.vocabulary.size,
            config.vocabulary.lowercase,
        )
    vocabulary.save(work / VOCABULARY_FILE)
    token_dtype = "uint16" if len(vocabulary) <= 1 << 16 else "int32"
    writers = {
        name: ShardWriter(
            work, name, token_dtype, config.corpus.shard_tokens, config.data.sequence_length
        )
        for name in ("train", "held_out")
    }
    counts = _tokenise(cache, threshold, WordPieceTokenizer(vocabulary), writers, progress)
    splits = {name: writer.split() for name, writer in writers.items()}
    if not splits["train"].tokens:
        raise InputError(f"the corpus ({_names(config)}) holds no token: nothing can be learnt.")
    cache.path.unlink()
    save_token_counts(work, counts["train"])
    report = dataclasses.replace(
        report,
        tokens=sum(part.tokens for part in splits.values()),
        unknown_tokens=int(sum(part[vocabulary.unknown_id] for part in counts.values())),
        vocabulary_size=len(vocabulary),
        held_out_documents=splits["held_out"].documents,
        held_out_tokens=splits["held_out"].tokens,
    )
    report.save(work / REPORT_FILE)
    manifest = Manifest(
        token_dtype=token_dtype,
        vocabulary_sha256=vocabulary.sha256,
        vocabulary_size=len(vocabulary),
        lowercase=vocabulary.lowercase,
        sequence_length=config.data.sequence_length,
        config_sha256=preparation_sha256(settings),
        splits=splits,
        report=report.to_dict(),
        text=report.texts,
        preparation=preparation_record(settings),
    )
    manifest.save(work)
    return manifest


def _names(config: RunConfig) -> str:
    return ", ".join(repr(source.tfds_name or source.path) for source in config.corpus.sources)


def _read(
    config: RunConfig, split: HoldOut, cache: SentenceCache, progress: Progress
) -> CorpusReport:
    """First pass: documents to sentences, counted and cached."""
    statistics, duplicates = ReadStatistics(), DuplicateCounter()
    documents = pairs = short = sentence_count = words = characters = 0
    split_hash = 0
    with cache:
        for source in config.corpus.sources:
            for document in read_documents(source, statistics):
                sentences = split_sentences(document, config.corpus.language)
                if not sentences:
                    continue
                for text in document.texts:
                    duplicates.add(text)
                if not document.continues:
                    split_hash = split.hash(document.split_key)
                    split.observe(split_hash)
                    documents += 1
                    pairs += document.is_pair
                    short += len(sentences) < 2
                    if documents % _EVERY == 0:
                        progress("reading", documents)
                sentence_count += len(sentences)
                words += sum(len(sentence.split()) for sentence in sentences)
                characters += sum(map(len, sentences))
                cache.write(CachedDocument(documents - 1, split_hash, document.is_pair, sentences))
    if not documents:
        raise InputError(f"the corpus is empty: no text in {_names(config)}.")
    progress("reading", documents)
    return CorpusReport(
        texts=tuple(asdict(text_notice(source)) for source in config.corpus.sources),
        **asdict(statistics),
        documents=documents,
        pairs=pairs,
        too_short_documents=short,
        sentences=sentence_count,
        words=words,
        characters=characters,
        duplicate_lines=duplicates.duplicates,
        duplicate_error=duplicates.false_share,
    )


def _training_sentences(cache: SentenceCache, threshold: int, share: float) -> Iterator[str]:
    """Sentences of the training documents: all, or a share spread evenly over each of them."""
    limit = int(share * (1 << 64))
    for document in cache:
        if document.split_hash < threshold:
            continue
        position = document.split_hash * _GOLDEN
        for sentence in document.sentences:
            position = (position + _GOLDEN) % (1 << 64)
            if position < limit:
                yield sentence


def _batches(cache: SentenceCache) -> Iterator[list[CachedDocument]]:
    batch: list[CachedDocument] = []
    sentences = characters = 0
    for document in cache:
        batch.append(document)
        sentences += len(document.sentences)
        characters += sum(map(len, document.sentences))
        if sentences >= _BATCH_SENTENCES or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, sentences, characters = [], 0, 0
    if batch:
        yield batch


def _tokenise(
    cache: SentenceCache,
    threshold: int,
    tokenizer: WordPieceTokenizer,
    writers: dict[str, ShardWriter],
    progress: Progress,
) -> dict[str, np.ndarray]:
    """Last pass: sentences to shards; returns each split's counts of tokens, int64 [V]."""
    done = 0
    counts = {name: np.zeros(len(tokenizer.vocabulary), np.int64) for name in writers}
    for batch in _batches(cache):
        ragged = tokenizer.tokenize([s for document in batch for s in document.sentences])
        token_ids, lengths = ragged.flat_values.numpy(), ragged.row_lengths().numpy()
        sentence_ends = np.cumsum([len(document.sentences) for document in batch])
        token_ends = np.cumsum(lengths)[sentence_ends - 1]
        starts = zip([0, *sentence_ends[:-1]], [0, *token_ends[:-1]], strict=True)
        ends = zip(sentence_ends, token_ends, strict=True)
        batch_ids: dict[str, list[np.ndarray]] = {name: [] for name in writers}
        for document, (s, t), (s_end, t_end) in zip(batch, starts, ends, strict=True):
            split = "held_out" if document.split_hash < threshold else "train"
            writers[split].add(
                document.document_id, token_ids[t:t_end], lengths[s:s_end], document.is_pair
            )
            batch_ids[split].append(token_ids[t:t_end])
        for split, parts in batch_ids.items():
            if parts:
                counts[split] += np.bincount(np.concatenate(parts), minlength=len(counts[split]))
        done += len(batch)
        progress("tokens", done)
    return counts
