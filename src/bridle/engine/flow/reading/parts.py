"""What two texts may share though neither contains the other, also behind an encoding.

Identifiers, chunks that are rare enough to tell (they hold digits or address signs, or are long),
and each line as one. Nothing here makes a value trusted. What is hidden by an encoding counts in
full: of a decoded text every word is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from bridle.engine.detect.expression import Expression, octets
from bridle.engine.detect.views import View, views
from bridle.engine.flow.identifiers import Kind, near, said, standing
from bridle.engine.flow.reading import chunks
from bridle.engine.flow.reading.hiding import may_hide

SQUEEZED, DIGITS = "q", "g"
"""Kinds of tokens: a line without anything but letters and digits; a long row of digits."""

_BUDGET, _BUDGET_FLOOR = 8, 65_536
# Characters of all views together, per character of the text and at least.

_LONGEST_LINE = 400
_GROUPED = 12  # characters from which on an id is also written in groups
_SHORTEST, _SHORTEST_NUMBER, _SHORTEST_HIDDEN, _LONG = 4, 5, 3, 16
_TELLING = re.compile(r"[0-9@_/:\\]|[^\W_]\.[^\W_]")
_ACROSS_HIDING = Expression(
    rb"(?:^|[^A-Za-z0-9])(?:[^\n][ \t\n]{1,5}){5}"
    rb"|(?:[0-9A-Fa-f]{2}[ :,-]{1,2}){5}|(?:(?:0[xX]|\\x)[0-9A-Fa-f]{2}[ :,-]{0,2}){5}"
    rb"|[A-Za-z0-9+/_-][A-Z0-9+/][A-Za-z0-9+/_-]*\r?\n[A-Za-z0-9+/_-]{4,}"
    rb"|[A-Za-z0-9+/_-]{16,}\r?\n[A-Za-z0-9+/_-]{4,}"
)
_ACROSS = Expression(
    rb"(?i)[0-9)][ \t][0-9(]|[0-9] ?[ap]\.?m\b"
    rb"|[0-9](?:st|nd|rd|th)? (?:of )?(?:%(m)s)|(?:%(m)s)[a-z]{0,6}\.? (?:the )?[0-9]"
    % {b"m": b"jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"}
)
_ROWS = Expression(rb"[0-9](?:[ \t._/()-]{0,2}[0-9]){6,40}")
_SPARE = re.compile(r"[\W_]+")
_SPARE_ASCII = bytes(c for c in range(256) if not chr(c).isalnum() or c > 127)
_FIELD = re.compile(r"[:=][ \t]+(?=\S)")


class Parts(NamedTuple):
    """What to look for, and the texts that an encoding hid, in which sentences count too."""

    told: list[str]
    hidden: list[str]


def of_run(run: str, forms: Mapping[str, list[str]]) -> Parts:
    """Return what to look for in one run, given its chunks and the identifiers that they are."""
    if run.isascii() and not may_hide(run):
        found = [part for core, own in forms.items() for part in _of_core(core, own)]
        return Parts(list(dict.fromkeys(found)), [])
    return _of_views(_bounded(run))


def of_text(text: str) -> Parts:
    """Return what to look for in a text beyond its single runs."""
    folded = text if text.isascii() else next(views(text)).text
    data = octets(folded)
    told = list(squeezed(folded.strip()))
    if _ACROSS.matches(data):
        told += _across(folded)
    hidden = [] if folded == text else [folded]
    if not _ACROSS_HIDING.matches(data):
        return Parts(told, hidden)
    deeper = _of_views(view for view in _bounded(text) if view.depth)
    return Parts(told + deeper.told, hidden + deeper.hidden)


def squeezed(text: str) -> Iterator[str]:
    """Yield the text and each line, or what stands behind `: ` in it: letters and digits only.

    Long ones are left out, since enough else in them tells, and so are short single chunks that
    tell by themselves.
    """
    if len(text) <= _LONGEST_LINE and "\n" in text and len(whole := _tight(text)) >= _SHORTEST:
        yield SQUEEZED + whole
    for line in text.split("\n"):
        value = line.strip()
        if (": " in value or "= " in value) and (field := _FIELD.search(value)):
            value = value[field.end() :]
        if len(value) > _LONGEST_LINE or len(value) < _SHORTEST:
            continue
        if " " in value or len(value) >= _GROUPED or not _telling(value):
            yield SQUEEZED + _tight(value)


def of_labelled(value: str) -> list[str]:
    """Return by what a value is known wherever it turns up, in any form."""
    found = [*said(value), *standing(value, amounts=False), *_rows(value), *squeezed(value)]
    return [*found, *(chunks.CHUNK + c.lower() for c in _telling(value))]


def standing_for(value: str) -> list[str]:
    """Return the chunk that stands for a value in which nothing else tells: its longest.

    Rather a label too many than one lost. It is looked for among the chunks themselves.
    """
    if _telling(value) or said(value) or any(_rows(value)):
        return []
    longest = max(_cores(value), key=len, default="")
    return [chunks.CHUNK + longest, chunks.CHUNK + longest.lower()] if longest else []


def _telling(value: str) -> list[str]:
    return [c for c in _cores(value) if _tells(c.lower(), said(c))]


def _cores(text: str) -> list[str]:
    return [c for run in chunks.runs(text) for c in chunks.cores(chunks.tokens(run))]


def _tight(line: str) -> str:
    if line.isascii():
        return line.lower().encode().translate(None, _SPARE_ASCII).decode()
    return _SPARE.sub("", line.lower())


def _bounded(text: str) -> Iterator[View]:
    budget = _BUDGET * len(text) + _BUDGET_FLOOR
    for view in views(text):
        budget -= len(view.text)
        if budget < 0:
            return
        yield view


def _of_views(seen: Iterable[View]) -> Parts:
    """Return what to look for in readings of a text; of the hidden ones, every word."""
    told, hidden = dict[str, None](), list[str]()
    for view in seen:
        for core in dict.fromkeys(_cores(view.text)):
            told.update(dict.fromkeys(_of_core(core, said(core), hidden=view.depth > 0)))
        if view.depth:
            told.update(dict.fromkeys((*squeezed(view.text.strip()), *_across(view.text))))
            hidden.append(view.text)
    return Parts(list(told), hidden)


def _of_core(core: str, forms: list[str], *, hidden: bool = False) -> Iterator[str]:
    low = core.lower()
    if len(low) >= _SHORTEST_HIDDEN if hidden else _tells(low, forms):
        yield chunks.CHUNK + low
    for form in forms:
        if _rare(form):
            yield form
        yield from near(form)
    row = core.replace("-", "").replace(".", "").replace("/", "")
    if len(row) > 6 and row.isdigit() and row.isascii():
        yield DIGITS + row


def _tells(core: str, forms: list[str]) -> bool:
    if len(core) < _SHORTEST:
        return False
    if forms and not any(map(_rare, forms)):
        return False
    return len(core) >= _LONG or bool(_TELLING.search(core))


def _rare(form: str) -> bool:
    """Whether an identifier is no everyday number or time of day."""
    if form[0] == Kind.NUMBER:
        return sum(map(str.isdigit, form)) >= _SHORTEST_NUMBER
    return form[0] != Kind.MOMENT or "-" in form


def _across(text: str) -> Iterator[str]:
    for form in standing(text, amounts=False):
        if _rare(form):
            yield form
    yield from _rows(text)


def _rows(text: str) -> Iterator[str]:
    data = octets(text)
    for start, end in _ROWS.spans(data):
        yield DIGITS + data[start:end].translate(None, b" \t._/()-").decode()
