"""Terms → functions that give their value at a moment."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeAlias, cast

from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.event import Atom
from bridle.engine.temporal.plan.moment import Moment
from bridle.engine.temporal.plan.scope import Scope
from bridle.language.temporal.ast import (
    ArrayLiteral,
    ContextField,
    DecimalLiteral,
    EntityLiteral,
    IntegerLiteral,
    ScopeField,
    Term,
    TextLiteral,
    TruthLiteral,
    Variable,
)

Value: TypeAlias = Callable[[Moment], Atom | None]
"""None: there is nothing, and whatever mentions it is false."""


def literal(atoms: Atomiser, term: Term) -> Atom | None:
    """Return the atom of a term that has the same value everywhere; None for any other."""
    match term:
        case IntegerLiteral() | TextLiteral() | TruthLiteral() | DecimalLiteral() | EntityLiteral():
            return atoms.literal(term)
        case ArrayLiteral(items):
            found = [literal(atoms, item) for item in items]
            return None if None in found else atoms.array(cast("list[Atom]", found))
        case _:
            return None


def value(atoms: Atomiser, term: Term, scope: Scope) -> Value:
    """Compile a term. A wildcard, and a variable without a value, are nothing."""
    constant = literal(atoms, term)
    if constant is not None:
        return lambda moment: constant  # noqa: ARG005 - the same at any moment
    match term:
        case Variable(name) if name in scope.bound:
            slot = scope.bound[name]
            return lambda moment: moment.env[slot]
        case ContextField(path):
            whole = ("context", *path)
            return lambda moment: moment.read(whole)
        case ScopeField(path):
            return lambda moment: moment.read(path)
        case ArrayLiteral(items):
            return _array(atoms, [value(atoms, item, scope) for item in items])
        case _:
            return lambda moment: None  # noqa: ARG005 - nothing at any moment


def identity(term: Term, scope: Scope) -> Hashable:
    """Return what two terms have in common that always have the same value; None: do not tell."""
    match term:
        case ContextField(path):
            return ("context", *path)
        case ScopeField(path):
            return path
        case Variable(name) if name in scope.bound:
            return scope.bound[name]
        case _:
            return None


def _array(atoms: Atomiser, items: list[Value]) -> Value:
    def composed(moment: Moment) -> Atom | None:
        found = [item(moment) for item in items]
        return None if None in found else atoms.array(cast("list[Atom]", found))

    return composed
