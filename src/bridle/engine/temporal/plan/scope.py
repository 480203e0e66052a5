"""Where in a condition compilation stands, and small questions about trees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from bridle.language.temporal.ast import (
    And,
    ArrayLiteral,
    Comparison,
    Condition,
    Count,
    Exists,
    Formerly,
    Not,
    Predicate,
    Previous,
    Since,
    Sum,
    Term,
    Tp,
    Variable,
    Window,
)
from bridle.language.temporal.tree import conjuncts


class Scope(Struct, frozen=True):
    """Where a condition is evaluated.

    `bound`: the slots of the variables that have a value here. `newest`: whether the position can
    only be the newest. `horizon`: how far back it can be, in milliseconds.
    """

    bound: dict[str, int]
    newest: bool = True
    horizon: int = 0

    def binding(self, slots: dict[str, int]) -> Scope:
        """Return the scope with more variables bound."""
        return Scope({**self.bound, **slots}, self.newest, self.horizon)

    def without(self, names: Iterable[str]) -> Scope:
        """Return the scope with variables not bound, whatever they were outside."""
        gone = set(names)
        bound = {name: slot for name, slot in self.bound.items() if name not in gone}
        return Scope(bound, self.newest, self.horizon)

    def back(self, window: Window) -> Scope:
        """Return the scope of the body of an operator with this window."""
        return Scope(self.bound, newest=False, horizon=self.horizon + milliseconds(window))


def milliseconds(window: Window) -> int:
    """Return the length of a window."""
    return window.seconds * 1000


def conjoin(parts: Sequence[Condition]) -> Condition:
    """Return the conjunction of at least one part."""
    whole = parts[0]
    for part in parts[1:]:
        whole = And(whole, part)
    return whole


def stripped(condition: Condition) -> tuple[Condition, bool]:
    """Return what a chain of `!` stands before, and whether it is negated."""
    negated = False
    while isinstance(condition, Not):
        negated = not negated
        condition = condition.inner
    return condition, negated


def free(condition: Condition) -> set[str]:  # noqa: PLR0911 - one for each operator
    """Return the variables that a condition mentions and does not bind."""
    match condition:
        case Predicate(fields=fields):
            return {name for field in fields for name in term_variables(field.term)}
        case Comparison(_, left, right):
            return term_variables(left) | term_variables(right)
        case And():
            return {name for part in conjuncts(condition) for name in free(part)}
        case Not(inner) | Formerly(_, inner) | Previous(_, inner):
            return free(inner)
        case Since(left, _, right):
            return free(left) | free(right)
        case Exists(binder, body):
            return free(body) - {binder.name}
        case Tp(variable):
            return {variable}
        case _:
            return set()


def term_variables(term: Term) -> set[str]:
    """Return the free variables of a term."""
    match term:
        case Variable(name):
            return {name}
        case ArrayLiteral(items):
            return {name for item in items for name in term_variables(item)}
        case Count(binders, body) | Sum(_, binders, body):
            return free(body) - {binder.name for binder in binders}
        case _:
            return set()
