"""Random conditions over history, as trees: what parsers, printers and evaluators are tried on.

`conditions()` draws trees of the shape macros leave behind; with `macros=True` they may also hold
calls, parameters and fresh variables, as the bodies of macros and their callers do. Types, scopes
and windows make no sense in general: for accepted conditions draw from a schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import msgspec
from hypothesis import strategies as st

from bridle.language.temporal.ast import (
    UNITS,
    AggregateCall,
    And,
    Argument,
    ArrayLiteral,
    Binder,
    Call,
    Comparison,
    Condition,
    ContextField,
    Count,
    DecimalLiteral,
    EntityLiteral,
    Exists,
    Field,
    Formerly,
    FreshBinder,
    IntegerLiteral,
    Not,
    Parameter,
    Predicate,
    Previous,
    Refine,
    ScopeField,
    Sigil,
    Since,
    Span,
    Sum,
    Term,
    TextLiteral,
    Tp,
    TruthLiteral,
    Variable,
    Wildcard,
    Window,
)

Draw: TypeAlias = st.SearchStrategy

# Words of the language among them: nothing is reserved where a name of the user's stands.
NAMES = st.sampled_from(
    ["a", "b2", "_x", "user", "since", "where", "formerly", "tp", "count", "exists", "d", "input"]
)
VARIABLES = st.sampled_from(["a", "b2", "x_1", "where", "since_then", "n", "contextual"])
TYPES = st.sampled_from([("Long",), ("String",), ("Timepoint",), ("D", "User"), ("decimal",)])
TEXTS = st.one_of(
    st.sampled_from(["", 'say "x"', "a\\b", "line\nline", "\0", "é", "\u200b", "{", "}", "*"]),
    st.text(max_size=8),
)
LONGS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, -1, 2**63 - 1, -(2**63)]))


def conditions(*, macros: bool = False, leaves: int = 12) -> Draw[Condition]:
    """Draw a condition of about so many leaves."""
    return st.recursive(
        _leaf(macros), lambda inner: _composed(inner, macros=macros), max_leaves=leaves
    )


def terms(*, macros: bool = False) -> Draw[Term]:
    """Draw a value that is no aggregate."""
    plain = st.one_of(
        st.builds(EntityLiteral, st.sampled_from(["User", "D::User"]), TEXTS),
        st.builds(IntegerLiteral, LONGS),
        st.builds(DecimalLiteral, st.sampled_from(["1.0", "-0.25", "x"])),
        st.builds(TextLiteral, TEXTS),
        st.builds(TruthLiteral, st.booleans()),
        st.builds(ContextField, _path()),
        st.builds(lambda root, path: ScopeField((root, *path)), _root(), _path(0)),
        st.builds(Variable, VARIABLES),
        st.just(Wildcard()),
        *([st.builds(Parameter, NAMES), st.builds(FreshBinder, NAMES)] if macros else []),
    )
    return plain | st.builds(ArrayLiteral, st.lists(plain, max_size=3).map(tuple))


def bare(node: object) -> object:
    """Return a tree without its spans, for comparing."""
    if isinstance(node, tuple):
        return tuple(bare(each) for each in node)
    if isinstance(node, Span) or not isinstance(node, msgspec.Struct):
        return None if isinstance(node, Span) else node
    return (type(node).__name__, *(bare(getattr(node, f)) for f in node.__struct_fields__))


def _leaf(macros: bool) -> Draw[Condition]:
    return st.one_of(
        predicates(macros=macros),
        st.builds(Comparison, _operator(), terms(macros=macros), terms(macros=macros)),
        st.builds(Tp, VARIABLES, _sigil(macros)),
        *([st.builds(Sigil, NAMES), _refined(), _call()] if macros else []),
    )


def predicates(*, macros: bool = False) -> Draw[Predicate]:
    """Draw a predicate."""
    return st.builds(
        Predicate,
        st.sampled_from([("Action",), ("D", "Action"), ("D", "E", "Action")]),
        TEXTS,
        st.sampled_from(["request", "response", "error", "within"]),
        _fields(macros),
    )


def _composed(inner: Draw[Condition], *, macros: bool) -> Draw[Condition]:
    aggregate = _aggregate(inner, macros)
    return st.one_of(
        st.builds(And, inner, inner),
        st.builds(Not, inner),
        st.builds(Formerly, _window(macros), inner),
        st.builds(Previous, _window(macros), inner),
        st.builds(Since, inner, _window(macros), inner),
        st.builds(Exists, _binder(macros), inner),
        st.builds(Comparison, _operator(), aggregate, terms(macros=macros)),
        st.builds(Comparison, _operator(), terms(macros=macros), aggregate),
        *([_call(inner, aggregate)] if macros else []),
    )


def _aggregate(inner: Draw[Condition], macros: bool) -> Draw[Term]:
    binders = st.lists(_binder(macros), min_size=1, max_size=3).map(tuple)
    made: Draw[Term] = st.builds(Count, binders, inner) | st.builds(
        Sum, VARIABLES, binders, inner, _sigil(macros)
    )
    if not macros:
        return made
    return made | st.builds(AggregateCall, _called(), _arguments(inner))


def _call(
    inner: Draw[Condition] | None = None, aggregate: Draw[Term] | None = None
) -> Draw[Condition]:
    return st.builds(
        Call, _called(), _arguments(inner if inner is not None else predicates(), aggregate)
    )


def _arguments(
    inner: Draw[Condition], aggregate: Draw[Term] | None = None
) -> Draw[tuple[Argument, ...]]:
    # A parameter, or a call, reads as a condition where an argument stands; so do they here.
    values = terms(macros=True).filter(lambda t: not isinstance(t, Parameter))
    kinds: list[Draw[Argument]] = [_window(False), inner, values]
    if aggregate is not None:
        kinds.append(aggregate.filter(lambda t: not isinstance(t, AggregateCall)))
    return st.lists(st.one_of(kinds), max_size=3).map(tuple)


def _called() -> Draw[str]:
    return st.sampled_from(["at_most", "since", "f", "where"])


def _refined() -> Draw[Condition]:
    base = st.builds(Sigil, NAMES) | predicates(macros=True)
    return st.builds(Refine, base, _fields(True, 1)).filter(lambda r: bool(r.fields))


def _fields(macros: bool, least: int = 0) -> Draw[tuple[Field, ...]]:
    one = st.builds(Field, _path().map(".".join), terms(macros=macros))
    return st.lists(one, min_size=least, max_size=3).map(tuple)


def _binder(macros: bool) -> Draw[Binder]:
    return st.builds(Binder, VARIABLES, TYPES, _sigil(macros))


def _sigil(macros: bool) -> Draw[str]:
    return st.sampled_from(["", "?", "$"]) if macros else st.just("")


def _window(macros: bool) -> Draw[Window]:
    amounts = st.integers(-1, 100_000)
    plain = st.builds(Window, amounts, st.sampled_from(sorted(UNITS)))
    return plain | st.builds(Window, st.just(0), st.just("s"), NAMES) if macros else plain


def _path(least: int = 1) -> Draw[tuple[str, ...]]:
    return st.lists(NAMES, min_size=least, max_size=3).map(tuple)


def _root() -> Draw[str]:
    return st.sampled_from(["principal", "resource"])


def _operator() -> Draw[str]:
    return st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


def some(nodes: Iterable[Condition]) -> Draw[Condition]:
    """Draw one of the given conditions."""
    return st.sampled_from(list(nodes))
