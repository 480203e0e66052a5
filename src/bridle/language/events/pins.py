"""Pins: fields that every predicate on an event is held to, whatever a policy writes.

A pin stands beside what the policy says of the same field, never in its place: a condition cannot
see past it.
"""

from __future__ import annotations

from functools import reduce

import msgspec

from bridle.language.events.ast import Events, Pin
from bridle.language.temporal.ast import (
    And,
    Comparison,
    Condition,
    ContextField,
    Count,
    Exists,
    Field,
    Formerly,
    Not,
    Predicate,
    Previous,
    ScopeField,
    Since,
    Span,
    Sum,
    Term,
)
from bridle.language.temporal.tree import conjuncts

_ALIASES = {("callerPrincipal", "principal"), ("callerResource", "resource")}


def inject(condition: Condition, events: Events) -> Condition:
    """Return the condition with the pins of its events. Macros must be expanded before.

    Its nesting must be limited (see `acceptance.accept`), its chains need not.
    """
    parts = [_part(c, events) for c in conjuncts(condition)]
    spans = _spans(condition)
    return reduce(lambda left, right: And(left, right, spans.pop()), parts)


def universal(events: Events) -> tuple[Pin, ...]:
    """Return the pins that are the same on every event and tie a field to itself.

    The history of such a field may be kept apart value by value: no condition can tell.
    """
    every = list(events.events.values())
    first = every[0].pins if every else ()
    shared = [p for p in first if _is_symmetric(p) and all(p in e.pins for e in every)]
    return tuple(dict.fromkeys(shared))


def term(pin: Pin, span: Span) -> Term:
    """Return what the pinned field is held to."""
    reference = pin.reference
    if reference.root == "context":
        return ContextField(reference.path, span)
    return ScopeField((reference.root, *reference.path), span)


def _is_symmetric(pin: Pin) -> bool:
    if pin.reference.root == "context":
        return ".".join(pin.reference.path) == pin.path
    return not pin.reference.path and (pin.path, pin.reference.root) in _ALIASES


def _spans(condition: Condition) -> list[Span]:
    """Return the spans of a chain's `&&`, the last of the text first.

    Chains lean to the left; one that does not (a macro's) gets a span nearby.
    """
    found, node = list[Span](), condition
    while isinstance(node, And):
        found.append(node.span)
        node = node.left
    return found + [condition.span] * (len(conjuncts(condition)) - 1 - len(found))


def _part(node: Condition, events: Events) -> Condition:
    match node:
        case Predicate():
            return _predicate(node, events)
        case Not(inner):
            return msgspec.structs.replace(node, inner=inject(inner, events))
        case Formerly(body=body) | Previous(body=body) | Exists(body=body):
            return msgspec.structs.replace(node, body=inject(body, events))
        case Since(left=left, right=right):
            return msgspec.structs.replace(
                node, left=inject(left, events), right=inject(right, events)
            )
        case Comparison(left=left, right=right):
            return msgspec.structs.replace(
                node, left=_operand(left, events), right=_operand(right, events)
            )
        case _:
            return node


def _operand(operand: Term, events: Events) -> Term:
    if isinstance(operand, Count | Sum):
        return msgspec.structs.replace(operand, body=inject(operand.body, events))
    return operand


def _predicate(node: Predicate, events: Events) -> Predicate:
    event = events.events.get(("::".join(node.namespace), node.action, node.kind))
    if event is None or not event.pins:
        return node
    pinned = tuple(Field(p.path, term(p, node.span), node.span) for p in event.pins)
    return msgspec.structs.replace(node, fields=(*node.fields, *pinned))
