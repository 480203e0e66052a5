"""Days and times of day, and the one form of each: ISO 8601, `--05-15` for a day without a year.

Only what can be read in one way has a form: `05/15/2024` does, `05/06/2024` does not. No time zone
and no year is ever added. `12 am` is 00:00.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august"),
    *("september", "october", "november", "december"),
)
_NUMBERS = {
    **{name: number for number, name in enumerate(_MONTHS, 1)},
    **{name[:3]: number for number, name in enumerate(_MONTHS, 1)},
    "sept": 9,
}
_NAMES = "|".join(f"{m[:3]}(?:{m[3:]})?" if len(m) > 3 else m for m in _MONTHS)
_MONTH = rf"(?:{_NAMES}|sept)\.?"
DAY = (
    r"(?:[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}|--[0-9]{2}-[0-9]{2}"
    r"|[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}|[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}"
    rf"|[0-9]{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH}(?:,? [0-9]{{4}})?"
    rf"|{_MONTH} (?:the )?[0-9]{{1,2}}(?:st|nd|rd|th)?(?:,? [0-9]{{4}})?)"
)
"""The pattern of a day (RE2 and `re`, case folded)."""
_CLOCK = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
TIME = rf"(?:{_CLOCK}(?: ?[ap]\.?m\b\.?)?|[0-9]{{1,2}} ?[ap]\.?m\b\.?)"
"""The pattern of a time of day (RE2 and `re`, case folded)."""
_ZONE = r"z|[+-][0-9]{2}:?[0-9]{2}"
_TOWARDS = " ?(?:-|\u2013|to|until|till|and) ?"
BOTH = (
    rf"{DAY}(?:t| |, ?| ?@ ?|,? at | from | between ){TIME}(?:{_ZONE})?(?:{_TOWARDS}{TIME})?"
    rf"|{TIME}(?:{_TOWARDS}{TIME})?(?: on | |, ?){DAY}"
)
"""The pattern of a day with a time, or with a beginning and an end (RE2 and `re`, case folded)."""

_DAY = re.compile(DAY, re.IGNORECASE)
_TIME = re.compile(TIME, re.IGNORECASE)
_BOTH = re.compile(BOTH, re.IGNORECASE)
_ANY = re.compile(f"{DAY}|{TIME}|{BOTH}", re.IGNORECASE)
_ZONED = re.compile(rf"(?<=[0-9])(?:{_ZONE})$", re.IGNORECASE)
_WORDS = re.compile(r"[a-z]+|[0-9]+")
_PARTS = re.compile(r"([0-9]{1,2})(?::([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?)? ?([ap])?")
_LEAP = 2000  # has every day that a year can have

LONGEST = 64
"""Characters of the longest text that is one moment."""


def moment(text: str) -> str:
    """The form of a text that is one day, one time of day, or a day with one time; else ""."""
    if len(text) > LONGEST or not _ANY.fullmatch(text):
        return ""
    if form := day(text) or time(text):
        return form
    if not _BOTH.fullmatch(text):
        return ""
    forms = list(moments(text))
    return forms[0] if len(forms) == 3 else ""


def moments(text: str) -> Iterator[str]:
    """Yield what a text that is one of the patterns says: day with times first, then each alone."""
    days = [d for d in (day(m[0]) for m in _DAY.finditer(text)) if d]
    rest = _DAY.sub(lambda m: " " * len(m[0]), text, count=1) if days else text
    zone = _ZONED.search(rest)
    shown = _zone(zone[0]) if zone else ""
    times = [t for t in (time(m[0]) for m in _TIME.finditer(_ZONED.sub("", rest))) if t]
    # `10:00-11:00` is two times, unless the notation of ISO 8601 says that it is one.
    if len(days) == 1 and not (shown.startswith("-") and rest.strip()[0] not in "tT"):
        yield from (f"{days[0]}T{t}{shown}" for t in times)
    yield from days
    yield from times


def day(text: str) -> str:
    """The form of a text that is one day, with its year or without."""
    if not _DAY.fullmatch(text):
        return ""
    words = _WORDS.findall(text.lower())
    month = next((_NUMBERS[w] for w in words if w in _NUMBERS), 0)
    numbers = [w for w in words if w.isdigit()]
    if month:
        year = int(numbers[1]) if len(numbers) > 1 else None
        return _iso(year, month, int(numbers[0]))
    if text.startswith("--"):
        return _iso(None, int(numbers[0]), int(numbers[1]))
    if len(numbers[0]) == 4:
        return _iso(*map(int, numbers))
    return _slashed(*map(int, numbers))


def time(text: str) -> str:
    """The form of a text that is one time of day: `HH:MM`, with seconds unless they are zero."""
    found = _PARTS.match(text.lower()) if _TIME.fullmatch(text) else None
    if not found:
        return ""
    hour, minute, second = (int(found[group] or 0) for group in (1, 2, 3))
    if found[5]:
        if not 1 <= hour <= 12:
            return ""
        hour = hour % 12 + 12 * (found[5] == "p")
    if hour > 23 or minute > 59 or second > 59:
        return ""
    fraction = (found[4] or "").rstrip("0")
    seconds = f":{second:02}" if second or fraction else ""
    return f"{hour:02}:{minute:02}{seconds}{'.' if fraction else ''}{fraction}"


def _slashed(first: int, second: int, year: int) -> str:
    """Return a day whose first two numbers could be day and month or month and day."""
    if first == second or second > 12:
        return _iso(year, first, second)
    return _iso(year, second, first) if first > 12 else ""


def _iso(year: int | None, month: int, number: int) -> str:
    try:
        form = date(_LEAP if year is None else year, month, number).isoformat()
    except ValueError:
        return ""
    return f"-{form[4:]}" if year is None else form


def _zone(text: str) -> str:
    zone = text.upper()
    return zone if zone == "Z" or ":" in zone else f"{zone[:3]}:{zone[3:]}"
