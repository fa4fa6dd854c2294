"""A part of a file, in bytes."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Span:
    """Bytes of a plain file, which begin and end where a line does.

    Args:
        start: first byte.
        end: byte after the last one; None: to the end of the file.

    Example:

    >>> Span().is_start, Span(100).is_start
    (True, False)
    """

    start: int = 0
    end: int | None = None

    @property
    def is_start(self) -> bool:
        """The file begins here: with its byte order mark, if it has one."""
        return self.start == 0

    @property
    def is_whole(self) -> bool:
        """All of the file."""
        return self.start == 0 and self.end is None

    def lines_before(self, path: Path) -> int:
        """Lines of the file before this part; reads all of them."""
        count, left = 0, self.start
        with open(path, "rb") as file:
            while left and (chunk := file.read(min(left, 1 << 20))):
                count += chunk.count(b"\n")
                left -= len(chunk)
        return count


WHOLE = Span()
