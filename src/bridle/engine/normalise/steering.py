"""The part of arguments that steers an effect, and whether two such parts are the same.

Content only travels; it may differ between two actions that a human takes for the same. Everything
else, nested parts and the length of arrays included, has to be equal.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from bridle.engine.normalise.places import Place, place_of
from bridle.language.plain import is_array, is_object

Path = tuple[str, ...]


class _Nothing:
    """Stands where nothing steers."""

    __slots__ = ()


_NOTHING = _Nothing()


def steering(value: Any, place: Place, but: frozenset[Path], path: Path = ()) -> Any:
    """Return what of a value steers the effect, without the arguments at the paths `but`."""
    if path in but:
        return _NOTHING
    if is_object(value):
        parts = {
            name: steering(each, place.names.get(name, place.other), but, (*path, name))
            for name, each in value.items()
        }
        kept = {name: part for name, part in parts.items() if part is not _NOTHING}
        return kept if kept or place.steering else _NOTHING
    if is_array(value):
        items = [
            steering(each, place_of(place, i), but, (*path, "[]")) for i, each in enumerate(value)
        ]
        bare = all(item is _NOTHING for item in items)
        return _NOTHING if bare and not place.steering else items
    return value if place.steering else _NOTHING


def same(one: Any, other: Any) -> bool:
    """Whether two such parts are equal: of one JSON type, numbers by their value."""
    if is_object(one) and is_object(other):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if is_array(one) and is_array(other):
        return len(one) == len(other) and all(map(same, one, other))
    if is_number(one) and is_number(other):
        return bool(one == other)
    return type(one) is type(other) and bool(one == other)


def is_number(value: Any) -> bool:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def at(value: Any, path: Path) -> Any:
    """Return what stands at a path of names; None where nothing does."""
    for name in path:
        if not is_object(value) or name not in value:
            return None
        value = value[name]
    return value


def reaches(place: Place, path: Path) -> bool:
    """Whether a path of names leads to a declared argument."""
    for name in path:
        if name not in place.names:
            return False
        place = place.names[name]
    return bool(path)
