"""The types of what a condition compares: fields with terms, terms with terms.

The type that a binder declares holds within it, whatever its variable is used for. What has no
known type goes unchecked, as in the language of record.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from bridle.language.events.ast import DerivedEvent, Events
from bridle.language.temporal.ast import (
    ArrayLiteral,
    Binder,
    Comparison,
    Condition,
    ContextField,
    Count,
    DecimalLiteral,
    EntityLiteral,
    Exists,
    Field,
    IntegerLiteral,
    Predicate,
    ScopeField,
    Sum,
    Term,
    TextLiteral,
    Tp,
    TruthLiteral,
    Variable,
)
from bridle.language.temporal.meaning import kinds
from bridle.language.temporal.meaning.findings import Findings
from bridle.language.temporal.meaning.kinds import Kind
from bridle.language.temporal.tree import conjuncts, within

_ORDER = {"<", "<=", ">", ">="}


class _Known(Struct, frozen=True):
    """The kinds of variables, innermost binder first, and those of paths of the request."""

    request: Mapping[tuple[str, ...], Kind]
    own: Mapping[str, Kind] = {}
    below: _Known | None = None

    def within(self, *binders: Binder) -> _Known:
        return _Known(self.request, {b.name: kinds.of_binder(b.type) for b in binders}, self)

    def variable(self, name: str) -> Kind | None:
        if name in self.own or self.below is None:
            return self.own.get(name)
        return self.below.variable(name)


def compare(
    condition: Condition,
    events: Events,
    request: Mapping[tuple[str, ...], Kind],
    findings: Findings,
) -> None:
    """Report what can never match. `request` has the kinds of `context.…`, `principal.…`."""
    _Comparing(events, findings).condition(condition, _Known(request))


class _Comparing:
    def __init__(self, events: Events, findings: Findings) -> None:
        self._events = events
        self._findings = findings

    def condition(self, condition: Condition, known: _Known) -> None:
        for part in conjuncts(condition):
            match part:
                case Predicate():
                    self._predicate(part, known)
                case Comparison():
                    self._comparison(part, known)
                case Tp():
                    self._tp(part, known)
                case Exists(binder=binder, body=body):
                    self.condition(body, known.within(binder))
                case _:
                    for inner in within(part):
                        self.condition(inner, known)

    def _predicate(self, node: Predicate, known: _Known) -> None:
        event = self._events.events.get(("::".join(node.namespace), node.action, node.kind))
        for field in node.fields if event is not None else ():
            self._field(field, event, known)

    def _field(self, field: Field, event: DerivedEvent | None, known: _Known) -> None:
        declared = event.types.get(field.path) if event is not None else None
        if not declared or event is None:
            return
        wanted = (
            kinds.of_type(declared[0])
            if len(declared) == 1
            else kinds.of_entities([d.name for d in declared])
        )
        given = kind(field.term, known)
        if wanted is not None and given is not None and not kinds.fits(wanted, given):
            self._findings.add(
                field.span,
                "history_field_type",
                f"`{field.path}` of {event.written} is {wanted}, and is compared with {given}",
                "compare it with a value of its own type",
            )

    def _comparison(self, node: Comparison, known: _Known) -> None:
        left, right = kind(node.left, known), kind(node.right, known)
        if left is not None and right is not None:
            if node.op in _ORDER and not (left == right == kinds.LONG):
                self._findings.add(
                    node.span,
                    "history_comparison",
                    f"`{node.op}` compares two Long, and here {left} with {right}",
                    "only whole numbers have an order here; use `==` or `!=`",
                )
            elif node.op not in _ORDER and not kinds.comparable(left, right):
                self._findings.add(
                    node.span,
                    "history_comparison",
                    f"{left} is compared with {right}, and they are never equal",
                    "compare values of one type",
                )
        for operand in (node.left, node.right):
            if isinstance(operand, Count | Sum):
                self._aggregate(operand, known)

    def _aggregate(self, aggregate: Count | Sum, known: _Known) -> None:
        inside = known.within(*aggregate.binders)
        summed = inside.variable(aggregate.variable) if isinstance(aggregate, Sum) else None
        if summed is not None and summed != kinds.LONG:
            self._findings.add(
                aggregate.span,
                "history_sum_type",
                f"only Long can be summed, and this is {summed}",
                "sum a Long, or use `count`",
            )
        self.condition(aggregate.body, inside)

    def _tp(self, node: Tp, known: _Known) -> None:
        declared = known.variable(node.variable)
        if declared is not None and declared != kinds.TIME:
            self._findings.add(
                node.span,
                "history_tp_type",
                f"`tp` binds `{node.variable}` to a position, and it is declared {declared}",
                f"declare it `({node.variable}: Timepoint)`",
            )


def kind(term: Term, known: _Known) -> Kind | None:
    """Return the kind of a term, none where it has none that is known."""
    match term:
        case Variable(name=name):
            return known.variable(name)
        case ContextField(path=path):
            return known.request.get(("context", *path))
        case ScopeField(path=path):
            return known.request.get(path)
        case EntityLiteral(type=name):
            return kinds.entity(name)
        case ArrayLiteral(items=items):
            return _array(items)
        case _:
            return _plain(term)


def _plain(term: Term) -> Kind | None:
    match term:
        case IntegerLiteral() | Count() | Sum():
            return kinds.LONG
        case DecimalLiteral():
            return kinds.DECIMAL
        case TextLiteral():
            return kinds.STRING
        case TruthLiteral():
            return kinds.BOOL
        case _:
            return None


def _array(items: tuple[Term, ...]) -> Kind:
    """Return the kind of an array. Only literals tell what it is one of."""
    nothing = _Known({})
    found = {kind(item, nothing) for item in items}
    if not found:
        return Kind("Set")
    only = found.pop()
    return Kind("Set", item=kinds.MIXED if found or only is None else only)
