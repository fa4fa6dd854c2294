"""Learning a WordPiece vocabulary: the same text gives the same ids in any process."""

import unicodedata
from collections.abc import Callable, Iterable

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from hierbert_tf.corpus.vocabulary import SPECIAL_TOKENS, Vocabulary, is_punctuation
from hierbert_tf.errors import InputError

_LARGEST_ALPHABET = 1000
_BATCH_CHARACTERS = 1 << 20
_LONGEST_WORD = 100


def learn_vocabulary(
    sentences: Callable[[], Iterable[str]], size: int, lowercase: bool = True
) -> Vocabulary:
    """Learns a WordPiece vocabulary with Hugging Face's trainer.

    The trainer numbers characters in the order of a hash map, which differs from process to
    process, and breaks ties between equally frequent pieces by these numbers. Here the whole
    alphabet is given to it in sorted order, so that no number depends on a hash map; and the
    result is sorted: special tokens, characters, longer pieces.

    Args:
        sentences: called twice; each call yields the same sentences.
        size: entries V, special tokens included. Short texts give fewer.
        lowercase: lower-case and strip accents.

    Raises:
        InputError: `size` cannot hold the special tokens and one character, or there is no text.

    Example:

    >>> learn_vocabulary(lambda: ["low lower lowest"] * 9, size=30).tokens[5:9]
    ('e', 'l', 'o', 'r')
    """
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    alphabet = _alphabet(_character_counts(sentences()), normalizer, size)
    if not alphabet:
        raise InputError("no vocabulary can be learnt: the training documents hold no text.")
    # Punctuation and Chinese characters are words of their own and never continue one.
    continuing = [f"##{c}" for c in alphabet if not is_punctuation(c) and not _is_chinese(c)]
    given = [*SPECIAL_TOKENS, *alphabet, *continuing]
    if len(given) > size:
        raise InputError(
            f"vocabulary.size {size} is too small: special tokens and characters alone need "
            f"{len(given)} entries."
        )
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # type: ignore[call-arg]
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=given,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_without_long_words(sentences()), trainer)
    learnt = tokenizer.get_vocab()
    longer = sorted(set(learnt) - set(given))
    return Vocabulary([*given, *longer], lowercase, "the learnt vocabulary")


def _batches(sentences: Iterable[str]) -> Iterable[str]:
    batch: list[str] = []
    characters = 0
    for sentence in sentences:
        batch.append(sentence)
        characters += len(sentence)
        if characters >= _BATCH_CHARACTERS:
            yield " ".join(batch)
            batch, characters = [], 0
    yield " ".join(batch)


def _character_counts(sentences: Iterable[str]) -> np.ndarray:
    """Int64 [0x110000]: how often each code point occurs; NumPy counts 10 x as fast as Python."""
    counts = np.zeros(0x110000, np.int64)
    for batch in _batches(sentences):
        seen = np.bincount(np.frombuffer(batch.encode("utf-32-le"), "<u4"))
        counts[: len(seen)] += seen
    return counts


def _alphabet(counts: np.ndarray, normalizer: normalizers.Normalizer, size: int) -> list[str]:
    """Sorted characters of the normalised text; the most frequent ones where there are too many."""
    normalised: dict[str, int] = {}
    for point in np.nonzero(counts)[0]:
        for character in normalizer.normalize_str(chr(point)):
            if not character.isspace():
                normalised[character] = normalised.get(character, 0) + int(counts[point])
    # Each letter takes two entries, `a` and `##a`; at least a third shall be longer pieces.
    limit = min(_LARGEST_ALPHABET, max(1, (size - len(SPECIAL_TOKENS)) // 3))
    kept = sorted(normalised, key=lambda c: (-normalised[c], c))[:limit]
    return sorted(kept)


def _is_chinese(character: str) -> bool:
    return "CJK" in unicodedata.name(character, "")


def _without_long_words(sentences: Iterable[str]) -> Iterable[str]:
    """Sentences without words that tokenising turns to [UNK]: the trainer is slow on them."""
    for sentence in sentences:
        if len(sentence) > _LONGEST_WORD:
            words = sentence.split()
            if len(max(words, key=len, default="")) > _LONGEST_WORD:
                sentence = " ".join(word for word in words if len(word) <= _LONGEST_WORD)
        yield sentence
