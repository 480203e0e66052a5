"""Rules that never apply, tools that nothing permits, detectors that are asked and do not run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cedarpy import pst

from bridle.bundle.bundle import Bundle
from bridle.bundle.lint.declared.tools import CONTENT, meaning
from bridle.bundle.lint.places import Places
from bridle.bundle.lint.scope import Seen, context_path, parts
from bridle.bundle.parse.table import Findings
from bridle.bundle.parse.toml import Document
from bridle.bundle.schema.paths import split
from bridle.language.policy import Policy


def never_applies(policy: Policy, findings: Findings) -> None:
    """Report a policy that can be deleted without any change."""
    findings.warning(
        policy.location,
        "never_applies",
        f"{policy.id} can never apply",
        "its scope covers no declared tool, or its condition is always false",
    )


def permits(
    bundle: Bundle, covered: dict[str, tuple[Seen, ...]], document: Document, findings: Findings
) -> None:
    """Report tools that no permit covers. `covered` maps policies to what they apply to."""
    allowed = {
        seen.tool.name
        for policy in bundle.policies
        if policy.effect == "permit"
        for seen in covered.get(policy.id, ())
        if not seen.result
    }
    for name in bundle.tools.keys() - allowed:
        findings.info(
            document.at(("tools", name)),
            "no_permit_for_tool",
            f"no policy permits the tool {name}",
            "what nothing permits is denied; write a permit, or drop the tool",
        )


def presence(policy: Policy, scope: tuple[Seen, ...], places: Places, findings: Findings) -> None:
    """Report each `has` that is false whatever an agent sends: its negation would always hold.

    `scope` is what the scope of the policy covers.
    """
    for path in _tested(policy.node):
        shown, at = ".".join(path), places.attribute(policy, ".".join(path))
        hiding = [s.action for s in scope if s.hides(path)]
        if hiding:
            findings.error(
                at,
                "unseen_argument",
                f"{policy.id} tests for `context.{shown}`, which it cannot see for "
                f"{', '.join(hiding[:5])}: it would always seem absent",
                "give it a type that policies can see (`untyped_argument` says why it has none)",
            )
        elif scope and not any(s.has(path) for s in scope):
            findings.error(
                at,
                "unknown_attribute",
                f"{policy.id} tests for `context.{shown}`, which nothing that it covers has",
                "see schema/tools.cedarschema for what there is",
            )


def _tested(node: pst.Template) -> list[tuple[str, ...]]:
    """Return the path of every `context.input has X`, and of `output`, `facts` and `flow`."""
    found, stack = list[tuple[str, ...]](), list[Any]([c.expr for c in node.clauses])
    while stack:
        expr = stack.pop()
        if isinstance(expr, pst.HasAttr):
            base = context_path(expr.base)
            path = (*base, *expr.attrs) if base is not None else ()
            if len(path) > 1 and path[0] in {"input", "output", "facts", "flow"}:
                found.append(path)
        stack += parts(expr)
    return list(dict.fromkeys(found))


class DetectorLint:
    """Checks that a condition on `context.facts.X.found` can be true at all."""

    def __init__(self, policy: Policy, places: Places, findings: Findings) -> None:
        self.policy, self.places, self.findings = policy, places, findings

    def check(self, covered: Iterable[Seen], known: frozenset[str]) -> None:
        """Report detectors that do not exist, or do not run on any tool the policy covers."""
        seen = tuple(covered)
        for argument, name in _asked(self.policy.node):
            if name not in known:
                self.findings.error(
                    self._at(argument),
                    "unknown_detector",
                    f"{self.policy.id} asks for the detector {name[:80]!r}, which does not exist",
                    f"known: {', '.join(sorted(known))}",
                )
                continue
            having = [s for s in seen if argument in s.facts]
            blind = [s for s in having if not _runs(s, argument, name)]
            if blind:
                shown = ", ".join(s.action for s in blind[:5])
                self.findings.warning(
                    self._at(argument),
                    "detector_not_run",
                    f"the detector {name} does not run on `{argument}` of {shown}",
                    'set `sink = "content"` on the argument, or name the detector in `detect`',
                )

    def _at(self, argument: str) -> Any:
        return self.places.attribute(self.policy, f"facts.{argument}")


def _runs(seen: Seen, argument: str, name: str) -> bool:
    tool = seen.tool
    if seen.result:
        return tool.detect_output is None or name in tool.detect_output
    own = [a for a in tool.arguments if split(a.path)[0] == argument]
    top = meaning(tool.arguments, (argument,))
    return any(_detects(a.detect, a.sink, name) for a in (own if top or own else ()))


def _detects(detect: tuple[str, ...] | None, sink: str, name: str) -> bool:
    return name in detect if detect is not None else sink == CONTENT


def _asked(node: pst.Template) -> list[tuple[str, str]]:
    """Return (argument, detector) for every `context.facts.X.found.contains("D")`."""
    found, stack = list[tuple[str, str]](), list[Any]([c.expr for c in node.clauses])
    while stack:
        expr = stack.pop()
        if isinstance(expr, pst.BinaryOp) and expr.op.startswith("contains"):
            path = context_path(expr.left)
            if path is not None and len(path) == 3 and path[::2] == ("facts", "found"):
                found += [(path[1], name) for name in _literals(expr.right)]
        stack += parts(expr)
    return list(dict.fromkeys(found))


def _literals(expr: pst.Expr) -> list[str]:
    parts = expr.elements if isinstance(expr, pst.Set) else (expr,)
    return [p.value for p in parts if isinstance(p, pst.StringLit)]
