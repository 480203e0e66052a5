"""Walking and rebuilding syntax trees of conditions, whatever their nodes are."""

from collections.abc import Iterator
from typing import Any

import msgspec

from bridle.language.temporal import ast

OPERATORS = (ast.Formerly, ast.Previous, ast.Since)
CONDITIONS = (
    ast.Predicate, ast.Comparison, ast.And, ast.Not, ast.Formerly, ast.Previous, ast.Since,
    ast.Exists, ast.Tp,
)  # fmt: skip

Steps = tuple[str | int, ...]


def children(node: Any) -> Iterator[tuple[str | int, Any]]:
    """Give the parts of a node with the steps that lead to them."""
    if isinstance(node, msgspec.Struct):
        for name in node.__struct_fields__:
            yield name, getattr(node, name)
    elif isinstance(node, tuple):
        yield from enumerate(node)


def places(node: Any, steps: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    """Give every node of a tree, itself first, with the way to it."""
    if isinstance(node, msgspec.Struct):
        yield steps, node
    for step, part in children(node):
        if isinstance(part, msgspec.Struct | tuple):
            yield from places(part, (*steps, step))


def of_kind(node: Any, *kinds: type) -> Iterator[tuple[Steps, Any]]:
    return ((steps, part) for steps, part in places(node) if isinstance(part, kinds))


def put(node: Any, steps: Steps, new: Any) -> Any:
    """The tree with another node at one place."""
    if not steps:
        return new
    step, rest = steps[0], steps[1:]
    if isinstance(node, tuple):
        assert isinstance(step, int)
        return (*node[:step], put(node[step], rest, new), *node[step + 1 :])
    assert isinstance(step, str)
    return msgspec.structs.replace(node, **{step: put(getattr(node, step), rest, new)})


def at(node: Any, steps: Steps) -> Any:
    for step in steps:
        node = node[step] if isinstance(node, tuple) else getattr(node, str(step))
    return node


def conjuncts(condition: ast.Condition) -> tuple[ast.Condition, ...]:
    """Take a chain of `&&` apart."""
    if isinstance(condition, ast.And):
        return (*conjuncts(condition.left), *conjuncts(condition.right))
    return (condition,)


def chain(parts: list[ast.Condition]) -> ast.Condition:
    """Join conditions by `&&`, leaning to the left as the parser does."""
    joined = parts[0]
    for part in parts[1:]:
        joined = ast.And(joined, part)
    return joined


def free(node: Any) -> frozenset[str]:
    """Name the variables that a condition or term leaves open."""
    match node:
        case ast.Variable(name=name) | ast.Tp(variable=name):
            return frozenset((name,))
        case ast.Exists(binder=binder, body=body):
            return free(body) - {binder.name}
        case ast.Count(binders=binders, body=body) | ast.Sum(binders=binders, body=body):
            return free(body) - {b.name for b in binders}
        case _:
            return frozenset().union(*(free(part) for _, part in children(node)))


def depth(node: Any) -> int:
    """How deep operators over time stand within one another."""
    below = max((depth(part) for _, part in children(node)), default=0)
    return below + isinstance(node, OPERATORS)
