"""What an event must be for an index to take it, as far as the event alone says.

Tests compare as values, so that conditions that ask the same share an index.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable

from msgspec import Struct

from bridle.engine.temporal.event import Atom
from bridle.engine.temporal.index.record import Fields

Matcher = Callable[[Fields], bool]


class Present(Struct, frozen=True):
    """The field is there."""

    index: int


class Equal(Struct, frozen=True):
    """The field is `atom`."""

    index: int
    atom: Atom


class Same(Struct, frozen=True):
    """Two fields are there and equal."""

    left: int
    right: int


class Compared(Struct, frozen=True):
    """A comparison of fields and literals. An operand is an index, or a literal in a tuple."""

    op: str
    left: int | tuple[Atom]
    right: int | tuple[Atom]


class NotAll(Struct, frozen=True):
    """Not all of the tests hold."""

    tests: tuple[Test, ...]


Test = Present | Equal | Same | Compared | NotAll

_ORDER: dict[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compare(op: str, left: Atom | None, right: Atom | None) -> bool:
    """Whether a comparison holds. Order is between integers only; nothing compares with None."""
    if left is None or right is None:
        return False
    if op == "==":
        return left == right
    if op == "!=":
        return left != right
    return isinstance(left, int) and isinstance(right, int) and _ORDER[op](left, right)


def comparer(op: str) -> Callable[[Atom | None, Atom | None], bool]:
    """Return `compare` for one operator."""
    order = _ORDER.get(op)
    if order is None:
        return lambda left, right: compare(op, left, right)
    return lambda left, right: (
        isinstance(left, int) and isinstance(right, int) and order(left, right)
    )


def canonical(tests: Iterable[Test]) -> tuple[Test, ...]:
    """Return the tests without repetition, in an order that does not depend on how they came."""
    return tuple(sorted(set(tests), key=repr))


def matcher(tests: tuple[Test, ...]) -> Matcher:
    """Return the function that says whether all of `tests` hold."""
    parts = [_one(test) for test in tests]
    if not parts:
        return lambda fields: True  # noqa: ARG005 - whatever they are
    if len(parts) == 1:
        return parts[0]
    return _all(parts)


def _all(parts: list[Matcher]) -> Matcher:
    def every(fields: Fields) -> bool:
        for part in parts:  # noqa: SIM110 - a generator costs more than the tests
            if not part(fields):
                return False
        return True

    return every


def _one(test: Test) -> Matcher:
    match test:
        case Present(index):
            return lambda fields: fields[index] is not None
        case Equal(index, atom):
            return lambda fields: fields[index] == atom
        case Same(left, right):
            return lambda fields: fields[left] is not None and fields[left] == fields[right]
        case Compared(op, first, second):
            return _compared(op, first, second)
        case NotAll(tests):
            inner = matcher(tests)
            return lambda fields: not inner(fields)


def _compared(op: str, left: int | tuple[Atom], right: int | tuple[Atom]) -> Matcher:
    first, second = _operand(left), _operand(right)
    return lambda fields: compare(op, first(fields), second(fields))


def _operand(side: int | tuple[Atom]) -> Callable[[Fields], Atom | None]:
    if isinstance(side, int):
        return lambda fields: fields[side]
    (constant,) = side
    return lambda fields: constant  # noqa: ARG005 - whatever they are
