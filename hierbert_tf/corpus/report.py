"""The corpus report: what the text is like, before anything is trained on it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hierbert_tf.storage import write_text


@dataclass(frozen=True)
class CorpusReport:
    """Counts over the whole corpus, training and held-out documents together.

    Args:
        texts: name and licence of each source.
        files: files read.
        text_bytes: bytes read, after decompression.
        documents: documents with at least one sentence.
        pairs: those of them that are pairs of texts.
        too_short_documents: those of them with fewer than two sentences; they give no next-sentence
            examples.
        sentences: sentences.
        words: words, by white space.
        characters: characters of the sentences.
        duplicate_lines: lines (paragraphs, or a pair's texts) that occurred before.
        removed_duplicates: paragraphs and pairs that were left out because they occurred before.
        undecodable_bytes: bytes that are no UTF-8; dropped.
        nul_bytes: NUL characters; dropped.
        cut_lines: lines of more than 1 MB; cut at white space.
        skipped_rows: table rows with too few columns; left out.
        tokens: WordPieces.
        unknown_tokens: those of them that are [UNK].
        vocabulary_size: entries V.
        held_out_documents: documents kept from training.
        held_out_tokens: their WordPieces.

    Example:

    >>> report = CorpusReport(documents=10, words=100, tokens=130, unknown_tokens=13)
    >>> report.tokens_per_word, report.unknown_share
    (1.3, 0.1)
    """

    texts: tuple[dict[str, str], ...] = ()
    files: int = 0
    text_bytes: int = 0
    documents: int = 0
    pairs: int = 0
    too_short_documents: int = 0
    sentences: int = 0
    words: int = 0
    characters: int = 0
    duplicate_lines: int = 0
    removed_duplicates: int = 0
    undecodable_bytes: int = 0
    nul_bytes: int = 0
    cut_lines: int = 0
    skipped_rows: int = 0
    tokens: int = 0
    unknown_tokens: int = 0
    vocabulary_size: int = 0
    held_out_documents: int = 0
    held_out_tokens: int = 0

    @property
    def unknown_share(self) -> float:
        """Share of [UNK] among the WordPieces."""
        return self.unknown_tokens / max(1, self.tokens)

    @property
    def tokens_per_word(self) -> float:
        """WordPieces a word."""
        return self.tokens / max(1, self.words)

    @property
    def held_out_share(self) -> float:
        """Share of the documents that is kept from training."""
        return self.held_out_documents / max(1, self.documents)

    def to_dict(self) -> dict[str, Any]:
        """All counts and shares, ready for JSON."""
        return {
            **asdict(self),
            "texts": list(self.texts),
            "unknown_share": self.unknown_share,
            "tokens_per_word": self.tokens_per_word,
            "held_out_share": self.held_out_share,
        }

    def save(self, path: str | Path) -> None:
        """Writes the report as JSON, whole or not at all."""
        write_text(path, json.dumps(self.to_dict(), indent=1, ensure_ascii=False))

    def to_markdown(self) -> str:
        """A table that reads well in a terminal and in Markdown."""
        documents = max(1, self.documents)
        rows = [
            ("documents", f"{self.documents:,}", ""),
            ("pairs of texts", f"{self.pairs:,}", f"{self.pairs / documents:.1%} of documents"),
            (
                "too short documents",
                f"{self.too_short_documents:,}",
                f"{self.too_short_documents / documents:.1%}, fewer than two sentences",
            ),
            ("sentences", f"{self.sentences:,}", f"{self.sentences / documents:.1f} a document"),
            ("words", f"{self.words:,}", f"{self.words / max(1, self.sentences):.1f} a sentence"),
            ("characters", f"{self.characters:,}", ""),
            ("WordPieces", f"{self.tokens:,}", f"{self.tokens_per_word:.2f} a word"),
            ("unknown WordPieces", f"{self.unknown_tokens:,}", f"{self.unknown_share:.3%}"),
            ("vocabulary", f"{self.vocabulary_size:,}", "entries"),
            (
                "held out",
                f"{self.held_out_documents:,}",
                f"{self.held_out_share:.1%} of documents, {self.held_out_tokens:,} WordPieces",
            ),
            (
                "duplicate lines",
                f"{self.duplicate_lines:,}",
                f"{self.removed_duplicates:,} left out",
            ),
            ("undecodable bytes", f"{self.undecodable_bytes:,}", "dropped"),
            ("NUL characters", f"{self.nul_bytes:,}", "dropped"),
            ("lines over 1 MB", f"{self.cut_lines:,}", "cut at white space"),
            ("table rows left out", f"{self.skipped_rows:,}", "too few columns"),
        ]
        names, counts, notes = (max(map(len, column)) for column in zip(*rows, strict=True))
        lines = [f"Text: {text['name']} ({text['licence']})" for text in self.texts]
        lines += ["", f"| {'corpus':{names}} | {'count':>{counts}} | {'':{notes}} |"]
        lines += [f"|{'-' * (names + 2)}|{'-' * (counts + 1)}:|{'-' * (notes + 2)}|"]
        lines += [f"| {n:{names}} | {c:>{counts}} | {note:{notes}} |" for n, c, note in rows]
        return "\n".join(lines).strip() + "\n"
