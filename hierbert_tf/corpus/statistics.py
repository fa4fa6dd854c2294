"""What the readers met on their way through the files: counters, filled while reading."""

from dataclasses import dataclass


@dataclass
class ReadStatistics:
    r"""Counters that a reader raises while it streams; all start at zero.

    Args:
        files: files opened.
        text_bytes: bytes of text read, after decompression.
        undecodable_bytes: bytes that are no UTF-8; they are dropped.
        nul_bytes: NUL characters; they are dropped.
        cut_lines: lines longer than the bound, cut at white space.
        skipped_rows: table rows with too few columns, left out.

    Example:

    >>> statistics = ReadStatistics()
    >>> statistics.clean("a\0b\ud800")
    'ab'
    >>> statistics.nul_bytes
    1
    """

    files: int = 0
    text_bytes: int = 0
    undecodable_bytes: int = 0
    nul_bytes: int = 0
    cut_lines: int = 0
    skipped_rows: int = 0

    def decode(self, raw: bytes) -> str:
        """Decodes UTF-8; drops and counts what cannot be decoded, and NULs."""
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("utf-8", errors="ignore")
            self.undecodable_bytes += len(raw) - len(text.encode("utf-8"))
        if "\0" in text:
            self.nul_bytes += text.count("\0")
            text = text.replace("\0", "")
        return text

    def clean(self, text: str) -> str:
        """Drops NULs and lone surrogates, which JSON escapes can smuggle into a string."""
        if "\0" in text:
            self.nul_bytes += text.count("\0")
            text = text.replace("\0", "")
        if text.isascii():
            return text
        # A lone surrogate has no UTF-8 form: it would break every later stage.
        return text.encode("utf-8", errors="ignore").decode("utf-8")
