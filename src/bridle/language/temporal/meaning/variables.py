"""The variables of a condition: which are free in it, which it binds to finitely many values."""

from __future__ import annotations

from collections.abc import Iterable

from bridle.language.temporal.ast import (
    ArrayLiteral,
    Comparison,
    Condition,
    Count,
    Exists,
    Formerly,
    Predicate,
    Previous,
    Since,
    Sum,
    Term,
    Tp,
    Variable,
    Wildcard,
)
from bridle.language.temporal.tree import conjuncts, within

RESERVED = frozenset({"principal", "action", "resource", "context"})
"""Words that mean the request, so that no variable can be read under them."""


class Names:
    """A growing set of names on top of another that it sees through, less those it hides."""

    def __init__(self, below: Names | None = None, without: Iterable[str] = ()) -> None:
        self._below = below
        self._hidden = frozenset(without)
        self._own = set[str]()

    def add(self, names: Iterable[str]) -> None:
        """Add names to this set, not to the one below."""
        self._own.update(names)

    def __contains__(self, name: str) -> bool:
        if name in self._own:
            return True
        return name not in self._hidden and self._below is not None and name in self._below

    def lacking(self, names: Iterable[str]) -> list[str]:
        """Return which of `names` are not in this set, sorted."""
        return sorted(name for name in names if name not in self)


def free(condition: Condition) -> set[str]:
    """Return the variables that no `exists` or `for` inside the condition binds."""
    found = set[str]()
    for part in conjuncts(condition):
        match part:
            case Predicate(fields=fields):
                for field in fields:
                    found |= free_in_term(field.term)
            case Comparison(left=left, right=right):
                found |= free_in_term(left) | free_in_term(right)
            case Tp(variable=name):
                found.add(name)
            case Exists(binder=binder, body=body):
                found |= free(body) - {binder.name}
            case _:
                for inner in within(part):
                    found |= free(inner)
    return found


def free_in_term(term: Term) -> set[str]:
    """Return the free variables of a term; an aggregate binds its `for` list."""
    found, waiting = set[str](), [term]
    while waiting:
        match waiting.pop():
            case Variable(name=name):
                found.add(name)
            case ArrayLiteral(items=items):
                waiting.extend(items)
            case Count(binders=binders, body=body) | Sum(binders=binders, body=body):
                found |= free(body) - {b.name for b in binders}
            case _:
                pass
    return found


def restricted(condition: Condition) -> set[str]:
    """Return the free variables that the condition, where it holds, binds to a value.

    What stands under `!`, or to the left of `since`, binds nothing, however often it is negated.
    """
    found = set[str]()
    for part in conjuncts(condition):
        match part:
            case Predicate(fields=fields):
                found |= {f.term.name for f in fields if isinstance(f.term, Variable)}
            case Tp(variable=name):
                found.add(name)
            case Comparison():
                equated = bound_by_equality(part)
                found |= set() if equated is None else {equated}
            case Formerly(body=body) | Previous(body=body) | Since(right=body):
                found |= restricted(body)
            case Exists(binder=binder, body=body):
                found |= restricted(body) - {binder.name}
            case _:
                pass
    return found


def bound_by_equality(comparison: Comparison) -> str | None:
    """Return the variable that `x == value`, either way round, binds; none where it only compares.

    `x == *` binds nothing: a wildcard has no value.
    """
    left, right = comparison.left, comparison.right
    if comparison.op != "==":
        return None
    if isinstance(left, Variable) and not isinstance(right, Variable | Wildcard):
        return left.name
    if isinstance(right, Variable) and not isinstance(left, Variable | Wildcard):
        return right.name
    return None
