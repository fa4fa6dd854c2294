"""Wikipedia's markup to paragraphs of prose."""

# ruff: noqa: RUF001 (dashes and quotation marks as they stand in articles)

import html
import re
from collections.abc import Callable

from hierbert_tf.errors import InputError

# Their content is no prose: it goes with the tag.
_CONTENT_TAGS = (
    "ref|math|chem|gallery|timeline|score|syntaxhighlight|source|pre|imagemap|graph|hiero|mapframe"
)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_EMPTY_TAG = re.compile(rf"<({_CONTENT_TAGS}|references)\b[^<>]*/>", re.IGNORECASE)
_CONTENT_TAG = re.compile(
    rf"<({_CONTENT_TAGS}|references)\b[^<>]*>.*?</\1\s*>", re.DOTALL | re.IGNORECASE
)
_BREAK_TAG = re.compile(r"<\s*br\s*/?\s*>|<\s*/?\s*(?:poem|small|big|center|div)\b[^<>]*>", re.I)
_PARAGRAPH_TAG = re.compile(r"<\s*/?\s*(?:p|blockquote)\b[^<>]*>", re.IGNORECASE)
_TEMPLATE = re.compile(r"\{\{([^{}]*)\}\}")
_LINK = re.compile(r"\[\[([^\[\]]*)\]\]")
_NO_TEXT_LINK = re.compile(r"\s*(?:file|image|media|category|[a-z]{2,3}(?:-[a-z-]+)?)\s*:", re.I)
_TEXT_NAMESPACE = re.compile(r"\s*(?:file|image|media|category)\s*:", re.IGNORECASE)
_URL = re.compile(r"\b(?:https?|ftp)://[^\s\])]+|\bwww\.[^\s\])]+")
_BEHAVIOUR_SWITCH = re.compile(r"__[A-Z]+__")
_HEADING = re.compile(r"(={1,6})\s*(.*?)\s*={1,6}\s*")
_QUOTES = re.compile(r"'{2,}")
_EMPTY_BRACKETS = re.compile(r"\(\s*(?:(?:or|and|from)?[\s,;:/–—-]*)*\)|\[\s*\]|\"\s*\"")
_OPEN_BRACKET = re.compile(r"\(\s*[,;:]?\s+|\(\s*[,;]\s*")
_BEFORE_PUNCTUATION = re.compile(r"\s+([,.;!?)])(?=\s|$)|[\s,;]+(\))")
_DOUBLE_COMMA = re.compile(r",(?:\s*,)+|,\s*(?=[.;])")
_SENTENCE_END = re.compile(r"[.!?…:;]['\"”’»)\]]*$")
_NO_LETTER = re.compile(r"[\W\d_]+")
_LEFTOVER = re.compile(
    r"\{\{|\}\}|\{\||\|\}|\[\[|\]\]|\|\||</?[a-z]+|\b(?:colspan|rowspan|style)\s*="
)
_DROPPED_SECTIONS = frozenset(
    """
    references; notes; footnotes; citations; bibliography; sources; works cited; further reading;
    see also; external links; discography; filmography; gallery; notes and references;
    references and notes; explanatory notes; literature; selected bibliography;
    primary sources; secondary sources
    """.replace("\n   ", "")
    .strip()
    .split("; ")
)
# Templates whose text belongs to the sentence: their first parameter, or their last one.
_FIRST = frozenset(
    """
    nowrap; angbr; angle bracket; abbr; small; mvar; math; var; quote; cquote; blockquote;
    quotation; bquote; em; strong; smallcaps; sc; sup; sub; val; formatnum; not a typo; sic;
    as written; linktext; unicode; big; nobold; nobr; script; polytonic; hebrew; arabic; ship;
    music; gaps; overline
    """.replace("\n   ", "")
    .strip()
    .split("; ")
)
_LAST = frozenset(["lang", "transl", "transliteration", "tlit", "color", "colored", "link", "illm"])
_WORDS = {
    "ndash": "–",
    "mdash": "—",
    "spaced ndash": " – ",
    "snd": " – ",
    "spd": " – ",
    "nbsp": " ",
    "'": "'",
    "`": "'",
    "pi": "π",
    "degree": "°",
}
_UNITS = {
    "km2": "square kilometres",
    "sqkm": "square kilometres",
    "sqmi": "square miles",
    "sqft": "square feet",
    "mi2": "square miles",
    "km": "kilometres",
    "mi": "miles",
    "m": "metres",
    "cm": "centimetres",
    "mm": "millimetres",
    "ft": "feet",
    "in": "inches",
    "yd": "yards",
    "kg": "kilograms",
    "lb": "pounds",
    "g": "grams",
    "ha": "hectares",
    "acre": "acres",
    "C": "°C",
    "F": "°F",
    "K": "K",
    "mph": "miles per hour",
    "km/h": "kilometres per hour",
    "kph": "kilometres per hour",
}
_RANGES = {
    "-": "–",
    "–": "–",
    "to": " to ",
    "and": " and ",
    "by": " by ",
    "x": " by ",
    "or": " or ",
}


def _filter_wiki() -> Callable[[str], str]:
    try:
        from gensim.corpora.wikicorpus import filter_wiki
    except ImportError as error:
        raise InputError(
            "reading Wikipedia markup needs gensim: pip install 'hierbert_tf[wikipedia]'."
        ) from error
    return filter_wiki


def _template_text(match: re.Match[str]) -> str:
    """Text that an innermost template stands for; empty for infoboxes, citations, notes."""
    name, *parts = (part.strip() for part in match[1].split("|"))
    name = name.lower().replace("_", " ")
    values = [part for part in parts if not re.match(r"[a-z ]+\d?=", part, re.IGNORECASE)]
    # A first parameter that holds an equals sign is written `1=...`.
    values = values or [part[2:].strip() for part in parts if part.startswith("1=")]
    if name in _WORDS:
        return _WORDS[name]
    if not values:
        return ""
    if name in _FIRST:
        return values[0]
    if name in _LAST or name.startswith("lang-"):
        return values[-1] if name in _LAST else values[0]
    if name in ("convert", "cvt"):
        return _convert(values)
    if name in ("circa", "c."):
        return f"c. {values[0]}"
    if name == "as of":
        return f"as of {values[0]}"
    if name in ("frac", "fraction", "sfrac") and len(values) > 1:
        return "/".join(values[-2:])
    return ""


def _convert(values: list[str]) -> str:
    if len(values) > 3 and values[1] in _RANGES:
        values = [values[0] + _RANGES[values[1]] + values[2], *values[3:]]
    if len(values) < 2:
        return values[0]
    return f"{values[0]} {_UNITS.get(values[1], values[1])}"


def _link_text(match: re.Match[str]) -> str:
    """Text of an innermost link: nothing for files, categories and other languages."""
    target, *rest = match[1].split("|")
    if _TEXT_NAMESPACE.match(target) or (not rest and _NO_TEXT_LINK.match(target)):
        return ""
    return (rest[-1] if rest and rest[-1].strip() else target).lstrip(":")


def _replace_innermost(pattern: re.Pattern[str], text_of: Callable, text: str) -> str:
    # Innermost first, so that nesting needs no grammar; the bound stops hostile input.
    for _ in range(20):
        text, count = pattern.subn(text_of, text)
        if not count:
            break
    return text


def _without_tables(text: str) -> str:
    """Drops the lines from `{|` to `|}`; a heading ends a table that nobody closed."""
    kept, depth = [], 0
    for line in text.split("\n"):
        start = line.lstrip(" :*#")
        if start.startswith("{|"):
            depth += 1
        elif depth and start.startswith("|}"):
            depth -= 1
            line = start[2:]
        elif depth and _HEADING.fullmatch(start):
            depth = 0
        if not depth and not start.startswith("{|"):
            kept.append(line)
    return "\n".join(kept)


def _clean_line(line: str) -> str:
    line = _QUOTES.sub("", line).strip(" *#:;\t")
    line = _URL.sub("", _BEHAVIOUR_SWITCH.sub("", line))
    line = " ".join(line.split())
    line = _EMPTY_BRACKETS.sub("", line)
    line = _OPEN_BRACKET.sub("(", line)
    line = _BEFORE_PUNCTUATION.sub(lambda match: match[1] or match[2], line)
    line = _EMPTY_BRACKETS.sub(
        "", _DOUBLE_COMMA.sub(lambda m: "," if m[0][-1] == "," else "", line)
    )
    return " ".join(line.split())


def _is_prose(line: str) -> bool:
    """A whole sentence: not a caption, a list entry, a table cell or what is left of markup."""
    if line.count(" ") < 3 or not _SENTENCE_END.search(line) or _LEFTOVER.search(line):
        return False
    return len(_NO_LETTER.sub("", line)) > 0.5 * len(line)


def wikitext_to_paragraphs(text: str) -> tuple[str, ...]:
    """Paragraphs of prose of an article's markup.

    Left out are infoboxes and other templates (but those that stand for words of a sentence),
    tables, references, files, categories, formulas, headings, list entries that are no sentences,
    and the sections of references, links and lists of works.

    Args:
        text: an article's wikitext.

    Raises:
        InputError: gensim, whose filter removes the common markup, is not installed.

    Example:

    >>> wikitext_to_paragraphs("'''A''' is the [[letter (alphabet)|first letter]].<ref>Xy.</ref>")
    ('A is the first letter.',)
    """
    text = _COMMENT.sub("", text)
    text = _CONTENT_TAG.sub("", _EMPTY_TAG.sub("", text))
    text = _PARAGRAPH_TAG.sub("\n\n", _BREAK_TAG.sub(" ", text))
    text = _replace_innermost(_TEMPLATE, _template_text, text)
    text = _without_tables(text)
    text = _replace_innermost(_LINK, _link_text, text)
    text = html.unescape(_filter_wiki()(text))
    paragraphs = []
    dropped_level = 0
    for line in text.split("\n"):
        line = line.strip()
        heading = _HEADING.fullmatch(line)
        if heading:
            level = len(heading[1])
            if not dropped_level or level <= dropped_level:
                name = _QUOTES.sub("", heading[2]).strip().lower()
                dropped_level = level if name in _DROPPED_SECTIONS else 0
            continue
        if dropped_level or line.startswith(";"):
            continue
        line = _clean_line(line)
        if _is_prose(line):
            paragraphs.append(line)
    return tuple(paragraphs)
