"""The WordPiece vocabulary: its entries, what they are, and how they are kept."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np

from hierbert_tf.errors import InputError
from hierbert_tf.storage import write_text

PAD, UNKNOWN, CLS, SEP, MASK = SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

_CONTINUATION = "##"
_UNUSED = re.compile(r"\[unused\d+\]")


def is_punctuation(character: str) -> bool:
    """BERT's notion of punctuation: Unicode's, and every ASCII symbol (`$`, `+`, `^`, ...).

    Example:

    >>> is_punctuation("$"), is_punctuation("…"), is_punctuation("a")
    (True, True, False)
    """
    if "!" <= character <= "~" and not character.isalnum():
        return True
    return unicodedata.category(character).startswith("P")


class Vocabulary:
    """WordPiece entries; an entry's position is its id.

    Args:
        tokens: entries in the order of their ids, V of them, the five special tokens among them.
        lowercase: text is lower-cased and stripped of accents before it is tokenised.
        origin: where the entries come from, for error messages.

    Raises:
        InputError: a special token is missing, an entry is empty or occurs twice.

    Example:

    >>> vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "go", "##ing"])
    >>> vocabulary.mask_id, vocabulary.is_continuation.nonzero()[0].tolist()
    (4, [7])
    """

    def __init__(
        self, tokens: Iterable[str], lowercase: bool = True, origin: str = "the vocabulary"
    ):
        self.tokens = tuple(tokens)
        self.lowercase = lowercase
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        if not self.tokens:
            raise InputError(f"{origin} is empty: it must hold one entry a line.")
        for special in SPECIAL_TOKENS:
            if special not in self.ids:
                raise InputError(f"{origin} has no entry {special}: add it on a line of its own.")
        if len(self.ids) < len(self.tokens):
            seen: set[str] = set()
            for line, token in enumerate(self.tokens, 1):
                if token in seen:
                    raise InputError(f"{origin}, line {line}: entry {token!r} occurs twice.")
                seen.add(token)
        if "" in self.ids:
            raise InputError(f"{origin}, line {self.ids[''] + 1}: an empty entry.")

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def pad_id(self) -> int:
        """Id of [PAD]."""
        return self.ids[PAD]

    @property
    def unknown_id(self) -> int:
        """Id of [UNK]."""
        return self.ids[UNKNOWN]

    @property
    def cls_id(self) -> int:
        """Id of [CLS]."""
        return self.ids[CLS]

    @property
    def sep_id(self) -> int:
        """Id of [SEP]."""
        return self.ids[SEP]

    @property
    def mask_id(self) -> int:
        """Id of [MASK]."""
        return self.ids[MASK]

    @cached_property
    def sha256(self) -> str:
        """Hash of the entries in their order: two vocabularies are equal when it is."""
        return hashlib.sha256("\n".join(self.tokens).encode()).hexdigest()

    @cached_property
    def is_special(self) -> np.ndarray:
        """Bool [V]: special tokens and BERT's `[unusedN]`."""
        return np.array([t in SPECIAL_TOKENS or bool(_UNUSED.fullmatch(t)) for t in self.tokens])

    @cached_property
    def is_continuation(self) -> np.ndarray:
        """Bool [V]: pieces inside a word, written `##ing`."""
        return np.array([t.startswith(_CONTINUATION) and len(t) > 2 for t in self.tokens])

    @cached_property
    def is_punctuation(self) -> np.ndarray:
        """Bool [V]: entries of punctuation characters only."""
        special = self.is_special
        bare = [t[2:] if c else t for t, c in zip(self.tokens, self.is_continuation, strict=True)]
        return np.array(
            [not s and all(map(is_punctuation, t)) for t, s in zip(bare, special, strict=True)]
        )

    def check_fits(self, sha256: str, size: int, holder: str = "the checkpoint") -> None:
        """Raises InputError unless something made with `(sha256, size)` goes with this vocabulary.

        Args:
            sha256: hash of the vocabulary that the holder was made with.
            size: its number of entries.
            holder: what was made with it, for the message.
        """
        if size != len(self):
            raise InputError(
                f"{holder} was made with a vocabulary of {size} entries, this one has {len(self)}: "
                "give the vocab.txt that it was made with."
            )
        if sha256 != self.sha256:
            raise InputError(
                f"{holder} was made with another vocabulary of this size (sha256 {sha256[:12]}, "
                f"not {self.sha256[:12]}): give the vocab.txt that it was made with."
            )

    @classmethod
    def load(cls, path: str | Path, lowercase: bool = True) -> "Vocabulary":
        """Reads a `vocab.txt`: one entry a line.

        Raises:
            InputError: the file cannot be read, is no UTF-8, or its entries are wrong.
        """
        origin = f"vocabulary {str(path)!r}"
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot read {origin}: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{origin} is no UTF-8 text: {error}.") from error
        # Not splitlines(): some entries of BERT's own vocabularies are line separators to Unicode.
        lines = text.removesuffix("\n").split("\n") if text else []
        return cls((line.removesuffix("\r") for line in lines), lowercase, origin)

    def save(self, path: str | Path) -> None:
        """Writes a `vocab.txt`, whole or not at all."""
        write_text(path, "\n".join(self.tokens) + "\n")
