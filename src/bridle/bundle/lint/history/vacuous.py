"""Conditions over history that are true, or false, whatever has happened. Finds the plain cases.

Only what is certain is reported: a condition that is not found here may still be vacuous.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from msgspec import Struct

from bridle.language.temporal import printing
from bridle.language.temporal.ast import (
    And,
    Comparison,
    Condition,
    ContextField,
    Count,
    Exists,
    Field,
    Formerly,
    IntegerLiteral,
    Not,
    Predicate,
    Previous,
    Since,
    Span,
    Term,
    Variable,
    Wildcard,
)
from bridle.language.temporal.tree import conjuncts, nodes

_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_MOST = 2**63


class Vacuous(Struct, frozen=True):
    """What is wrong, and where."""

    what: str
    span: Span


def find(condition: Condition, tools: frozenset[str], *, deciding: bool = True) -> Vacuous | None:
    """Return the first part that history cannot change; `tools` are those whose calls are judged.

    With `deciding`, the request that is judged is itself part of the history.
    """
    chains = [conjuncts(condition), *(_chain(node) for node in nodes(condition))]
    for found in _found(condition, chains, tools if deciding else frozenset()):
        return found
    return None


def _found(
    condition: Condition, chains: list[list[Condition]], tools: frozenset[str]
) -> Iterator[Vacuous]:
    for node in nodes(condition):
        if isinstance(node, Comparison):
            yield from _comparison(node)
        if isinstance(node, Formerly):
            yield from _own_request(node, condition, tools)
    for chain in chains:
        yield from _contradiction(chain)
        yield from _two_events(chain)
        yield from _empty_range(chain)
    yield from _not_now(condition, tools)


def _chain(node: Condition) -> list[Condition]:
    """Return the conjuncts right inside an operator."""
    match node:
        case Formerly(body=body) | Previous(body=body) | Exists(body=body):
            return conjuncts(body)
        case Since(right=right):
            return conjuncts(right)
        case Comparison(left=Count(body=body)) | Comparison(right=Count(body=body)):
            return conjuncts(body)
        case _:
            return []


# --- comparisons ---------------------------------------------------------------------------------


def _comparison(node: Comparison) -> Iterator[Vacuous]:
    if node.left == node.right and not isinstance(node.left, ContextField):
        yield Vacuous(f"`{printing.text(node)}` compares a thing with itself", node.span)
        return
    left, op, right = node.left, node.op, node.right
    if isinstance(right, Count):
        left, op, right = right, _TURNED[op], left
    if isinstance(left, Count) and isinstance(right, IntegerLiteral):
        always = _against_count(op, right.value)
        if always is not None:
            truth = "always" if always else "never"
            yield Vacuous(f"a count is {truth} `{op} {right.value}`", node.span)


def _against_count(op: str, bound: int) -> bool | None:
    """Return the truth of `count op bound` where it does not depend on the count."""
    never_below = {">=": bound <= 0, ">": bound < 0, "!=": bound < 0}
    if never_below.get(op):
        return True
    never_reached = {"<": bound <= 0, "<=": bound < 0, "==": bound < 0}
    return False if never_reached.get(op) else None


def _empty_range(chain: Iterable[Condition]) -> Iterator[Vacuous]:
    """Find comparisons of one thing with numbers that no number meets."""
    ranges: dict[str, tuple[int, int]] = {}
    for part in chain:
        bound = _bound(part)
        if bound is None or not isinstance(part, Comparison):
            continue
        name, low, high = bound
        known = ranges.get(name, (-_MOST, _MOST))
        ranges[name] = max(low, known[0]), min(high, known[1])
        if ranges[name][0] > ranges[name][1]:
            yield Vacuous(f"nothing that `{name}` could be meets all that is asked", part.span)
            return


def _bound(part: Condition) -> tuple[str, int, int] | None:
    if not isinstance(part, Comparison):
        return None
    left, op, right = part.left, part.op, part.right
    if isinstance(left, IntegerLiteral):
        left, op, right = right, _TURNED[op], left
    if not isinstance(right, IntegerLiteral) or isinstance(left, IntegerLiteral):
        return None
    value = right.value
    ranges = {
        "<": (-_MOST, value - 1),
        "<=": (-_MOST, value),
        "==": (value, value),
        ">=": (value, _MOST),
        ">": (value + 1, _MOST),
    }
    return (printing.term(left), *ranges[op]) if op in ranges else None


# --- events --------------------------------------------------------------------------------------


def _contradiction(chain: list[Condition]) -> Iterator[Vacuous]:
    wanted = {printing.text(p) for p in chain if not isinstance(p, Not)}
    for part in chain:
        if isinstance(part, Not) and printing.text(part.inner) in wanted:
            yield Vacuous("it asks for something and for its opposite", part.span)
            return


def _two_events(chain: list[Condition]) -> Iterator[Vacuous]:
    """Find predicates of one chain that no single event meets."""
    events = [p for p in chain if isinstance(p, Predicate)]
    for one, other in pairwise(events):
        same = (one.action, one.kind) == (other.action, other.kind)
        if not same or _clash(one.fields, other.fields):
            yield Vacuous("one event cannot be both of these", other.span)
            return


def _clash(one: Iterable[Field], other: Iterable[Field]) -> bool:
    known = {f.path: f.term for f in one if _is_fixed(f.term)}
    return any(_is_fixed(f.term) and known.get(f.path, f.term) != f.term for f in other)


def _is_fixed(term: Term) -> bool:
    return not isinstance(term, Variable | Wildcard | ContextField)


def _own_request(node: Formerly, whole: Condition, tools: frozenset[str]) -> Iterator[Vacuous]:
    """Find what the judged request itself meets, so that it always holds."""
    event = conjuncts(node.body)[0]
    if not isinstance(event, Predicate) or event.kind != "request" or set(tools) != {event.action}:
        return
    alone = len(conjuncts(node.body)) == 1
    if alone and all(_is_own(f) for f in event.fields) and _stands_alone(node, whole):
        yield Vacuous(
            f"the request for {event.action} that is judged is itself one of those looked for",
            node.span,
        )


def _is_own(field: Field) -> bool:
    match field.term:
        case ContextField(path):
            return ".".join(path) == field.path
        case Wildcard():
            return True
        case Variable():
            return field.path == "requestId"
        case _:
            return False


def _stands_alone(node: Formerly, whole: Condition) -> bool:
    """Whether a condition stands at the decision, and not inside another operator or a count."""
    stack: list[Condition] = [whole]
    while stack:
        here = stack.pop()
        if here is node:
            return True
        match here:
            case And(left, right):
                stack += [left, right]
            case Not(inner):
                stack.append(inner)
            case Exists(body=body):
                stack.append(body)
            case _:
                pass
    return False


def _not_now(condition: Condition, tools: frozenset[str]) -> Iterator[Vacuous]:
    """Find events asked for at the decision itself that the judged request is not."""
    for part in conjuncts(condition):
        event = part.inner if isinstance(part, Not) else part
        if (
            isinstance(event, Predicate)
            and tools
            and (event.kind != "request" or event.action not in tools)
        ):
            yield Vacuous(
                f"the action that is judged is no {event.kind} of {event.action}; without "
                "`formerly` nothing else is looked at",
                event.span,
            )
