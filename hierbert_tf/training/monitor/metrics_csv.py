"""A run's metrics as one CSV file that survives interruption."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from hierbert_tf.errors import InputError
from hierbert_tf.storage import storage_error, written_whole

HEADER = ("step", "split", "name", "value")


class MetricsCsv:
    """Rows `step,split,name,value`, such as `200,held_out,masked_lm/loss,5.31`.

    One value a row, because not every metric is measured at every step and a new task adds names,
    not columns (`pandas.DataFrame.pivot` makes it wide). After a resume the rows past the
    checkpoint's step are dropped: the run repeats them.

    Args:
        path: the file; made if missing.
        start_step: rows of later steps are dropped.

    Raises:
        InputError: the file is not such a CSV, or cannot be written.
    """

    def __init__(self, path: str | Path, start_step: int = 0) -> None:
        self.path = Path(path)
        rows = [row for row in self._read() if row[0] <= start_step] if start_step else []
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with (
                written_whole(self.path) as beside,
                open(beside, "w", newline="", encoding="utf-8") as stream,
            ):
                writer = csv.writer(stream)
                writer.writerow(HEADER)
                writer.writerows((s, split, name, repr(v)) for s, split, name, v in rows)
            self._stream: IO[str] = open(self.path, "a", newline="", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise storage_error(error, self.path) from error

    def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Appends one row a value; they are in the file when this returns.

        Args:
            step: optimizer steps done.
            split: `train` or `held_out`, or `cosine`.
            values: numbers by name.

        Raises:
            RunStopped: the disk is full.
        """
        try:
            writer = csv.writer(self._stream)
            writer.writerows((step, split, name, repr(float(v))) for name, v in values.items())
            self._stream.flush()
        except OSError as error:
            raise storage_error(error, self.path) from error

    def read(self, split: str) -> dict[int, dict[str, float]]:
        """All values of a split: `{step: {name: value}}`, steps ascending."""
        found: dict[int, dict[str, float]] = {}
        for step, row_split, name, value in self._read():
            if row_split == split:
                found.setdefault(step, {})[name] = value
        return dict(sorted(found.items()))

    def close(self) -> None:
        """Closes the file.

        Raises:
            RunStopped: the disk is full, so that the last rows are lost.
        """
        try:
            self._stream.close()
        except OSError as error:
            raise storage_error(error, self.path) from error

    def _read(self) -> list[tuple[int, str, str, float]]:
        if not self.path.exists():
            return []
        try:
            with open(self.path, newline="", encoding="utf-8") as stream:
                lines = list(csv.reader(stream))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{self.path} cannot be read ({error}); move it away.") from error
        if not lines or tuple(lines[0]) != HEADER:
            raise InputError(
                f"{self.path} does not begin with the line {','.join(HEADER)}; move it away."
            )
        rows = []
        for line in lines[1:]:
            try:
                step, split, name, value = line
                rows.append((int(step), split, name, float(value)))
            except ValueError:
                # A kill in the middle of a write leaves half a row; it lies past the checkpoint.
                continue
        return rows
