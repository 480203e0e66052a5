"""Values → atoms: equal exactly when the language says the values are (its `dom_eq`).

Three ways in: what a condition writes (`literal`), what Cedar is shown of an action (`cedar`), and
what a trace of the reference holds (`plain`). Cedar's sets have no order and no repetition, so in
Bridle two arrays are equal when they are equal as sets; the reference compares its arrays in order,
which only traces (`ordered`) do here. One job: no reading of events, no comparing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from bridle.bundle.schema.shape import Fraction, Many, Record, Shape
from bridle.engine.temporal.event import Atom
from bridle.language.temporal.ast import (
    ArrayLiteral,
    DecimalLiteral,
    EntityLiteral,
    IntegerLiteral,
    Term,
    TextLiteral,
    TruthLiteral,
)
from bridle.language.trace import Value
from bridle.model.errors import UsageError

LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1
"""The range of a Long, and in ten-thousandths of a decimal."""

NULL: Atom = "n"
"""A null that is there. It equals only itself."""

# ASCII digits only, and no more than a Long can have: Python reads others too, and slowly.
_DECIMAL = re.compile(r"(-?)0*+([0-9]{0,15})\.([0-9]{1,4})")


_ENTITIES = 1_024


def _as_is(text: str) -> str:
    return text


class Atomiser:
    """Makes atoms. `keyed` stands in for every text, so that a kept history holds none.

    INVARIANT: equal atoms come from equal values only: each kind has its own tag, and what is
    composed is length-prefixed. `keyed` must not collide.
    """

    def __init__(self, keyed: Callable[[str], str] | None = None, *, ordered: bool = False) -> None:
        self._keyed = keyed or _as_is
        self._ordered = ordered
        # Agents, systems and users recur in every event. A hint: threads may both write to it.
        self._entities: dict[tuple[str, str], Atom] = {}

    def text(self, value: str) -> Atom:
        """Return the atom of a string."""
        return "s:" + self._keyed(value)

    def truth(self, value: bool) -> Atom:  # noqa: FBT001 - the value itself
        """Return the atom of a Bool, which is no integer."""
        return "b1" if value else "b0"

    def entity(self, kind: str, name: str) -> Atom:
        """Return the atom of an entity: its qualified type, and its id."""
        known = self._entities.get((kind, name))
        if known is not None:
            return known
        if len(self._entities) >= _ENTITIES:
            self._entities.clear()
        made = self._entities[kind, name] = "e:" + self._keyed(f'{kind}::"{name}"')
        return made

    def decimal(self, text: str) -> Atom:
        """Return the atom of a decimal: by value, or by spelling where Cedar would refuse it."""
        units = decimal_units(text)
        return "x:" + self._keyed(text) if units is None else f"d:{units}"

    def array(self, items: Iterable[Atom]) -> Atom:
        """Return the atom of an array of atoms: in order in traces, as a set everywhere else."""
        parts = [_part(item) for item in items]
        return "a:" + self._keyed("".join(parts if self._ordered else sorted(set(parts))))

    def record(self, members: Mapping[str, Atom]) -> Atom:
        """Return the atom of a record of atoms."""
        return "o:" + self._keyed(
            "".join(_part(name) + _part(members[name]) for name in sorted(members))
        )

    def literal(self, term: Term) -> Atom:
        """Return the atom of a literal. Raises `UsageError` for a term that is none."""
        match term:
            case IntegerLiteral(value):
                return value
            case TextLiteral(value):
                return self.text(value)
            case TruthLiteral(value):
                return self.truth(value)
            case DecimalLiteral(text):
                return self.decimal(text)
            case EntityLiteral(kind, name):
                return self.entity(kind, name)
            case ArrayLiteral(items):
                return self.array(self.literal(item) for item in items)
            case _:
                raise UsageError(f"a {type(term).__name__} is no literal")

    def cedar(self, value: Any, shape: Shape | None = None) -> Atom:
        """Return the atom of a value in Cedar's JSON form, as projection makes it.

        `shape` is its type: a decimal is printed as a text there, and nothing else tells the two
        apart. Without one the explicit forms `__extn` and `__entity` are understood, as by Cedar.
        """
        if isinstance(shape, Fraction) and isinstance(value, str):
            return self.decimal(value)
        kind = cast("object", type(value))
        if kind is list:
            item = shape.item if isinstance(shape, Many) else None
            return self.array(self.cedar(each, item) for each in value)
        if kind is dict:
            return self._cedar_record(value, shape)
        return self._scalar(value)

    def plain(self, value: Value) -> Atom:
        """Return the atom of a value of a trace."""
        if isinstance(value, EntityLiteral | DecimalLiteral):
            return self.literal(value)
        if isinstance(value, list):
            return self.array(self.plain(each) for each in value)
        if isinstance(value, dict):
            return self.record({name: self.plain(each) for name, each in value.items()})
        return self._scalar(value)

    def _cedar_record(self, value: dict[str, Any], shape: Shape | None) -> Atom:
        if isinstance(shape, Record):
            fields = shape.fields
            return self.record(
                {
                    name: self.cedar(each, fields[name].shape if name in fields else None)
                    for name, each in value.items()
                }
            )
        match value:
            case {"__entity": {"type": str(kind), "id": str(name)}}:
                return self.entity(kind, name)
            case {"__extn": {"fn": "decimal", "arg": str(text)}}:
                return self.decimal(text)
            case _:
                return self.record({name: self.cedar(each) for name, each in value.items()})

    def _scalar(self, value: object) -> Atom:
        if isinstance(value, bool):
            return self.truth(value)
        if isinstance(value, int):
            return value
        if isinstance(value, str):
            return self.text(value)
        if value is None:
            return NULL
        raise UsageError(f"a {type(value).__name__} cannot stand in a history")


def decimal_units(text: str) -> int | None:
    """Return Cedar's value of a decimal in ten-thousandths; None where Cedar takes it for none."""
    whole, point, _ = text.partition(".")
    found = _DECIMAL.fullmatch(text)
    if not found or not point or whole in {"", "-"}:
        return None
    units = int(found[2] + found[3].ljust(4, "0"))
    signed = -units if found[1] else units
    return signed if LONG_MIN <= signed <= LONG_MAX else None


def _part(atom: Atom) -> str:
    text = f"i{atom}" if isinstance(atom, int) else atom
    return f"{len(text)}:{text}"
