"""A corrupted batch as text, with its labels: what the model sees and what it is asked."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hierbert_tf.data.features import PADDING_MASK, TOKEN_IDS

Arrays = dict[str, Any]


def batch_text(batch: tuple[Arrays, Arrays, Arrays], tokens: Sequence[str], rows: int = 8) -> str:
    """Some sequences of a batch as a Markdown table.

    A label of a position or a token stands behind it: `[MASK]{masked_lm: cat}`.

    Args:
        batch: features, int32 [B, T] by name, and `<task>_positions` [B, P] for labels at
            positions; labels, int32 [B], [B, P] or [B, T] by task; weights, float32 of the labels'
            shapes: items of weight 0 are not shown.
        tokens: the vocabulary.
        rows: sequences shown.

    Returns:
        Markdown.

    Example:

    >>> features = {"token_ids": np.array([[1, 0, 2]]), "padding_mask": np.ones([1, 3], int),
    ...             "masked_lm_positions": np.array([[1]])}
    >>> labels = {"masked_lm": np.array([[2]]), "next_sentence": np.array([1])}
    >>> weights = {"masked_lm": np.ones([1, 1]), "next_sentence": np.ones([1])}
    >>> batch = (features, labels, weights)
    >>> print(batch_text(batch, ["[MASK]", "the", "cat"]).splitlines()[-1])
    | next_sentence 1 | the [MASK]{masked_lm: cat} cat |
    """
    features, labels, weights = batch
    arrays = {name: np.asarray(value) for name, value in features.items()}
    lines = ["| labels | text |", "|---|---|"]
    for row in range(min(rows, len(arrays[TOKEN_IDS]))):
        length = int(arrays[PADDING_MASK][row].sum())
        words = [tokens[index] for index in arrays[TOKEN_IDS][row, :length]]
        notes: dict[int, list[str]] = {}
        of_sequence = []
        for task, label in labels.items():
            value, weight = np.asarray(label)[row], np.asarray(weights[task])[row]
            positions = arrays.get(f"{task}_positions")
            if value.ndim == 0:
                of_sequence.append(f"{task} {value if weight else '-'}")
            elif positions is not None:
                for item in np.flatnonzero(weight):
                    at = int(positions[row, item])
                    notes.setdefault(at, []).append(f"{task}: {tokens[value[item]]}")
            else:
                for at in np.flatnonzero(weight[:length] * value[:length]).tolist():
                    notes.setdefault(at, []).append(f"{task}: {value[at]}")
        shown = [
            word + (f"{{{', '.join(notes[at])}}}" if at in notes else "")
            for at, word in enumerate(words)
        ]
        text = " ".join(shown).replace(" ##", "").replace("|", "\\|")
        lines.append(f"| {', '.join(of_sequence)} | {text} |")
    return "\n".join(lines)
