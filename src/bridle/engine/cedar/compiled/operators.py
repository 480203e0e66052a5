"""What Cedar's operators do with values: types checked, both sides evaluated first.

Each function takes compiled terms and returns one. What Cedar's evaluator calls an error raises
`EvaluationError` (Cedar docs, "Operators and functions"; the order of evaluation and of the checks
is the evaluator's own).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, cast

from bridle.engine.cedar.compiled.graph import Graph
from bridle.engine.cedar.compiled.values import (
    LONG_MAX,
    LONG_MIN,
    NO_ATTRIBUTE,
    NO_ENTITY,
    NO_TAG,
    OVERFLOW,
    TYPE,
    EvaluationError,
    Fixed,
    Ref,
    decimal,
    equal,
    key,
)

Frame = tuple[Ref, Ref, Ref, dict[str, Any]]
"""A request: principal, action, resource and context."""

Term = Callable[[Frame], Any]
"""A compiled expression. Raises `EvaluationError`."""

Rest = tuple[str, ...]


# --- truth ----------------------------------------------------------------------------------------


def negation(arg: Term) -> Term:
    """`!`."""
    return lambda frame: not _bool(arg(frame))


def conjunction(left: Term, right: Term) -> Term:
    """`&&`: the right side counts only where the left one is true, and must be a Bool then."""
    return lambda frame: _bool(left(frame)) and _bool(right(frame))


def disjunction(left: Term, right: Term) -> Term:
    """`||`."""
    return lambda frame: _bool(left(frame)) or _bool(right(frame))


def choice(condition: Term, then: Term, otherwise: Term) -> Term:
    """`if then else`: the branch not taken is not evaluated."""
    return lambda frame: then(frame) if _bool(condition(frame)) else otherwise(frame)


def _bool(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    raise EvaluationError(TYPE)


# --- comparison and arithmetic --------------------------------------------------------------------


def equality(left: Term, right: Term) -> Term:
    """`==`: no type error between any two values."""
    return lambda frame: equal(left(frame), right(frame))


def inequality(left: Term, right: Term) -> Term:
    """`!=`."""
    return lambda frame: not equal(left(frame), right(frame))


def ordering(compare: Callable[[Any, Any], bool]) -> Callable[[Term, Term], Term]:
    """Return the maker of `<`, `<=`, `>` or `>=`: of Longs alone."""

    def make(left: Term, right: Term) -> Term:
        def term(frame: Frame) -> bool:
            one, other = left(frame), right(frame)
            if type(one) is not int or type(other) is not int:
                raise EvaluationError(TYPE)
            return compare(one, other)

        return term

    return make


def decimal_ordering(compare: Callable[[Any, Any], bool]) -> Callable[[Term, Term], Term]:
    """Return the maker of `lessThan` and its like."""

    def make(left: Term, right: Term) -> Term:
        def term(frame: Frame) -> bool:
            one, other = left(frame), right(frame)
            if type(one) is not Fixed or type(other) is not Fixed:
                raise EvaluationError(TYPE)
            return compare(one.units, other.units)

        return term

    return make


def arithmetic(compute: Callable[[int, int], int]) -> Callable[[Term, Term], Term]:
    """Return the maker of `+`, `-` or `*`."""

    def make(left: Term, right: Term) -> Term:
        def term(frame: Frame) -> int:
            one, other = left(frame), right(frame)
            if type(one) is not int or type(other) is not int:
                raise EvaluationError(TYPE)
            return _long(compute(one, other))

        return term

    return make


def minus(arg: Term) -> Term:
    """Unary `-`."""

    def term(frame: Frame) -> int:
        value = arg(frame)
        if type(value) is not int:
            raise EvaluationError(TYPE)
        return _long(operator.neg(value))

    return term


def _long(value: int) -> int:
    if LONG_MIN <= value <= LONG_MAX:
        return value
    raise EvaluationError(OVERFLOW)


def to_decimal(arg: Term) -> Term:
    """`decimal()`."""

    def term(frame: Frame) -> Fixed:
        value = arg(frame)
        if type(value) is not str:
            raise EvaluationError(TYPE)
        return decimal(value)

    return term


# --- sets -----------------------------------------------------------------------------------------


def contains(left: Term, right: Term) -> Term:
    """`contains`."""

    def term(frame: Frame) -> bool:
        one, other = left(frame), right(frame)
        return key(other) in _set(one)

    return term


def contains_all(left: Term, right: Term) -> Term:
    """`containsAll`."""

    def term(frame: Frame) -> bool:
        one, other = left(frame), right(frame)
        return _set(other) <= _set(one)

    return term


def contains_any(left: Term, right: Term) -> Term:
    """`containsAny`."""

    def term(frame: Frame) -> bool:
        one, other = left(frame), right(frame)
        return not _set(one).isdisjoint(_set(other))

    return term


def is_empty(arg: Term) -> Term:
    """`isEmpty`."""
    return lambda frame: not _set(arg(frame))


def _set(value: Any) -> frozenset[Any]:
    if type(value) is frozenset:
        return cast("frozenset[Any]", value)  # type: ignore[redundant-cast]
    raise EvaluationError(TYPE)


# --- text -----------------------------------------------------------------------------------------


def like(arg: Term, pieces: tuple[str, ...]) -> Term:
    """`like`. `pieces` are the literal texts between the wildcards; one piece is no wildcard."""
    if len(pieces) == 1:
        return lambda frame: _text(arg(frame)) == pieces[0]
    return lambda frame: _matches(_text(arg(frame)), pieces)


def _matches(text: str, pieces: tuple[str, ...]) -> bool:
    """Take every piece at its first place: never slower than one pass per piece."""
    first, *middle, last = pieces
    end = len(text) - len(last)
    if end < len(first) or not text.startswith(first) or not text.endswith(last):
        return False
    at = len(first)
    for piece in middle:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    raise EvaluationError(TYPE)


# --- entities and records -------------------------------------------------------------------------


def within(graph: Graph, left: Term, right: Term) -> Term:
    """`in`, an entity or a set of nothing but entities on the right."""

    def term(frame: Frame) -> bool:
        one, other = left(frame), right(frame)
        above = graph.within(_ref(one))
        if type(other) is Ref:
            return other in above
        if not all(type(each) is Ref for each in _set(other)):
            raise EvaluationError(TYPE)
        return not above.isdisjoint(other)

    return term


def is_kind(arg: Term, kind: str) -> Term:
    """`is`."""
    return lambda frame: _ref(arg(frame)).kind == kind


def attribute(graph: Graph, base: Term, name: str) -> Term:
    """`.` on a record or an entity."""

    def term(frame: Frame) -> Any:
        held = _attrs(graph, base(frame))
        if name not in held:
            raise EvaluationError(NO_ATTRIBUTE)
        return held[name]

    return term


def of_context(path: tuple[str, ...], whole: Term) -> Term:
    """`context.a.b` at once. `whole` is the same step by step: it says what is wrong."""

    def term(frame: Frame) -> Any:
        value: Any = frame[3]
        try:
            for name in path:
                value = value[name]
        except (KeyError, TypeError):
            # Something is not there, or no record: nothing else takes a text as an index.
            return whole(frame)
        return value

    return term


def _attrs(graph: Graph, value: Any) -> dict[str, Any]:
    if type(value) is dict:
        return cast("dict[str, Any]", value)
    node = graph.nodes.get(_ref(value))
    if node is None:
        raise EvaluationError(NO_ENTITY)
    return node.attrs


def has(graph: Graph, base: Term, name: str) -> Term:
    """`has`: an entity that does not exist has nothing."""

    def term(frame: Frame) -> bool:
        value = base(frame)
        if type(value) is dict:
            return name in value
        node = graph.nodes.get(_ref(value))
        return node is not None and name in node.attrs

    return term


def tag(graph: Graph, left: Term, right: Term) -> Term:
    """`getTag`."""

    def term(frame: Frame) -> Any:
        one, other = left(frame), right(frame)
        node, name = graph.nodes.get(_ref(one)), _text(other)
        if node is None:
            raise EvaluationError(NO_ENTITY)
        if name not in node.tags:
            raise EvaluationError(NO_TAG)
        return node.tags[name]

    return term


def has_tag(graph: Graph, left: Term, right: Term) -> Term:
    """`hasTag`."""

    def term(frame: Frame) -> bool:
        one, other = left(frame), right(frame)
        node, name = graph.nodes.get(_ref(one)), _text(other)
        return node is not None and name in node.tags

    return term


def _ref(value: Any) -> Ref:
    if type(value) is Ref:
        return value
    raise EvaluationError(TYPE)


def collection(items: tuple[Term, ...]) -> Term:
    """A set literal."""
    return lambda frame: frozenset([key(item(frame)) for item in items])


def record(fields: tuple[tuple[str, Term], ...]) -> Term:
    """A record literal. Its fields are evaluated in the order given."""
    return lambda frame: {name: field(frame) for name, field in fields}
