"""Which tools a policy can ever apply to, as far as its scope and plain conjuncts say."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, TypeGuard

from cedarpy import pst
from msgspec import Struct

from bridle.bundle.bundle import Bundle
from bridle.bundle.schema.cedar import (
    GOVERNANCE_ACTIONS,
    RESERVED_ACTIONS,
    fact_keys,
    result_fact_keys,
)
from bridle.bundle.schema.flow import ANY, ORIGIN, flow_keys, sink_keys
from bridle.bundle.schema.paths import find
from bridle.bundle.schema.shape import Record, input_typing, output_typing
from bridle.language.plain import is_object
from bridle.language.policy import Policy
from bridle.model.tool import EffectClass, Tool

RESULT = ":result"


class Seen(Struct, frozen=True):
    """What a policy sees of one tool's action, or of its result: a result has no origins."""

    tool: Tool
    result: bool
    input: Record
    output: Record | None
    facts: frozenset[str]
    flow: frozenset[str] = frozenset()
    sinks: frozenset[str] = frozenset()

    @property
    def action(self) -> str:
        """The name of the Cedar action."""
        return self.tool.name + (RESULT if self.result else "")

    def has(self, path: tuple[str, ...]) -> bool:
        """Whether `context.<path>` can exist."""
        if not path:
            return True
        named = self._named(path[0])
        if named is not None:
            names, attributes = named
            known = len(path) < 2 or path[1] in names
            return known and (len(path) < 3 or path[2] in attributes)
        roots = {"input": self.input, "output": self.output if self.result else None}
        if path[0] == "plan":
            return not self.result and (len(path) < 2 or path[1] in ("digest", "step", "deviates"))
        if path[0] not in roots:
            return True
        here: object = roots[path[0]]
        for name in path[1:]:
            if not isinstance(here, Record) or name not in here.fields:
                return False
            here = here.fields[name].shape
        return here is not None

    def _named(self, root: str) -> tuple[Collection[str], Collection[str]] | None:
        """Return what stands below one of the roots with records by name, and in each record."""
        if root == "facts":
            return self.facts, ("length", "found")
        if root == "flow":
            return self.flow, ORIGIN
        return (self.sinks, ORIGIN) if root == "sinks" else None

    def hides(self, path: tuple[str, ...]) -> bool:
        """Whether a tool takes or returns `context.<path>`, and policies cannot see it."""
        schemas = {"input": self.tool.input, "output": self.tool.output if self.result else None}
        schema = schemas.get(path[0])
        return schema is not None and not self.has(path) and find(schema, path[1:]) is not None


def seen_of(tools: Iterable[Tool]) -> tuple[Seen, ...]:
    """Return what policies see of every tool, as an action and as a result."""
    found = list[Seen]()
    for tool in tools:
        shape = input_typing(tool.input).shape
        given = shape if isinstance(shape, Record) else Record({})
        out = output_typing(tool.output).shape if tool.output is not None else None
        result = out if isinstance(out, Record) else None
        origins = frozenset((*flow_keys(tool), ANY)), frozenset(sink_keys(tool))
        found.append(Seen(tool, False, given, None, frozenset(fact_keys(tool)), *origins))
        found.append(Seen(tool, True, given, result, frozenset(result_fact_keys(tool))))
    return tuple(found)


def in_scope(policy: Policy, bundle: Bundle, everything: tuple[Seen, ...]) -> tuple[Seen, ...]:
    """Return the actions and results that the scope of a policy covers, whatever its conditions."""
    return tuple(s for s in everything if _in_scope(policy.node, s, bundle))


def covered(policy: Policy, bundle: Bundle, everything: tuple[Seen, ...]) -> tuple[Seen, ...]:
    """Return the actions and results that a policy of the tools set can apply to."""
    found = list(in_scope(policy, bundle, everything))
    for conjunct in conjuncts(policy.node):
        found = [s for s in found if _possible(conjunct, s, bundle)]
    return tuple(found)


def conjuncts(node: pst.Template) -> Iterator[pst.Expr]:
    """Yield the expressions that must all hold: the parts of `when` clauses joined by `&&`."""
    stack: list[pst.Expr] = [c.expr for c in node.clauses if isinstance(c, pst.When)]
    while stack:
        expr = stack.pop()
        if isinstance(expr, pst.BinaryOp) and expr.op == "and":
            stack += [expr.left, expr.right]
        else:
            yield expr


def context_path(expr: pst.Expr) -> tuple[str, ...] | None:
    """Return the path of `context.a.b` as `("a", "b")`; None for anything else."""
    path = list[str]()
    while isinstance(expr, pst.GetAttr):
        path.append(expr.attr)
        expr = expr.base
    return tuple(reversed(path)) if expr == pst.Var("context") else None


def parts(expr: Any) -> list[Any]:
    """Return the values directly inside a node of the AST."""
    if not is_dataclass(expr):
        return []
    found = list[Any]()
    for field in fields(expr):
        value: Any = getattr(expr, field.name)
        if _is_tuple(value):
            found += value
        else:
            found += value.values() if is_object(value) else [value]
    return found


def _is_tuple(value: object) -> TypeGuard[tuple[Any, ...]]:
    return isinstance(value, tuple)


def is_governance(action: str) -> bool:
    """Whether an action belongs to the governance set."""
    return action == "governance" or action in GOVERNANCE_ACTIONS


def is_known_action(action: str, tools: dict[str, Tool]) -> bool:
    """Whether there is a group, a tool or a tool's result of that name."""
    name = action.removesuffix(RESULT)
    return name in tools or action in RESERVED_ACTIONS


def _in_scope(node: pst.Template, seen: Seen, bundle: Bundle) -> bool:
    match node.action:
        case pst.ActionEq(entity=entity):
            acts = entity.id == seen.action
        case pst.ActionIn(entities=entities):
            acts = any(e.id in groups(seen) for e in entities)
        case _:
            acts = True
    return acts and covers_system(node.resource, seen.tool.system, bundle)


def groups(seen: Seen) -> frozenset[str]:
    """Return the action and every group it is in."""
    if seen.result:
        return frozenset({seen.action, "release"})
    return frozenset({seen.action, EffectClass(seen.tool.effect).value, "call"})


def covers_system(scope: pst.PrincipalOrResourceConstraint, system: str, bundle: Bundle) -> bool:
    """Whether the resource scope of a policy covers a system."""
    match scope:
        case pst.ScopeEq(entity=pst.EntityUid() as entity):
            return str(entity.type) == "System" and entity.id == system
        case pst.ScopeIn(entity=pst.EntityUid() as entity):
            return _within(entity, system, bundle)
        case pst.ScopeIs(entity_type=kind):
            return str(kind) == "System"
        case pst.ScopeIsIn(entity_type=kind, entity=pst.EntityUid() as entity):
            return str(kind) == "System" and _within(entity, system, bundle)
        case _:
            return True


def _within(entity: pst.EntityUid, name: str, bundle: Bundle) -> bool:
    system = bundle.systems.get(name)
    if str(entity.type) == "System":
        return entity.id == name
    return str(entity.type) == "Domain" and system is not None and entity.id == system.domain


def _possible(expr: pst.Expr, seen: Seen, bundle: Bundle) -> bool:
    match expr:
        case pst.HasAttr(base=base, attrs=attrs):
            path = context_path(base)
            return path is None or seen.has((*path, *attrs))
        case pst.BinaryOp(
            op="eq" | "in" as op, left=pst.Var(name=name), right=pst.EntityLit() as r
        ):
            return _names(name, op, r.value, seen, bundle)
        case _:
            return True


def _names(name: str, op: str, entity: pst.EntityUid, seen: Seen, bundle: Bundle) -> bool:
    if name == "resource":
        if op == "in":
            return _within(entity, seen.tool.system, bundle)
        return str(entity.type) == "System" and entity.id == seen.tool.system
    if name == "action":
        return entity.id == seen.action if op == "eq" else entity.id in groups(seen)
    return True
