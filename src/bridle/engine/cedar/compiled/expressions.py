"""Cedar's typed nodes → terms. A node that is not known raises `Unsupported`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from cedarpy import pst

from bridle.engine.cedar.compiled import operators as op
from bridle.engine.cedar.compiled.graph import Graph
from bridle.engine.cedar.compiled.operators import Frame, Term
from bridle.engine.cedar.compiled.values import LONG_MAX, LONG_MIN, Ref, Unsupported

_UNARY: dict[str, Callable[[Term], Term]] = {
    "not": op.negation,
    "neg": op.minus,
    "is_empty": op.is_empty,
    "decimal": op.to_decimal,
}
_BINARY: dict[str, Callable[[Term, Term], Term]] = {
    "eq": op.equality,
    "not_eq": op.inequality,
    "less": op.ordering(operator.lt),
    "less_eq": op.ordering(operator.le),
    "greater": op.ordering(operator.gt),
    "greater_eq": op.ordering(operator.ge),
    "and": op.conjunction,
    "or": op.disjunction,
    "add": op.arithmetic(operator.add),
    "sub": op.arithmetic(operator.sub),
    "mul": op.arithmetic(operator.mul),
    "contains": op.contains,
    "contains_all": op.contains_all,
    "contains_any": op.contains_any,
    "decimal_less_than": op.decimal_ordering(operator.lt),
    "decimal_less_eq": op.decimal_ordering(operator.le),
    "decimal_greater": op.decimal_ordering(operator.gt),
    "decimal_greater_eq": op.decimal_ordering(operator.ge),
}
_OF_ENTITIES: dict[str, Callable[[Graph, Term, Term], Term]] = {
    "in": op.within,
    "get_tag": op.tag,
    "has_tag": op.has_tag,
}
_VARIABLES = {"principal": 0, "action": 1, "resource": 2, "context": 3}


def ref(uid: pst.EntityUid) -> Ref:
    """Return a uid as a value."""
    return Ref(str(uid.type), uid.id)


class Compiler:
    """Compiles expressions over the entities of one world."""

    __slots__ = ("graph",)

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def term(self, node: pst.Expr) -> Term:
        """Return the term of an expression."""
        match node:
            case pst.UnaryOp(name, arg) if name in _UNARY:
                return _UNARY[name](self.term(arg))
            case pst.BinaryOp(name, left, right) if name in _BINARY:
                return _BINARY[name](self.term(left), self.term(right))
            case pst.BinaryOp(name, left, right) if name in _OF_ENTITIES:
                return _OF_ENTITIES[name](self.graph, self.term(left), self.term(right))
            case pst.IfThenElse(condition, then, otherwise):
                return op.choice(self.term(condition), self.term(then), self.term(otherwise))
            case pst.GetAttr() | pst.HasAttr() | pst.Like() | pst.Is():
                return self._looking(node)
            case _:
                return self._plain(node)

    def _looking(self, node: pst.GetAttr | pst.HasAttr | pst.Like | pst.Is) -> Term:
        base = self.term(node.base)
        match node:
            case pst.GetAttr(_, attr):
                path = _path(node)
                whole = op.attribute(self.graph, base, attr)
                return whole if path is None else op.of_context(path, whole)
            case pst.HasAttr(_, attrs):
                return self._has(base, attrs)
            case pst.Like(_, pattern):
                return op.like(base, _pieces(pattern))
            case pst.Is(_, kind, entity):
                return self._is(base, str(kind), entity)

    def _plain(self, node: pst.Expr) -> Term:
        match node:
            case pst.Var(name) if name in _VARIABLES:
                return operator.itemgetter(_VARIABLES[name])
            case pst.BoolLit(value) | pst.StringLit(value):
                return _constant(value)
            case pst.LongLit(value) if LONG_MIN <= value <= LONG_MAX:
                return _constant(value)
            case pst.EntityLit(value):
                return _constant(ref(value))
            case pst.Set(elements):
                return op.collection(tuple(map(self.term, elements)))
            case pst.Record(fields):
                # Cedar keeps and evaluates them in the order of their names.
                return op.record(tuple((n, self.term(fields[n])) for n in sorted(fields)))
            case _:
                raise Unsupported

    def _has(self, base: Term, attrs: tuple[str, ...]) -> Term:
        """`has a.b` is `has a && .a has b`."""
        name, *rest = attrs
        here = op.has(self.graph, base, name)
        if not rest:
            return here
        return op.conjunction(here, self._has(op.attribute(self.graph, base, name), tuple(rest)))

    def _is(self, base: Term, kind: str, entity: pst.Expr | None) -> Term:
        here = op.is_kind(base, kind)
        if entity is None:
            return here
        return op.conjunction(here, op.within(self.graph, base, self.term(entity)))


def _path(node: pst.Expr) -> tuple[str, ...] | None:
    """Return the names that lead from `context` to an attribute; None if this is none of its."""
    names: list[str] = []
    while isinstance(node, pst.GetAttr):
        names.append(node.attr)
        node = node.base
    of_context = isinstance(node, pst.Var) and node.name == "context"
    return tuple(reversed(names)) if of_context else None


def _constant(value: Any) -> Term:
    def term(_: Frame) -> Any:
        return value

    return term


def _pieces(pattern: tuple[pst.PatternElem, ...]) -> tuple[str, ...]:
    """Return the literal texts before, between and after the wildcards."""
    pieces = [""]
    for element in pattern:
        match element:
            case pst.Char(value):
                pieces[-1] += value
            case pst.Wildcard():
                pieces.append("")
            case _:
                raise Unsupported
    return tuple(pieces)
