"""SQuAD JSON (1.1, 2.0 and sets in their form) to documents."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hierbert_tf.corpus.document import Document
from hierbert_tf.corpus.files import read_bytes
from hierbert_tf.corpus.plain_text import split_paragraphs
from hierbert_tf.corpus.statistics import ReadStatistics
from hierbert_tf.errors import InputError

# Words of a context that stand beside a question: with it they fill a sequence of 128 tokens.
PIECE_WORDS = 80


def squad_value(node: Any, key: str, kind: type, place: str) -> Any:
    """Value of a key in a part of a SQuAD file.

    Args:
        node: the part, a JSON object.
        key: the key.
        kind: `list` or `str`.
        place: file and path of the part, for the error.

    Raises:
        InputError: no such key, or a value of another kind.
    """
    if not isinstance(node, dict) or not isinstance(node.get(key), kind):
        wanted = "a list" if kind is list else "a text"
        raise InputError(f"{place}: no {key!r} with {wanted}: this is not SQuAD's form.")
    return node[key]


def squad_paragraphs(root: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    """Yields `(place, article, paragraph)` for each paragraph of SQuAD's JSON.

    Args:
        root: the parsed JSON.
        place: the file, for the errors.

    Raises:
        InputError: not in SQuAD's form (names the place).

    Example:

    >>> root = {"data": [{"title": "A", "paragraphs": [{"context": "B"}]}]}
    >>> [(place, paragraph) for place, _, paragraph in squad_paragraphs(root, "dev.json")]
    [('dev.json, data[0].paragraphs[0]', {'context': 'B'})]
    """
    for i, article in enumerate(squad_value(root, "data", list, place)):
        article_place = f"{place}, data[{i}]"
        for j, paragraph in enumerate(squad_value(article, "paragraphs", list, article_place)):
            yield f"{article_place}.paragraphs[{j}]", article, paragraph


def read_squad(
    path: Path, statistics: ReadStatistics, with_pairs: bool = False
) -> Iterator[Document]:
    """Yields, for each paragraph, its context and then its questions, as two documents.

    Questions of a context do not follow from each other as sentences of a text do, but they are
    text of the task; both documents go to the same split. The file is read whole: SQuAD's own have
    5 to 40 MB.

    Args:
        path: the file.
        statistics: counters.
        with_pairs: also yield each question with a piece of its context, as a pair: the first
            question with the first 80 words, the second with the next, and from the start again
            when all pieces had their turn. Where the answer stands plays no part.

    Raises:
        InputError: no JSON (names file and line), or not in SQuAD's form (names the place).
    """
    raw = b"".join(read_bytes(path, statistics))
    try:
        root = json.loads(statistics.decode(raw))
    except (ValueError, RecursionError) as error:  # ValueError: also a number without end
        raise InputError(f"{str(path)!r}: not valid JSON ({error}).") from error
    for place, _, paragraph in squad_paragraphs(root, repr(str(path))):
        context = statistics.clean(squad_value(paragraph, "context", str, place))
        paragraphs = split_paragraphs(context)
        if paragraphs:
            yield Document(paragraphs, group=context)
        questions = (
            statistics.clean(squad_value(item, "question", str, f"{place}.qas[{k}]"))
            for k, item in enumerate(squad_value(paragraph, "qas", list, place))
        )
        texts = tuple(text for text in (" ".join(q.split()) for q in questions) if text)
        if texts:
            yield Document(texts, group=context)
        words = context.split()
        if with_pairs and words:
            pieces = [
                " ".join(words[i : i + PIECE_WORDS]) for i in range(0, len(words), PIECE_WORDS)
            ]
            for text, piece in zip(texts, itertools.cycle(pieces), strict=False):
                yield Document((text, piece), is_pair=True, group=context)
