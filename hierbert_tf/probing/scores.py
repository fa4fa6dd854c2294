"""One score of a probe, and the CSV file of all of them."""

import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierbert_tf.errors import InputError

PRE_TRAINED, RANDOM_WEIGHTS = "pre-trained", "random weights"
ENCODERS = (PRE_TRAINED, RANDOM_WEIGHTS)


@dataclass(frozen=True)
class ProbeScore:
    """What a probe of one layer reached with one seed: a row of the CSV file.

    Accuracies are shares, 0 to 1.

    Args:
        task: name of the probing task.
        encoder: `PRE_TRAINED` or `RANDOM_WEIGHTS`.
        pooling: how the layer's tokens became one vector.
        layer: 0 = embeddings .. L.
        classifier: `mlp` or `logistic_regression`.
        seed: of the classifier; of the weights too, where they are random.
        setting: what was best on validation, such as `hidden 100, dropout 0.1`.
        epochs: passes over the training split until the weights that were kept.
        test_examples: size of the test split.
        majority: test accuracy of the most frequent training label.
        validation: accuracy on the validation split, by which settings and layers are chosen.
        test: accuracy on the test split.
        control: test accuracy on random labels, one a word type; None: not measured.
        selectivity: `test - control`.
        codelength_bits: online codelength of the training labels, bits; None: not measured.
        compression: codelength of uniform labels over `codelength_bits`.

    Reference: Hewitt & Liang 2019, "Designing and Interpreting Probes with Control Tasks"; Voita &
    Titov 2020, "Information-Theoretic Probing with Minimum Description Length".
    """

    task: str
    encoder: str
    pooling: str
    layer: int
    classifier: str
    seed: int
    setting: str
    epochs: int
    test_examples: int
    majority: float
    validation: float
    test: float
    control: float | None = None
    selectivity: float | None = None
    codelength_bits: float | None = None
    compression: float | None = None

    @property
    def place(self) -> tuple[str, str, str, int, int]:
        """What only one score can be of: task, encoder, pooling, layer, seed."""
        return self.task, self.encoder, self.pooling, self.layer, self.seed


_FIELDS = {field.name: field.type for field in dataclasses.fields(ProbeScore)}
_ACCURACIES = ("majority", "validation", "test", "control")


def scores_csv(scores: Iterable[ProbeScore], facts: Mapping[str, str]) -> str:
    """The scores as CSV, a row each, in the order given.

    Args:
        scores: the rows; a float is written so that `read_scores` gives the same again, None as an
            empty cell.
        facts: what they belong to, such as the commit: further columns, equal in each row.

    Raises:
        ValueError: a fact is called like a column.

    Example:

    >>> score = ProbeScore(
    ...     "tree_depth", PRE_TRAINED, "cls", 4, "mlp", 1, "hidden 50", 8, 200, 0.25, 0.5, 0.375)
    >>> print(scores_csv([score], {"commit": "abc"}).splitlines()[1])
    tree_depth,pre-trained,cls,4,mlp,1,hidden 50,8,200,0.25,0.5,0.375,,,,,abc
    """
    if taken := set(facts) & set(_FIELDS):
        raise ValueError(f"facts called like columns of the scores: {sorted(taken)}")
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*_FIELDS, *facts])
    for score in scores:
        cells = [_cell(getattr(score, name), kind) for name, kind in _FIELDS.items()]
        writer.writerow([*cells, *facts.values()])
    return stream.getvalue()


def read_scores(path: str | Path) -> list[ProbeScore]:
    """Reads what `scores_csv` wrote; the facts' columns are left out.

    Raises:
        InputError: the file is missing or cannot be read, has another header, a cell that is no
            such value, or two scores of the same place.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "scores.csv"
    >>> score = ProbeScore("depth", PRE_TRAINED, "cls", 0, "mlp", 1, "C 1", 4, 9, 0.5, 0.7, 0.1 * 3)
    >>> path.write_text(scores_csv([score], {"commit": "abc"})) > 0
    True
    >>> read_scores(path) == [score]
    True
    """
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            if header[: len(_FIELDS)] != list(_FIELDS):
                raise InputError(
                    f"'{path}' is no table of probing scores: its first line does not begin with"
                    f" {','.join(list(_FIELDS)[:4])},...; move it away or name another file."
                )
            rows = [(f"'{path}', line {reader.line_num}", row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"'{path}' cannot be read ({reason}): move it away.") from error
    found: dict[tuple[str, str, str, int, int], str] = {}
    scores = []
    for where, row in rows:
        if len(row) != len(header):
            raise InputError(f"{where}: {len(row)} cells, not {len(header)}; remove the line.")
        # Only the facts may follow: their columns are not read.
        cells = dict(zip(_FIELDS, row, strict=False))
        score = ProbeScore(**{name: _value(name, cells[name], where) for name in cells})
        if score.place in found:
            raise InputError(
                f"{where}: a second score of {', '.join(map(str, score.place))}, as in"
                f" {found[score.place]}; remove one of them."
            )
        found[score.place] = where
        scores.append(score)
    return scores


def _cell(value: Any, kind: object) -> str:
    if value is None:
        return ""
    # Through Python's own types: numpy's repr names its type.
    return str(value) if kind is str else repr(int(value) if kind is int else float(value))


def _value(name: str, cell: str, where: str) -> Any:
    """The value of one cell."""
    kind = _FIELDS[name]
    if kind is str:
        if name == "encoder" and cell not in ENCODERS:
            raise InputError(f"{where}: encoder {cell!r} is neither of {', '.join(ENCODERS)}.")
        return cell
    if cell == "" and kind not in (int, float):
        return None
    try:
        value = int(cell) if kind is int else float(cell)
    except ValueError:
        raise InputError(f"{where}: {name} {cell!r} is no number; remove the line.") from None
    if not math.isfinite(value) or (name in _ACCURACIES and not 0 <= value <= 1):
        raise InputError(f"{where}: {name} cannot be {cell}; remove the line.")
    return value
