import bz2
import gzip
import lzma
import sys

import numpy as np
import pytest
import zstandard

from hierbert_tf.config import SourceConfig
from hierbert_tf.corpus.reader import read_documents
from hierbert_tf.corpus.statistics import ReadStatistics
from hierbert_tf.corpus.wikipedia import excerpt_path, read_wikipedia
from hierbert_tf.corpus.wikitext import wikitext_to_paragraphs
from hierbert_tf.errors import InputError

pytest.importorskip("gensim")

FILLER = "This sentence is only here to make the article long enough to be read. " * 3


def clean(text):
    return list(wikitext_to_paragraphs(text))


@pytest.mark.parametrize(
    ("markup", "prose"),
    [
        ("'''Bold''' and ''italic'' words stand here.", "Bold and italic words stand here."),
        ("It is [[Rome|the city]] of [[Italy]] today.", "It is the city of Italy today."),
        ("See [http://x.org the site] for it, not [http://y.org].", "See the site for it, not."),
        ("A fact is stated here.<ref name=a>Smith<br/>2001</ref>", "A fact is stated here."),
        ("A fact<ref name=b /> is stated here.", "A fact is stated here."),
        ("One<!-- hidden\n\n-->two is a fact here.", "Onetwo is a fact here."),
        ("It holds that <math>x^2</math> is what it is.", "It holds that is what it is."),
        ("It has {{convert|5|km2|sqmi|0}} of forest.", "It has 5 square kilometres of forest."),
        ("The {{lang|la|{{nowrap|pax Romana}}}} was long ago.", "The pax Romana was long ago."),
        ("Rome ({{IPAc-en|r}}; {{lang-it|Roma}}) is a city.", "Rome (Roma) is a city."),
        ("Rome ({{IPAc-en|r}}) is a city &amp; a&nbsp;state.", "Rome is a city & a state."),
        ("It went on {{mdash}} until {{circa|1725}}.", "It went on — until c. 1725."),
        ("One<br />two three four five six.", "One two three four five six."),
        ("* A whole sentence in a list is prose.", "A whole sentence in a list is prose."),
        ("[[File:A.jpg|thumb|A [[cat]] sits there.]]Cats are very small animals.",
         "Cats are very small animals."),
    ],
)  # fmt: skip
def test_markup_becomes_prose(markup, prose):
    assert clean(markup) == [prose]


@pytest.mark.parametrize(
    "markup",
    [
        "[[Category:Cities of the whole world.]]",
        "[[de:Rom ist eine schöne alte Stadt.]]",
        "* [[Rome]]\n* Paris, France",
        "; Term of a list of terms.",
        "{| class=wikitable\n|-\n| A cell is no prose at all.\n|}",
        "{{Infobox city\n| name = Rome is a city.\n| image = {{nowrap|x}}\n}}",
        "== Headings are no prose at all. ==",
        "== See also ==\nThis whole sentence goes with its section.",
        "== Notes ==\n=== Books ===\nThis whole sentence goes with its section.",
        "A caption without an end",
        "__NOTOC__",
        "1 2 3 4 5 6 7 8 9.",
    ],
)
def test_what_is_no_prose_is_left_out(markup):
    assert clean(markup) == []


def test_sections_and_tables_end_where_they_should():
    text = (
        "Lead text of the article.\n== References ==\nSmith wrote this in 2001.\n== History ==\n"
        "It is old and large.\n{|\n| {|\n| deep\n|}\n|}\nAfter the table it goes on.\n"
        "{| open table\n| cell of it here.\n== Later ==\nThe table never ended, but this did."
    )
    assert clean(text) == [
        "Lead text of the article.",
        "It is old and large.",
        "After the table it goes on.",
        "The table never ended, but this did.",
    ]


def page(title, text, namespace=0, extra=""):
    return (
        f"<page><title>{title}</title><ns>{namespace}</ns><id>1</id>{extra}"
        f"<revision><id>2</id><text xml:space='preserve'>{text}</text></revision></page>"
    )


DUMP = (
    "<mediawiki xmlns='http://www.mediawiki.org/xml/export-0.10/'><siteinfo><ns>7</ns></siteinfo>"
    + page("A", f"'''A''' is first here. {FILLER}\n\n== More ==\nB comes after A.")
    + page("Talk:A", FILLER, namespace=1)
    + page("B", FILLER, extra="<redirect title='A' />")
    + page("C", f"#REDIRECT [[A]] {FILLER}")
    + page("D", "Too short an article.")
    + page("E", "")
    + "</mediawiki>"
)


def test_only_articles_are_read(tmp_path):
    path = tmp_path / "dump.xml.bz2"
    path.write_bytes(bz2.compress(DUMP.encode()))
    statistics = ReadStatistics()
    documents = list(read_documents(SourceConfig(path=str(path)), statistics))
    assert [document.texts for document in documents] == [
        (f"A is first here. {FILLER}".strip(), "B comes after A.")
    ]
    assert (statistics.files, statistics.text_bytes) == (1, len(DUMP))


def test_broken_dumps_are_named(tmp_path):
    (tmp_path / "a.xml").write_text(DUMP[:-30])
    with pytest.raises(InputError, match=r"a\.xml' is no whole MediaWiki dump"):
        list(read_wikipedia(tmp_path / "a.xml", ReadStatistics()))


@pytest.mark.parametrize("damage", ["truncated", "overwritten"])
@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", zstandard.ZstdCompressor(write_checksum=True).compress),
    ],
)
def test_damaged_compressed_dumps_are_named(tmp_path, suffix, compress, damage):
    # Articles that do not compress well: the damage lies in their data.
    words = np.random.default_rng(0).bytes(200_000).hex()
    data = compress(
        (DUMP.removesuffix("</mediawiki>") + page("F", words) + "</mediawiki>").encode()
    )
    middle = len(data) // 2
    broken = data[:middle] if damage == "truncated" else data[:middle] + bytes(99) + data[middle:]
    path = tmp_path / f"a.xml{suffix}"
    path.write_bytes(broken)
    with pytest.raises(InputError, match=rf"a\.xml\{suffix}' is truncated or damaged"):
        list(read_wikipedia(path, ReadStatistics()))


def test_the_excerpt_reads_as_prose():
    documents = []
    for document in read_wikipedia(excerpt_path(), ReadStatistics()):
        documents.append(document)
        if len(documents) == 8:
            break
    text = "\n".join(paragraph for document in documents for paragraph in document.texts)
    assert documents[0].texts[0].startswith("Anarchism is a political philosophy that advocates")
    assert len(text) > 200_000
    for leftover in (
        "[[",
        "]]",
        "{{",
        "}}",
        "{|",
        "|}",
        "''",
        "<ref",
        "http",
        "( )",
        " ,",
        "&nbsp;",
    ):
        assert leftover not in text, leftover


def test_missing_gensim_names_the_extra(monkeypatch, tmp_path):
    for module in ("gensim", "gensim.test.utils", "gensim.corpora.wikicorpus"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=r"pip install 'hierbert_tf\[wikipedia\]'"):
        excerpt_path()
    with pytest.raises(InputError, match=r"pip install 'hierbert_tf\[wikipedia\]'"):
        wikitext_to_paragraphs("text")
