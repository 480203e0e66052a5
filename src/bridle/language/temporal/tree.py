"""What stands within what: walking the trees of conditions without recursion."""

from __future__ import annotations

from collections.abc import Iterator

from bridle.language.temporal.ast import (
    AggregateCall,
    And,
    Argument,
    ArrayLiteral,
    Call,
    Comparison,
    Condition,
    ContextField,
    Count,
    Exists,
    Formerly,
    Not,
    Predicate,
    Previous,
    Refine,
    ScopeField,
    Since,
    Sum,
    Tp,
    Variable,
)


def children(node: Argument) -> tuple[Argument, ...]:
    """Return what stands directly within a condition or term, in the order it is written."""
    match node:
        case And(left, right) | Since(left, _, right) | Comparison(_, left, right):
            return left, right
        case Formerly() | Previous() | Exists() | Count() | Sum():
            return (node.body,)
        case Not(inner):
            return (inner,)
        case Predicate() | Refine():
            base = (node.base,) if isinstance(node, Refine) else ()
            return (*base, *(field.term for field in node.fields))
        case Call(_, items) | AggregateCall(_, items) | ArrayLiteral(items):
            return items
        case _:
            return ()


def walk(node: Argument) -> Iterator[Argument]:
    """Yield a condition or term and everything within it, in the order it is written."""
    left = [node]
    while left:
        found = left.pop()
        yield found
        left.extend(reversed(children(found)))


def depth(node: Argument) -> int:
    """Return how many levels a tree has."""
    deepest, left = 0, [(node, 1)]
    while left:
        found, level = left.pop()
        deepest = max(deepest, level)
        left.extend((child, level + 1) for child in children(found))
    return deepest


def names(node: Argument) -> frozenset[str]:
    """Return every name of a variable in a tree, bound or not."""
    found = set[str]()
    for each in walk(node):
        match each:
            case Variable(name) | Tp(name):
                found.add(name)
            case Exists():
                found.add(each.binder.name)
            case Count() | Sum():
                found.update(binder.name for binder in each.binders)
            case _:
                pass
    return frozenset(found)


def reads(node: Argument) -> frozenset[str]:
    """Return what a condition reads of the deciding request.

    `principal`, `resource`, `principal.team`, `context.input.user`: dotted, whole paths.
    """
    found = set[str]()
    for each in walk(node):
        if isinstance(each, ContextField):
            found.add(".".join(("context", *each.path)))
        elif isinstance(each, ScopeField):
            found.add(".".join(each.path))
    return frozenset(found)


def horizon(condition: Condition) -> int:
    """Return how far back, in seconds, a condition can look: nested windows add up."""
    furthest, left = 0, list[tuple[Argument, int]]([(condition, 0)])
    while left:
        node, behind = left.pop()
        if isinstance(node, Formerly | Previous | Since):
            behind += max(node.window.seconds, 0)
        furthest = max(furthest, behind)
        left.extend((child, behind) for child in children(node))
    return furthest
