"""Which events, and which of their fields, conditions mention, and how far back."""

from __future__ import annotations

from collections.abc import Iterable

from bridle.engine.temporal.event import ActionName
from bridle.engine.temporal.index.record import EventType
from bridle.engine.temporal.plan.scope import milliseconds
from bridle.language.temporal.ast import (
    And,
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
    Tp,
)
from bridle.model.errors import UsageError

Named = tuple[ActionName, str]


def named(predicate: Predicate) -> Named:
    """Return the type of event that a predicate is about."""
    return ("::".join(predicate.namespace), predicate.action), predicate.kind


def event_types(conditions: Iterable[Condition]) -> tuple[EventType, ...]:
    """Return the types that `conditions` name, in an order that depends on nothing else."""
    paths: dict[Named, set[str]] = {}
    horizons: dict[Named, int] = {}
    for predicate, horizon in _predicates(conditions):
        name = named(predicate)
        paths.setdefault(name, set()).update(field.path for field in predicate.fields)
        horizons[name] = max(horizons.get(name, 0), horizon)
    return tuple(
        EventType(name[0], name[1], tuple(sorted(paths[name])), horizons[name])
        for name in sorted(paths)
    )


def horizon(condition: Condition) -> int:
    """Return how far back `condition` can depend on events, in milliseconds."""
    return max((reach for _, reach in _nodes([condition])), default=0)


def _predicates(conditions: Iterable[Condition]) -> Iterable[tuple[Predicate, int]]:
    for node, reach in _nodes(conditions):
        if isinstance(node, Predicate):
            yield node, reach


def _nodes(conditions: Iterable[Condition]) -> Iterable[tuple[Condition, int]]:
    rest = [(condition, 0) for condition in conditions]
    while rest:
        node, reach = rest.pop()
        yield node, reach
        rest.extend(_below(node, reach))


def _below(node: Condition, reach: int) -> list[tuple[Condition, int]]:
    match node:
        case And(left, right):
            return [(left, reach), (right, reach)]
        case Not(inner) | Exists(_, inner):
            return [(inner, reach)]
        case Formerly(window, body) | Previous(window, body):
            return [(body, reach + milliseconds(window))]
        case Since(left, window, right):
            further = reach + milliseconds(window)
            return [(left, further), (right, further)]
        case Comparison(_, left, right):
            return [(term.body, reach) for term in (left, right) if isinstance(term, Count | Sum)]
        case Predicate() | Tp():
            return []
        case _:
            raise UsageError(f"a {type(node).__name__} is left of a macro")
