"""Conditions on where values came from that can never be true, or that mean less than they seem to.

Reports what no tool's arguments can mean, labels that nothing carries, permits that take what has
been read for what can be trusted, and redactions that leave the label they are for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from cedarpy import pst

from bridle.bundle.bundle import Bundle
from bridle.bundle.lint.places import Places
from bridle.bundle.lint.scope import Seen, context_path, parts
from bridle.bundle.parse.systems import SINKS
from bridle.bundle.parse.table import Findings
from bridle.bundle.schema.flow import ANY
from bridle.language.policy import Policy
from bridle.language.remedy import Redact
from bridle.model.tool import Tool

_ORIGINS = ("flow", "sinks")
_COMPARING = ("contains", "contains_all", "contains_any", "eq", "not_eq")
_VOUCHED = ("trusted", "prompted")
_SHOWN = 10
_TOP = re.compile(r"[.\[]")

Path = tuple[str, ...]


def check(policy: Policy, scope: tuple[Seen, ...], places: Places, findings: Findings) -> None:
    """Check what a policy asks of origins; `scope` is what the scope of the policy covers."""
    read = tuple(dict.fromkeys(paths(policy.node)))
    for sink in dict.fromkeys(p[1] for p in read if len(p) > 1 and p[0] == "sinks"):
        _sink(policy, sink, scope, places, findings)
    if policy.effect == "permit":
        _trusting(policy, read, places, findings)
    _inherited(policy, read, scope, places, findings)


def labels(policy: Policy, bundle: Bundle, places: Places, findings: Findings) -> None:
    """Report labels that a policy asks for and that nothing in the bundle declares."""
    known = bundle.labels
    for path, label in dict.fromkeys(_asked(policy.node)):
        if label not in known:
            findings.warning(
                places.attribute(policy, ".".join(path)),
                "unknown_label",
                f"{policy.id} asks for the label {label[:80]!r}, which nothing carries",
                f"labels: {', '.join(sorted(known)[:_SHOWN]) or 'none'}; they are declared on "
                "systems, tools and missions, and in `[labels.detected]`",
            )


def paths(node: pst.Template) -> Iterator[Path]:
    """Yield the path of everything below `context` that conditions read or test with `has`."""
    stack: list[Any] = [clause.expr for clause in node.clauses]
    while stack:
        expr = stack.pop()
        tested = isinstance(expr, pst.HasAttr)
        base = context_path(expr.base if tested else expr)
        if base is None:
            stack += parts(expr)
        elif path := (*base, *(expr.attrs if tested else ())):
            yield path


def _sink(
    policy: Policy, sink: str, scope: Iterable[Seen], places: Places, findings: Findings
) -> None:
    at = places.attribute(policy, f"sinks.{sink}")
    if sink not in SINKS:
        findings.error(
            at,
            "unknown_sink",
            f"{policy.id} reads `context.sinks.{sink[:40]}`, which no argument can mean",
            f"arguments mean {', '.join(SINKS)}",
        )
    elif not any(seen.has(("sinks", sink)) for seen in scope):
        findings.warning(
            at,
            "unused_sink",
            f"{policy.id} reads `context.sinks.{sink}`, and no argument that it covers means that",
            f'say `sink = "{sink}"` of the arguments that do, in `[tools.NAME.arguments.PATH]`',
        )


def _trusting(policy: Policy, read: tuple[Path, ...], places: Places, findings: Findings) -> None:
    """Report a permit for what is not unknown: whoever wrote what was read could be granted it."""
    asked = [p for p in read if p[0] in _ORIGINS]
    unknown = [p for p in asked if p[-1] == "unknown" and len(p) > 1]
    if unknown and not any(p[-1] in _VOUCHED for p in asked):
        path = ".".join(unknown[0])
        findings.info(
            places.attribute(policy, path),
            "unknown_is_not_trust",
            f"{policy.id} permits by `context.{path}`, which is also false of what an attacker "
            "has written where it was read",
            "ask for `trusted` or `prompted`",
        )


def _inherited(
    policy: Policy,
    read: tuple[Path, ...],
    scope: Iterable[Seen],
    places: Places,
    findings: Findings,
) -> None:
    """Report a redaction for the sake of a label that the value has of its mission, and keeps."""
    tools = [seen.tool for seen in scope if not seen.result]
    for operator in policy.modify:
        steps = operator.path.steps
        if not isinstance(operator, Redact) or operator.path.root != "input" or not steps:
            continue
        asked = [p for p in read if p[-1] == "labels" and p[:2] in _origins_of(steps[0], read)]
        kept = [tool.name for tool in tools if _inherits(tool, steps[0])]
        if asked and kept:
            path = ".".join(asked[0])
            findings.warning(
                places.attribute(policy, path),
                "inherited_label",
                f"{policy.id} asks for `context.{path}` and redacts `{operator.path}`, which keeps "
                f"the labels of its mission on {kept[0]}",
                f"say `inherits = false` of `{steps[0]}` in `[tools.NAME.arguments]`",
            )


def _origins_of(argument: str, read: Iterable[Path]) -> set[Path]:
    """Return what of `context` says something of an argument: by its name, its meaning, or all."""
    return {("flow", argument), ("flow", ANY), *(p[:2] for p in read if p[0] == "sinks")}


def _inherits(tool: Tool, argument: str) -> bool:
    """Whether nothing of an argument that a tool has is declared not to inherit."""
    schema = tool.input.get("properties", {})
    relaxed = (a.path for a in tool.arguments if not a.inherits)
    return argument in schema and argument not in {_TOP.split(path, 1)[0] for path in relaxed}


def _asked(node: pst.Template) -> Iterator[tuple[Path, str]]:
    """Yield each label that is compared with some labels, and the path of those."""
    stack: list[Any] = [clause.expr for clause in node.clauses]
    while stack:
        expr = stack.pop()
        stack += parts(expr)
        if isinstance(expr, pst.BinaryOp) and expr.op in _COMPARING:
            for one, other in ((expr.left, expr.right), (expr.right, expr.left)):
                path = _labels(one)
                if path:
                    yield from ((path, label) for label in _texts(other))


def _labels(expr: Any) -> Path:
    if isinstance(expr, pst.GetAttr) and expr.base == pst.Var("resource"):
        return ("resource", "labels") if expr.attr == "labels" else ()
    path = context_path(expr) or ()
    of_mission = path in {("mission", "labels"), ("mission", "clearance")}
    of_origin = len(path) > 1 and path[0] in _ORIGINS and path[-1] == "labels"
    return path if of_mission or of_origin else ()


def _texts(expr: Any) -> tuple[str, ...]:
    found = expr.elements if isinstance(expr, pst.Set) else (expr,)
    return tuple(e.value for e in found if isinstance(e, pst.StringLit))
