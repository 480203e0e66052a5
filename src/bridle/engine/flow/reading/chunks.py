"""A text as a sequence of chunks, from which the text can be told but for the width of its spaces.

White space parts a text into runs. Punctuation at the edges of a run, and what joins two values in
it (quotes, brackets, commas, `=`), become tokens of their own, so that `Send it to bob@x.com.` has
the chunk `bob@x.com`; what is part of a value (`@`, `.`, `/`, `-`, `:` inside) never parts it.

Nothing is left out: every token says what it is and, of punctuation, whether it leads a run, ends
it, or joins; a line break is a token. Two texts with the same tokens differ only in the number of
spaces and tabs between their runs and in the case of purely alphabetic chunks, so a value whose
chunks stand one after the other in a text is something that the text really says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

CHUNK, LEADING, TRAILING, JOINT, LINE = "c", "l", "t", "j", "n"
"""The kinds of tokens; the first character of each."""

_NARROWEST, _WIDEST = 60, 120  # characters of a line that may have been broken for its width
_MOST_EDGE = 8  # punctuation marks at one edge that are tokens each

# Quotation marks and brackets of other scripts, by code point: they look like ASCII ones.
_OPENING = "\u201c\u2018\u00ab\u201e\u201a\u2039\uff08\u300c\u300e\u3010\u300a\u3008"
_CLOSED = "\u201d\u2019\u00bb\u203a\u201c\u2018\uff09\u300d\u300f\u3011\u300b\u3009"
_STOPS = "\u2026\u3002\u3001\uff0c\uff01\uff1f\uff1a\uff1b"
_LEAD = "\"'([{<`*\u00bf\u00a1" + _OPENING
_TAIL = ".,;:!?\"')]}>`*" + _CLOSED + _STOPS
_BETWEEN = r"\s\"<>{}|`()\[\],;" + (_OPENING + _CLOSED + _STOPS).replace("\u2019", "")
# `key=value`, but not the padding of base64.
_JOINTS = re.compile(
    rf"([{_BETWEEN}][{_BETWEEN}:']*|'[{_BETWEEN}:][{_BETWEEN}:']*|=(?=[^=])[{_BETWEEN}']*)"
)
# None of these can stand in a URL (RFC 3986), and a link in Markdown ends with the second.
_URL_JOINTS = re.compile(r"([\s\"\u201c\u201d<>{}|`^]+|\]\(|[,;](?=https?://))")
_QUOTED_URL_JOINTS = re.compile(r"([\s\"\u201c\u201d<>{}|`^']+)")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://|(?<![A-Za-z0-9.@-])www\.", re.IGNORECASE)
_GROUPED = re.compile(
    r"[^\s0-9,;\"'<>()\[\]{}|=]{0,4}[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?"
    r"[%A-Z\u20ac]{0,4}(?:/[a-z]{1,12})?"
)
# `id:26`; of other words nobody knows whether the colon parts them.
_FIELD = re.compile(
    r"(mailto|tel|phone|e-?mail|mail|to|cc|bcc|from|reply-to|sender|recipient|contact|user|name|title"
    r"|subject|channel|file|link|id|no|nr|number|ref|code|account|iban|amount|total|price|date)"
    r"(:)(?=[^/:])",
    re.IGNORECASE,
)
_POSSESSIVE = ("'s", "\u2019s")
_CLOSING = {")": "(", "]": "["}


def runs(text: str) -> list[str]:
    """Return what white space parts: runs, a line feed per line break, and empty strings.

    Only space, tab and line break are white space here; any other is part of its run.
    """
    text = stripped(text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\t" in text:
        text = text.replace("\t", " ")
    if "\n" in text:
        text = text.replace("\n", " \n ")
    return text.split(" ")


def stripped(text: str) -> str:
    """Return a text without the white space around it."""
    return text.strip(" \t\r\n")


def unwrapped(text: str) -> Iterator[str]:
    """Yield in one line what was broken into lines for their width alone, as far as one can tell.

    So a value that was said over the end of such a line is found in one piece. A value with a line
    break of its own is none of these.
    """
    block: list[str] = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if line.strip():
            block.append(line.strip(" \t"))
        if not _NARROWEST <= len(line) <= _WIDEST:
            if len(block) > 1:
                yield " ".join(block)
            block = []
    if len(block) > 1:
        yield " ".join(block)


def tokens(run: str) -> list[str]:
    """Return the tokens of one run, each with its kind in front. Linear in its length."""
    if run.isalnum():
        return [CHUNK + folded(run)]
    if not run or run == "\n":
        return [LINE] if run else []
    rest = run.lstrip(_LEAD)
    core = rest.rstrip(_TAIL)
    if not core:
        return [CHUNK + run]
    lead, tail = run[: len(run) - len(rest)], rest[len(core) :]
    url = _URL.search(core) if "://" in core or "www." in core.lower() else None
    if url:
        core, tail = _balanced(core, tail, url.start())
        inner = _with_url(lead, core, url.start())
    else:
        inner = _plain(core)
    return [*_edge(LEADING, lead), *inner, *_edge(TRAILING, tail)]


def cores(told: list[str]) -> list[str]:
    """Return the chunks among tokens, without their kind."""
    return [t[1:] for t in told if t[0] == CHUNK]


def folded(core: str) -> str:
    """Return a chunk in the form in which it is compared: lower case if it is purely alphabetic.

    A letter folds only where its upper case leads back to it, so that no two letters that look
    different to a receiver (K and the Kelvin sign, s and the long s) become one.
    """
    if not core.isalpha() or core.islower():
        return core
    return core.lower() if core.isascii() else "".join(map(_lower, core))


def _lower(letter: str) -> str:
    lower = letter.lower()
    return lower if lower.upper() == letter else letter


def _edge(kind: str, marks: str) -> list[str]:
    if len(marks) > _MOST_EDGE:
        return [kind + marks]
    return [kind + m for m in marks]


def _balanced(core: str, tail: str, start: int) -> tuple[str, str]:
    """Give back to the URL that starts here the closing brackets that were opened inside it."""
    while tail and (opening := _CLOSING.get(tail[0])) and len(tail) <= _MOST_EDGE:
        if core.count(opening, start) <= core.count(tail[0], start):
            break
        core, tail = core + tail[0], tail[1:]
    return core, tail


def _with_url(lead: str, core: str, start: int) -> list[str]:
    # An apostrophe may stand in a URL, but not in one that stands between two.
    quoted = (lead + core[:start]).endswith("'")
    told = _parted(core[start:], _QUOTED_URL_JOINTS if quoted else _URL_JOINTS)
    if not start:
        return told
    name = core[:start].rstrip("=" + _TAIL + _LEAD)
    signs = core[len(name) : start]
    return [*_plain(name), JOINT + signs, *told] if name else [LEADING + signs, *told]


def _plain(core: str) -> list[str]:
    if core.isalnum() or _GROUPED.fullmatch(core):
        return [CHUNK + folded(core)]
    if core.endswith(_POSSESSIVE) and len(core) > 2:
        return [*_joined(core[:-2]), TRAILING + core[-2:]]
    return _joined(core)


def _joined(core: str) -> list[str]:
    field = _FIELD.match(core)
    if field and field.end() < len(core):
        return [CHUNK + folded(field[1]), JOINT + ":", *_parted(core[field.end() :], _JOINTS)]
    return _parted(core, _JOINTS)


def _parted(core: str, joints: re.Pattern[str]) -> list[str]:
    pieces = joints.split(core)
    told = [
        JOINT + piece if index % 2 else CHUNK + folded(piece) for index, piece in enumerate(pieces)
    ]
    if len(pieces) == 3 and not pieces[0] and not pieces[2]:
        return [CHUNK + core]
    # What stands before or behind everything joins nothing.
    if not pieces[0]:
        told[:2] = [LEADING + pieces[1]]
    if not pieces[-1]:
        told[-2:] = [TRAILING + pieces[-2]]
    return told
