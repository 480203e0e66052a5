"""What stands within what: walking the trees of conditions without recursion.

`children`, `walk` and `depth` are about conditions and terms alike; `within`, `nodes` and `nesting`
about conditions alone.
"""

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
    Term,
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


def within(node: Condition) -> tuple[Condition, ...]:
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
        waiting.extend(reversed(within(node)))


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


def nesting(condition: Condition) -> int:
    """Return how deep conditions lie within one another; a `&&` chain is one level."""
    deepest, waiting = 0, [(condition, 1)]
    while waiting:
        node, level = waiting.pop()
        deepest = max(deepest, level)
        for part in conjuncts(node):
            waiting.extend((inner, level + 1) for inner in within(part))
    return deepest
