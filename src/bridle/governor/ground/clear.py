"""What may stand in clear text on a record: names. Whatever could carry a payload is sealed."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Any

_LONGEST = 256
_MOST_ITEMS = 64
_TOKEN = re.compile(r"[A-Za-z0-9_.:/@+-]{1,128}")

# Stands where a caller's word was no name; the word itself lies sealed beside the record.
UNPRINTED = "?"


def is_text(value: str) -> bool:
    """Whether a string is Unicode text: half a surrogate pair cannot be written down anywhere."""
    if value.isascii():  # known of every string, so it costs nothing
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def text_of(value: str) -> str:
    """Return the string with every half of a surrogate pair spelt out: so it can be written."""
    return value if is_text(value) else value.encode("utf-8", "backslashreplace").decode()


def token(value: str) -> str:
    """Return a caller's word if it looks like a name, else `?`: prose and data are not for all."""
    return value if not value or _TOKEN.fullmatch(value) else UNPRINTED


def plain(value: Any, *, longest: int = _LONGEST, items: int = _MOST_ITEMS) -> Any:
    """Return a value of a record's body, bounded: strings and lists are cut, nothing fails."""
    return value if _fits(value, longest, items) else _cut(value, longest, items)


def _fits(value: Any, longest: int, items: int) -> bool:
    """Whether nothing has to be cut or spelt out, as in almost every record."""
    if isinstance(value, str):
        return len(value) <= longest and value.isascii()
    if isinstance(value, dict):
        mapping: dict[Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
        if len(mapping) > items or not _names_fit(tuple(mapping), longest):
            return False
        return _all_fit(mapping.values(), longest, items)
    if isinstance(value, list | tuple):
        return _all_fit(value, longest, items)  # pyright: ignore[reportUnknownArgumentType]
    return True


@lru_cache(maxsize=64)  # almost all records have one of a few sets of names
def _names_fit(names: tuple[Any, ...], longest: int) -> bool:
    return all(type(name) is str and len(name) <= longest and name.isascii() for name in names)


def _all_fit(values: Collection[Any], longest: int, items: int) -> bool:
    if len(values) > items:
        return False
    for each in values:
        kind = type(each)  # pyright: ignore[reportUnknownVariableType]
        if kind is str:  # most are: no call for each of them
            if len(each) > longest or not each.isascii():
                return False
        elif kind is not int and kind is not bool and not _fits(each, longest, items):
            return False
    return True


def _cut(value: Any, longest: int, items: int) -> Any:
    if isinstance(value, str):
        return _short(value, longest)
    if isinstance(value, dict):
        pairs: list[tuple[Any, Any]] = list(value.items())[:items]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return {
            _short(str(key), longest): plain(each, longest=longest, items=items)
            for key, each in pairs
        }
    if isinstance(value, list | tuple):
        listed: list[Any] = list(value)[:items]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return [plain(item, longest=longest, items=items) for item in listed]
    return value


def _short(value: str, longest: int) -> str:
    if len(value) <= longest and value.isascii():
        return value
    return text_of(value[:longest])
