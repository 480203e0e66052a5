"""Which identifiers a text is, and which stand in it, as `<kind><normal form>`.

A form says exactly one thing, so two texts with the same form name the same thing. What is merely
like another (a host, and an address on it) has another form: it is `near`, and proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import StrEnum

from bridle.engine.detect.expression import Expression, octets
from bridle.engine.detect.structured import ibans
from bridle.engine.flow.identifiers import addresses, moments, quantities


class Kind(StrEnum):
    """The kinds of identifiers, one character each."""

    EMAIL = "m"
    URL = "u"
    HOST = "h"
    IBAN = "i"
    PHONE = "p"
    HEX = "x"
    TAG = "#"
    MOMENT = "d"
    NUMBER = "v"
    USER = "U"
    PLACE = "H"


_Readers = tuple[tuple[Kind, Callable[[str], str]], ...]
_READERS: dict[Kind, Callable[[str], str]] = {
    Kind.EMAIL: addresses.email,
    Kind.URL: addresses.url,
    Kind.HOST: addresses.host,
    Kind.IBAN: addresses.iban,
    Kind.PHONE: addresses.phone,
    Kind.HEX: addresses.hexadecimal,
    Kind.TAG: addresses.tag,
    Kind.MOMENT: moments.moment,
}
# What a text can be, by the signs in it; each is asked only where it can answer.
_WITH_AT: _Readers = tuple((k, _READERS[k]) for k in (Kind.EMAIL, Kind.URL, Kind.TAG))
_WITH_SLASH: _Readers = tuple((k, _READERS[k]) for k in (Kind.URL, Kind.PHONE, Kind.MOMENT))
_OTHERS: _Readers = tuple((k, read) for k, read in _READERS.items() if k != Kind.EMAIL)
_LONGEST_SPACED = 64
_LIKELY = re.compile(r"[0-9@#.:]")
_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?")


def _pattern(text: str) -> bytes:
    # One octet stands for every character beyond ASCII.
    return re.sub(r"[^\x00-\x7f]", r"\\xff", text).encode()


_MOMENTS = Expression(_pattern(rf"(?i){moments.BOTH}|{moments.DAY}|{moments.TIME}"))
_PHONES = Expression(
    rb"\+ ?(?:\([1-9][0-9]{0,3}\)|[1-9][0-9]{0,14})(?:[ .\-/]?\(?[0-9]{2,}\)?){0,7}"
    rb"|\(?[2-9][0-9]{2}\)?[ .-][0-9]{3}[ .-][0-9]{4}"
    rb"|\(0[1-9][0-9]{0,4}\)(?:[ /-]?[0-9]{2,8}){1,4}|0[1-9][0-9]{0,4}(?:[ /-][0-9]{2,8}){1,4}"
)
_AMOUNTS = Expression(
    _pattern(rf"(?:[$€£¥] ?|[A-Z]{{3}} )?{quantities.NUMBER} (?:[$€£¥%]|[A-Za-z]{{1,12}})")
    + _pattern(rf"|(?:[$€£¥]|[A-Z]{{3}}) {quantities.NUMBER}")
)
_IBANS = Expression(rb"[A-Z]{2}[0-9]{2}(?:[ -][A-Z0-9]{4}){2,7}(?:[ -][A-Z0-9]{1,3}\b)?")
_NOT_BEFORE, _NOT_BEHIND = b"-/._:+#@$%&~\xff", b"-/.:"


def said(text: str) -> list[str]:
    """Return the forms of a text that as a whole is an identifier, and what it says besides."""
    if _too_long(text):
        return []
    if not text.isascii():
        return _amount(text, alone=True)
    if not _LIKELY.search(text):
        return []
    return _addresses(text) + _amount(text, alone=True)


def accepted(text: str) -> list[str]:
    """Return the forms in any of which a source may have said a text.

    Those are its own, and of a web address also that without a scheme, of a word the one with `#`
    or `@` in front: whoever said that left nothing open that matters.
    """
    if _too_long(text):
        return []
    if not text.isascii():
        return _amount(text, alone=False)
    word = [Kind.TAG + "#" + text, Kind.TAG + "@" + text] if _WORD.fullmatch(text) else []
    if not _LIKELY.search(text):
        return word
    own = _addresses(text)
    return [*own, *_amount(text, alone=False), *_without_scheme(own), *word]


def near(form: str) -> list[str]:
    """Return forms of what is in an identifier: the host of an address, and the user of an e-mail.

    They are of a kind that no text as a whole has.
    """
    kind, text = form[0], form[1:]
    if kind == Kind.EMAIL:
        user, _, name = text.rpartition("@")
        return [Kind.USER + user, Kind.PLACE + name]
    if kind == Kind.URL:
        return [Kind.PLACE + addresses.parts_of_url(text)[1]]
    return [Kind.PLACE + text] if kind == Kind.HOST else []


def standing(text: str, *, amounts: bool = True) -> Iterator[str]:
    """Yield the forms of identifiers that stand in a text and may have spaces inside.

    `amounts` are numbers with a unit behind a space, and what has a currency in front.
    """
    data = octets(text)
    for start, end in _free(_MOMENTS, data):
        yield from (Kind.MOMENT + form for form in moments.moments(text[start:end]))
    for start, end in _free(_PHONES, data):
        if form := addresses.phone(text[start:end]):
            yield Kind.PHONE + form
    yield from _ibans(text, data)
    if amounts:
        for start, end in _free(_AMOUNTS, data, b","):
            yield from _amount(text[start:end], alone=True)


def _too_long(text: str) -> bool:
    # Only a URL is longer than this, and it has no spaces.
    return len(text) > _LONGEST_SPACED and (len(text) > addresses.LONGEST or " " in text)


def _addresses(text: str) -> list[str]:
    readers = _WITH_AT if "@" in text else _WITH_SLASH if "/" in text else _OTHERS
    return [kind + form for kind, read in readers if (form := read(text))]


def _amount(text: str, *, alone: bool) -> list[str]:
    """Return a number's form with its unit and, if `alone`, also without."""
    number, unit = quantities.quantity(text)
    if not number:
        return []
    whole = f"{Kind.NUMBER}{number} {unit}" if unit else Kind.NUMBER + number
    return [whole, Kind.NUMBER + number] if unit and alone else [whole]


def _without_scheme(own: list[str]) -> Iterator[str]:
    for form in own:
        if form[0] != Kind.URL:
            continue
        scheme, name, plain = addresses.parts_of_url(form[1:])
        if plain and scheme in ("", "http", "https"):
            yield Kind.URL + plain
            if plain == name + "/":
                yield Kind.HOST + name


def _free(pattern: Expression, data: bytes, comma: bytes = b"") -> Iterator[tuple[int, int]]:
    """Yield matches that are no part of something longer; `comma` is a sign that may join it."""
    joins = frozenset(_NOT_BEFORE + comma)
    leads_on = frozenset(_NOT_BEHIND + comma)
    for start, end in pattern.spans(data):
        before, after = data[start - 1 : start] if start else b"", data[end : end + 1]
        if before and (before.isalnum() or before[0] in joins):
            continue
        if after.isalnum() or after == b"\xff":
            continue
        if after and after[0] in leads_on and data[end + 1 : end + 2].isalnum():
            continue
        yield start, end


def _ibans(text: str, data: bytes) -> Iterator[str]:
    for start, end in _free(_IBANS, data):
        for first, stop in ibans(data[start:end]):
            if data[start + stop : start + stop + 1].isalnum():
                continue
            if form := addresses.iban(text[start + first : start + stop]):
                yield Kind.IBAN + form
