"""The frame of a report: one HTML file without scripts or links, readable offline."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hierbert_tf.evaluation.report.style import STYLE
from hierbert_tf.storage import storage_error, write_text

# Not allowed in HTML, shown as U+FFFD: control characters but tab and line ends, lone surrogates.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class Html(str):
    """Text that is HTML already; every other text is escaped where it is put into a page."""

    __slots__ = ()


def to_html(value: object) -> Html:
    """A value as HTML: `Html` as it is, all else as escaped text.

    Example:

    >>> to_html("a < b"), to_html(Html("<b>a</b>"))
    ('a &lt; b', '<b>a</b>')
    """
    if isinstance(value, Html):
        return value
    return Html(html.escape(_FORBIDDEN.sub("\ufffd", str(value))))


def element(name: str, *content: object, **attributes: object) -> Html:
    """An element; `_` in an attribute's name stands for `-`, and one at its end for nothing.

    Example:

    >>> element("p", "1 < 2", element("b", "!"), class_="note")
    '<p class="note">1 &lt; 2<b>!</b></p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{to_html(value)}"'
        for key, value in attributes.items()
    )
    return Html(f"<{name}{given}>{''.join(map(to_html, content))}</{name}>")


def section(heading: str, *content: object, note: str = "") -> Html:
    """A part of the page under a heading, with a note on what is shown."""
    notes = [element("p", note, class_="note")] if note else []
    return element("section", element("h2", heading), *notes, *content)


def headline(scores: Sequence[tuple[str, str, str]]) -> Html:
    """The main scores, large: name, value and a short remark each."""
    tiles = [
        element(
            "div",
            element("dt", name),
            element("dd", element("strong", value), element("span", remark)),
        )
        for name, value, remark in scores
    ]
    return element("dl", *tiles, class_="headline")


def table(head: Sequence[object], rows: Iterable[Sequence[object]], caption: str) -> Html:
    """A table; the first cell of a row is its heading. It scrolls sideways where it is too wide."""
    top = element("tr", *(element("th", name, scope="col") for name in head))
    body = [
        element("tr", element("th", row[0], scope="row"), *(_cell(value) for value in row[1:]))
        for row in rows
    ]
    content = element(
        "table", element("caption", caption), element("thead", top), element("tbody", *body)
    )
    return element("div", content, class_="scroll", role="region", tabindex=0, aria_label=caption)


def _cell(value: object) -> Html:
    # A cell that brings its own <td> may be shaded.
    if isinstance(value, Html) and value.startswith("<td"):
        return value
    return element("td", value)


def bar(share: float, text: str) -> Html:
    """A cell with a number and a bar of that share of the cell, 0 to 1."""
    width = f"width:{100 * min(max(share, 0.0), 1.0):.1f}%"
    return element(
        "td", element("span", text), element("i", element("i", style=width)), class_="bar"
    )


def columns(*content: object) -> Html:
    """Parts side by side where the screen is wide enough."""
    return element("div", *content, class_="columns")


def answer_text(text: str) -> Html:
    """A short foreign text inside a line: its writing direction stays its own."""
    return element("bdi", text) if text else element("em", "no answer")


def shorten(text: str, most: int) -> str:
    """The text, cut after `most` characters, and then how many are left out.

    Example:

    >>> shorten("abcdef", 4), shorten("abcd", 4)
    ('abcd [… 2 more characters]', 'abcd')
    """
    if len(text) <= most:
        return text
    return f"{text[:most]} [\N{HORIZONTAL ELLIPSIS} {len(text) - most:,} more characters]"


def page(title: str, facts: Mapping[str, str], content: Sequence[object]) -> str:
    """The whole file.

    Args:
        title: heading and window title.
        facts: what the report is of (model, config, commit, data, counts), by name.
        content: the page's parts in order; the facts come after the first of them.
    """
    known = [
        element("div", element("dt", name), element("dd", value)) for name, value in facts.items()
    ]
    about = [section("About", element("dl", *known, class_="facts"))] if known else []
    parts = [*content[:1], *about, *content[1:]]
    body = element("main", element("h1", title), *parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # The texts shown come from anywhere: whatever slipped through could still not run or load.
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n"
        '<meta name="color-scheme" content="light dark">\n'
        f"{element('title', title)}\n<style>{STYLE}</style>\n</head>\n"
        f"{element('body', body)}\n</html>\n"
    )


def write_page(path: str | Path, text: str) -> None:
    """Writes the page, whole or not at all, into a folder that is made where it is missing.

    Raises:
        RunStopped: the disk is full.
        InputError: the place cannot be written.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise storage_error(error, path) from error
