"""Wikipedia dumps (`...-pages-articles.xml`) to documents, one an article."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

from hierbert_tf.corpus.document import Document
from hierbert_tf.corpus.files import DECOMPRESSION_ERRORS, open_binary
from hierbert_tf.corpus.statistics import ReadStatistics
from hierbert_tf.corpus.wikitext import wikitext_to_paragraphs
from hierbert_tf.errors import InputError

EXCERPT = "wikipedia_excerpt"
"""Name of the text that gensim ships: the first articles of an English Wikipedia dump."""

_EXCERPT_FILE = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
_SHORTEST_ARTICLE = 200


def excerpt_path() -> Path:
    """Path of the excerpt of an English Wikipedia dump in the installed gensim.

    Raises:
        InputError: gensim is not installed, or comes without its test data.
    """
    try:
        from gensim.test.utils import datapath
    except ImportError as error:
        raise InputError(
            f"the text {EXCERPT!r} is part of gensim: pip install 'hierbert_tf[wikipedia]'."
        ) from error
    path = Path(datapath(_EXCERPT_FILE))
    if not path.is_file():
        raise InputError(
            f"this gensim has no {_EXCERPT_FILE!r}: install gensim 4.4 from PyPI, or give own text."
        )
    return path


def _local_name(tag: str) -> str:
    # The namespace changes with each revision of the export format.
    return tag.rsplit("}", 1)[-1]


def _pages(file: BinaryIO) -> Iterator[ElementTree.Element]:
    root = None
    for event, element in ElementTree.iterparse(file, events=("start", "end")):
        if root is None:
            root = element
        if event == "end" and _local_name(element.tag) == "page":
            yield element
            # Emptied pages would still hang on the root: a full dump has 20 million of them.
            root.clear()


class _Counted:
    """Counts the bytes that the XML parser reads."""

    def __init__(self, file: BinaryIO, statistics: ReadStatistics):
        self._file, self._statistics = file, statistics

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._statistics.text_bytes += len(data)
        return data


def read_wikipedia(path: Path, statistics: ReadStatistics) -> Iterator[Document]:
    """Yields the articles of a dump, cleaned of markup; each paragraph is a text.

    Only pages of the article namespace; no redirects; no article with fewer than 200 characters of
    prose (disambiguation pages, stubs).

    Args:
        path: the dump, plain or compressed.
        statistics: counters.

    Raises:
        InputError: broken XML or a truncated file; gensim is missing.
    """
    statistics.files += 1
    with open_binary(path) as file:
        try:
            for page in _pages(_Counted(file, statistics)):  # type: ignore[arg-type]
                fields = {_local_name(element.tag): element for element in page.iter()}
                namespace = fields["ns"].text if "ns" in fields else "0"
                text = fields["text"].text if "text" in fields else None
                if namespace != "0" or "redirect" in fields or not text:
                    continue
                if text.lstrip()[:9].lower() == "#redirect":
                    continue
                paragraphs = wikitext_to_paragraphs(statistics.clean(text))
                if sum(map(len, paragraphs)) >= _SHORTEST_ARTICLE:
                    yield Document(paragraphs)
        except ElementTree.ParseError as error:
            raise InputError(f"{str(path)!r} is no whole MediaWiki dump: {error}.") from error
        except (OSError, *DECOMPRESSION_ERRORS) as error:
            raise InputError(f"dump {str(path)!r} is truncated or damaged ({error}).") from error
