"""The ways through a condition, without recursion along `&&`: chains can be long, not only deep."""

from __future__ import annotations

from collections.abc import Iterator

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
    Refine,
    Since,
    Sum,
    Term,
)


def conjuncts(condition: Condition) -> list[Condition]:
    """Return the parts of a `&&` chain from left to right; anything else is one part."""
    found, waiting = list[Condition](), [condition]
    while waiting:
        node = waiting.pop()
        if isinstance(node, And):
            waiting += (node.right, node.left)
        else:
            found.append(node)
    return found


def children(node: Condition) -> tuple[Condition, ...]:
    """Return the conditions right inside one, those of its aggregates included."""
    match node:
        case And(left, right) | Since(left=left, right=right):
            return left, right
        case Not(inner):
            return (inner,)
        case Formerly(body=body) | Previous(body=body) | Exists(body=body):
            return (body,)
        case Refine(base):
            return (base,)
        case Comparison(left=a, right=b):
            return tuple(t.body for t in (a, b) if isinstance(t, Count | Sum))
        case _:
            return ()


def nodes(condition: Condition) -> Iterator[Condition]:
    """Yield every condition inside one, itself first, in the order of the text."""
    waiting = [condition]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(children(node)))


def terms(node: Condition) -> Iterator[Term]:
    """Yield the terms that stand right in a condition, and those inside arrays."""
    match node:
        case Predicate(fields=fields):
            waiting = [f.term for f in reversed(fields)]
        case Comparison(left=left, right=right):
            waiting = [right, left]
        case _:
            return
    while waiting:
        term = waiting.pop()
        yield term
        if isinstance(term, ArrayLiteral):
            waiting.extend(reversed(term.items))


def depth(condition: Condition) -> int:
    """Return how deep conditions lie within one another; a `&&` chain is one level."""
    deepest, waiting = 0, [(condition, 1)]
    while waiting:
        node, level = waiting.pop()
        deepest = max(deepest, level)
        for part in conjuncts(node):
            waiting.extend((inner, level + 1) for inner in children(part))
    return deepest
