"""Answers as the files that SQuAD's own scripts read."""

import json
from collections.abc import Mapping
from pathlib import Path

from hierbert_tf.models.answer_extraction import ExtractedAnswers
from hierbert_tf.storage import storage_error, write_text

# JSON has no infinity: the odds of a question whose context has no span.
_LARGEST_ODDS = 1e9


def write_predictions(
    folder: str | Path,
    answers: Mapping[str, ExtractedAnswers],
    threshold: float | None = None,
) -> None:
    """Writes `predictions.json`, `null_odds.json` and `nbest_predictions.json`.

    The first two are what SQuAD's `evaluate-v1.1.py` (without a threshold) and
    `evaluate-v2.0.py PREDICTIONS --na-prob-file NULL_ODDS` read: question id to text, and question
    id to the score of "no answer" less that of the best span. The third has each question's best
    spans with probabilities, as BERT's `run_squad` writes them, and their places in the context.

    Args:
        folder: is made if it is not there.
        answers: by question id.
        threshold: `""` is predicted where the null odds are above it; None: always a span. The
            other two files do not depend on it.

    Raises:
        InputError: the folder cannot be written to.
        RunStopped: the disk is full.

    Example:

    >>> import tempfile
    >>> from hierbert_tf.models.answer_extraction import Candidate
    >>> answer = ExtractedAnswers((Candidate("1920", 3, 7, score=5.0, probability=1.0),), 2.0)
    >>> folder = tempfile.mkdtemp()
    >>> write_predictions(folder, {"q1": answer}, threshold=-4.0)
    >>> [json.loads((Path(folder) / f"{name}.json").read_text())
    ...  for name in ("predictions", "null_odds")]
    [{'q1': ''}, {'q1': -3.0}]
    """
    nbest = {
        key: [
            {
                "text": candidate.text,
                "probability": candidate.probability,
                "score": candidate.score,
                "start": candidate.start,
                "end": candidate.end,
            }
            for candidate in item.candidates
        ]
        for key, item in answers.items()
    }
    files = {
        "predictions.json": {key: item.text(threshold) for key, item in answers.items()},
        "null_odds.json": {
            key: min(item.null_odds, _LARGEST_ODDS) for key, item in answers.items()
        },
        "nbest_predictions.json": nbest,
    }
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            # ASCII: a text may hold half a surrogate pair, which UTF-8 has no form for.
            write_text(folder / name, json.dumps(content, indent=1) + "\n")
    except OSError as error:
        raise storage_error(error, folder) from error
