"""What became of the examples of a source: how many were kept, and why others were not."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class ExampleCounts:
    """Counts of one reading; nothing is dropped without a count and a place.

    A reader calls `take` for each example that it meets, and then either `keep` or `skip`, so that
    `read == kept + sum(skipped.values())` when it is done.

    Args:
        source: file, folder or TFDS name.
        read: examples met.
        kept: examples handed out.
        skipped: reason to number of examples left out.
        repaired: reason to number of faults that were put right in examples that were kept.
        noted: reason to number of faults that were left as they are in examples that were kept.
        first_places: reason to the first place (file and line, or question id).

    Example:

    >>> counts = ExampleCounts("dev.tsv")
    >>> counts.take()
    >>> counts.skip("empty text", "'dev.tsv', line 2")
    >>> counts.take()
    >>> counts.keep()
    >>> counts.read, counts.kept, counts.skipped
    (2, 1, {'empty text': 1})
    >>> print(counts.to_markdown())
    dev.tsv: 2 examples read, 1 kept.
    <BLANKLINE>
    | | number | first at |
    |---|---:|---|
    | skipped: empty text | 1 | 'dev.tsv', line 2 |
    """

    source: str
    read: int = 0
    kept: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    repaired: dict[str, int] = field(default_factory=dict)
    noted: dict[str, int] = field(default_factory=dict)
    first_places: dict[str, str] = field(default_factory=dict)

    def take(self) -> None:
        """Counts an example that was met."""
        self.read += 1

    def keep(self) -> None:
        """Counts an example that is handed out."""
        self.kept += 1

    def skip(self, reason: str, place: str) -> None:
        """Counts an example that is left out.

        Args:
            reason: why, such as `empty text`.
            place: file and line, or question id.
        """
        self._count(self.skipped, reason, place)

    def repair(self, reason: str, place: str) -> None:
        """Counts a fault that was put right; the example is kept."""
        self._count(self.repaired, reason, place)

    def note(self, reason: str, place: str) -> None:
        """Counts a fault that was left as it is; the example is kept."""
        self._count(self.noted, reason, place)

    def _count(self, counter: dict[str, int], reason: str, place: str) -> None:
        counter[reason] = counter.get(reason, 0) + 1
        self.first_places.setdefault(reason, place)

    def merge(self, *others: "ExampleCounts") -> "ExampleCounts":
        """These counts and others' as one, sources joined and first places first come.

        Args:
            *others: counts of further readings; none of them changes.

        Example:

        >>> a, b = ExampleCounts("a", read=2, kept=2), ExampleCounts("b", 3, 2, {"empty text": 1})
        >>> a.merge(b)  # doctest: +ELLIPSIS
        ExampleCounts(source='a, b', read=5, kept=4, skipped={'empty text': 1}, ...
        """
        parts = (self, *others)
        merged = ExampleCounts(
            ", ".join(part.source for part in parts),
            sum(part.read for part in parts),
            sum(part.kept for part in parts),
        )
        for name in ("skipped", "repaired", "noted"):
            total = sum((Counter(getattr(part, name)) for part in parts), Counter[str]())
            getattr(merged, name).update(total)
        for part in parts:
            for reason, place in part.first_places.items():
                merged.first_places.setdefault(reason, place)
        return merged

    def to_markdown(self) -> str:
        """A sentence, and a table of the reasons where there are any."""
        lines = [f"{self.source}: {self.read:,} examples read, {self.kept:,} kept."]
        rows = [
            f"| {kind}: {_cell(reason)} | {number:,} | {_cell(self.first_places.get(reason, ''))} |"
            for kind in ("skipped", "repaired", "noted")
            for reason, number in getattr(self, kind).items()
        ]
        if rows:
            lines += ["", "| | number | first at |", "|---|---:|---|", *rows]
        return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")
