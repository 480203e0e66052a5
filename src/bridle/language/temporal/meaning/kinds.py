"""The coarse types that conditions are checked by, and which of them go together.

An entity type counts by its last name, as binders may write it; extension types other than
`decimal` are compared as strings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from bridle.language.events.actions import CedarType, Form
from bridle.language.temporal.ast import TIMEPOINT


class Kind(Struct, frozen=True):
    """`entity` is the last name of an entity type, empty where it may be of several.

    A set with no `item` may be one of anything.
    """

    name: str
    entity: str = ""
    item: Kind | None = None

    def __str__(self) -> str:
        if self.name == "entity":
            return self.entity or "an entity"
        if self.name == "Set":
            return f"Set<{self.item}>" if self.item else "Set"
        return self.name


LONG = Kind("Long")
STRING = Kind("String")
DECIMAL = Kind("decimal")
BOOL = Kind("Bool")
TIME = Kind("Timepoint")
RECORD = Kind("record")
MIXED = Kind("anything")
"""The items of an array that are not all of one known kind."""

_ANNOTATED = {
    "Long": LONG,
    "String": STRING,
    "Bool": BOOL,
    "Boolean": BOOL,
    "decimal": DECIMAL,
    "Decimal": DECIMAL,
}


def of_type(cedar: CedarType) -> Kind:
    """Return the kind of a Cedar type."""
    if cedar.form is Form.ENTITY:
        return entity(cedar.name)
    if cedar.form is Form.RECORD:
        return RECORD
    if cedar.form is Form.SET and cedar.item is not None:
        return Kind("Set", item=of_type(cedar.item))
    return _ANNOTATED.get(cedar.name, STRING)


def of_binder(written: tuple[str, ...]) -> Kind:
    """Return the kind that a binder declares. A name that is no plain type is an entity type."""
    if written == TIMEPOINT:
        return TIME
    return _ANNOTATED.get(written[-1]) or entity(written[-1])


def entity(name: str) -> Kind:
    """Return the kind of an entity type."""
    return Kind("entity", entity=name.rpartition("::")[2])


def of_entities(names: Sequence[str]) -> Kind | None:
    """Return the kind of an entity that is of one of these types; none where there is none."""
    if not names:
        return None
    return entity(names[0]) if len(names) == 1 else Kind("entity")


def fits(declared: Kind, given: Kind) -> bool:
    """Whether a value of kind `given` can stand in a field declared so."""
    if declared.name == given.name == "entity":
        return not declared.entity or not given.entity or declared.entity == given.entity
    return _same(declared, given, fits)


def comparable(left: Kind, right: Kind) -> bool:
    """Whether two values can be equal: any two entities can be compared."""
    return left.name == right.name == "entity" or _same(left, right, comparable)


def _same(left: Kind, right: Kind, items: Callable[[Kind, Kind], bool]) -> bool:
    if left == right or left.name != "Set" or right.name != "Set":
        return left == right
    if left.item is None or right.item is None:
        return True
    return MIXED not in {left.item, right.item} and items(left.item, right.item)
