"""Random conditions over history, as trees: what parsers, printers and evaluators are tried on.

`conditions()` draws trees of the shape macros leave behind; with `macros=True` they may also hold
calls, parameters and fresh variables, as the bodies of macros and their callers do. Types, scopes
and windows make no sense in general: for accepted conditions draw from a schema.
"""

from __future__ import annotations

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
WORDS = ("a", "b2", "_x", "user", "since", "where", "formerly", "tp", "count", "exists", "input")
NAMES = st.sampled_from(WORDS)
BOUND = ("a", "b2", "x_1", "where", "since_then", "n", "contextual")
VARIABLES = st.sampled_from(BOUND)
TYPES = st.sampled_from([("Long",), ("String",), ("Timepoint",), ("D", "User"), ("decimal",)])
TEXTS = st.one_of(
    st.sampled_from(["", 'say "x"', "a\\b", "line\nline", "\0", "é", "\u200b", "{", "}", "*"]),
    st.text(max_size=8),
)
LONGS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, -1, 2**63 - 1, -(2**63)]))


@st.composite
def conditions(draw: st.DrawFn, *, macros: bool = False, levels: int = 4) -> Condition:
    """Draw a condition of at most so many operators within one another."""
    if levels == 0 or draw(st.integers(0, 3)) == 0:
        return draw(_leaf(macros))
    return draw(_composed(macros, draw(st.integers(0, levels - 1))))


@st.composite
def terms(draw: st.DrawFn, *, macros: bool = False) -> Term:
    """Draw a value that is no aggregate."""
    plain: Draw[Term]
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
    return draw(plain | st.builds(ArrayLiteral, st.lists(plain, max_size=3).map(tuple)))


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
        *([st.builds(Sigil, NAMES), _refined(), _call(0)] if macros else []),
    )


@st.composite
def predicates(draw: st.DrawFn, *, macros: bool = False) -> Predicate:
    """Draw a predicate."""
    return Predicate(
        draw(st.sampled_from([("Action",), ("D", "Action"), ("D", "E", "Action")])),
        draw(TEXTS),
        draw(st.sampled_from(["request", "response", "error", "within"])),
        draw(_fields(macros)),
    )


@st.composite
def _composed(draw: st.DrawFn, macros: bool, levels: int) -> Condition:
    inner = conditions(macros=macros, levels=levels)
    value = terms(macros=macros)
    kinds = (And, Not, Formerly, Previous, Since, Exists, Comparison, Call)
    kind = draw(st.sampled_from(kinds if macros else kinds[:-1]))
    if kind is Exists:
        return Exists(draw(_binder(macros)), draw(inner))
    if kind is Comparison:
        sides = (_aggregate(macros, levels), value)
        left, right = draw(st.permutations(sides))
        return Comparison(draw(_operator()), draw(left), draw(right))
    if kind is Call:
        return draw(_call(levels))
    if kind is Since:
        return Since(draw(inner), draw(_window(macros)), draw(inner))
    if kind in {Formerly, Previous}:
        return kind(draw(_window(macros)), draw(inner))
    return And(draw(inner), draw(inner)) if kind is And else Not(draw(inner))


@st.composite
def _aggregate(draw: st.DrawFn, macros: bool, levels: int) -> Term:
    inner = conditions(macros=macros, levels=levels)
    binders = draw(st.lists(_binder(macros), min_size=1, max_size=3).map(tuple))
    kind = draw(st.integers(0, 2 if macros else 1))
    if kind == 0:
        return Count(binders, draw(inner))
    if kind == 1:
        return Sum(draw(VARIABLES), binders, draw(inner), draw(_sigil(macros)))
    return AggregateCall(draw(_called()), draw(_arguments(levels)))


@st.composite
def _call(draw: st.DrawFn, levels: int) -> Condition:
    return Call(draw(_called()), draw(_arguments(levels)))


@st.composite
def _arguments(draw: st.DrawFn, levels: int) -> tuple[Argument, ...]:
    # A parameter, or a call, reads as a condition where an argument stands; so do they here.
    values = terms(macros=True).filter(lambda t: not isinstance(t, Parameter))
    aggregates = _aggregate(True, levels).filter(lambda t: not isinstance(t, AggregateCall))
    inner = conditions(macros=True, levels=levels)
    kinds: Draw[Argument] = st.one_of(
        _window(False),
        inner,
        values,
        aggregates,
    )
    return draw(st.lists(kinds, max_size=3).map(tuple))


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
