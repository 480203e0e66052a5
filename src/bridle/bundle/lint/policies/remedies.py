"""Whether each `@modify` can do what it says: paths, types, and that its effect is observed."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import jsonschema_rs
from cedarpy import pst

from bridle.bundle.lint.places import Places
from bridle.bundle.lint.scope import Seen, context_path, parts
from bridle.bundle.parse.table import Findings
from bridle.bundle.schema.flow import ANY
from bridle.bundle.schema.json_schema import Schema, validator
from bridle.bundle.schema.paths import Place, find
from bridle.language.policy import Policy
from bridle.language.remedy import Clamp, Drop, Mask, Modify, Redact, Replace, SetTo, Truncate
from bridle.language.temporal.ast import Predicate
from bridle.language.temporal.tree import walk
from bridle.model.event import EventKind

_TEXTUAL = frozenset({"string", "array", "object"})
_FIT: dict[type[Modify], tuple[frozenset[str], str]] = {
    Clamp: (frozenset({"integer", "number"}), "a number"),
    Truncate: (frozenset({"string", "array"}), "a string or an array"),
    Mask: (frozenset({"string"}), "a string"),
    Replace: (frozenset({"string"}), "a string"),
}


class RemedyLint:
    """Checks the remedy of one policy against every tool it covers."""

    def __init__(self, policy: Policy, places: Places, findings: Findings) -> None:
        self.policy, self.findings = policy, findings
        self.at = places.annotation(policy, "modify")
        self.wrong = False

    def check(self, covered: Iterable[Seen], detectors: frozenset[str]) -> None:
        """Report what is wrong with the operators. `covered` is what the policy applies to."""
        seen = tuple(covered)
        for operator in self.policy.modify:
            if isinstance(operator, Redact):
                self._detectors(operator, detectors)
            for one in seen:
                if not self._operator(operator, one):
                    break
        if not self.wrong:
            self._observed()

    def _detectors(self, operator: Redact, detectors: frozenset[str]) -> None:
        for name in operator.detectors:
            if name not in detectors:
                self._error(
                    "unknown_detector",
                    f"there is no detector {name!r}",
                    f"known: {', '.join(sorted(detectors))}",
                )

    def _operator(self, operator: Modify, seen: Seen) -> bool:
        root = "output" if seen.result else "input"
        if operator.path.root != root:
            self._error(
                "remedy_path",
                f"`{operator.path}` cannot be changed when {seen.action} is judged",
                f"a policy on {'results' if seen.result else 'actions'} changes `{root}`; "
                'name Action::"call" or Action::"release" in its scope',
            )
            return False
        if not operator.path.steps and not isinstance(operator, Redact):
            self._error("remedy_path", f"`{root}` as a whole can only be redacted")
            return False
        schema = seen.tool.output if seen.result else seen.tool.input
        if schema is None:
            return self._untyped_result(operator, seen)
        place = find(schema, operator.path.steps)
        if place is None:
            self._error(
                "remedy_path",
                f"{seen.tool.name} has no `{operator.path}`",
                f"leave the tool out of the scope, or add `context.{_parent(operator)} && …`",
            )
            return False
        return self._type(operator, place, schema, seen)

    def _untyped_result(self, operator: Modify, seen: Seen) -> bool:
        if not operator.path.steps:
            return True
        self._error(
            "remedy_path",
            f"the result of {seen.tool.name} has no schema, so `{operator.path}` may not exist",
            "give the tool an `output` schema, or redact `output` as a whole",
        )
        return False

    def _type(self, operator: Modify, place: Place, schema: Schema, seen: Seen) -> bool:
        types = place.types - {"null"}
        if isinstance(operator, Redact):
            problem = "" if types & _TEXTUAL else "it holds no text"
        elif isinstance(operator, Drop):
            problem = "" if place.removable else "it is required"
        elif isinstance(operator, SetTo):
            problem = "" if _accepts(place, schema, operator.value) else "its schema refuses it"
        else:
            wanted, what = _FIT[type(operator)]
            problem = "" if types and wanted.issuperset(types) else f"it is not always {what}"
        if isinstance(operator, Clamp) and not problem and "number" not in types:
            fraction = isinstance(operator.low, Decimal) or isinstance(operator.high, Decimal)
            problem = "it is an integer and the range is not" if fraction else ""
        if problem:
            name = type(operator).__name__.lower().removesuffix("to")
            self._error(
                "remedy_type",
                f"{seen.tool.name}: `{name} {operator.path}` does not fit, {problem}",
            )
        return not problem

    def _observed(self) -> None:
        """INVARIANT: some operator changes what the conditions look at, or the loop never ends."""
        looked_at = _looked_at(self.policy.node) | _looked_back_at(self.policy)
        for operator in self.policy.modify:
            root, steps = operator.path.root, operator.path.steps
            wanted = {name for r, name in looked_at if r in {root, "facts"}}
            if root == "input":
                # Where a changed argument came from is found out anew.
                wanted |= {name for r, name in looked_at if r == "flow"} - {ANY}
                wanted |= {"*" for pair in looked_at if pair[0] == "sinks" or pair == ("flow", ANY)}
            if "*" in wanted or (steps[0] in wanted if steps else wanted):
                return
        paths = ", ".join(f"`{o.path}`" for o in self.policy.modify)
        self._error(
            "remedy_blind",
            f"{self.policy.id} changes {paths} but looks at none of it, so it would object again",
            "let its condition mention that argument, its `context.facts` or its `context.flow`",
        )

    def _error(self, code: str, message: str, hint: str = "") -> None:
        self.wrong = True
        self.findings.error(self.at, code, message, hint)


def _parent(operator: Modify) -> str:
    steps = [s for s in operator.path.steps if s != "[]"]
    base = ".".join((operator.path.root, *steps[:-1]))
    return f"{base} has {steps[-1]}" if steps else base


def _accepts(place: Place, schema: Schema, value: Any) -> bool:
    for part in place.direct:
        if part is True:
            return True
        whole = {**part, "$defs": schema.get("$defs", {})}
        try:
            if validator(whole).is_valid(value):
                return True
        except (ValueError, jsonschema_rs.ReferencingError):
            return False
    return False


def _looked_at(node: pst.Template) -> set[tuple[str, str]]:
    """Return (root, name) for everything conditions read of the attributes of `context`."""
    found, stack = set[tuple[str, str]](), list[Any]([c.expr for c in node.clauses])
    while stack:
        expr = stack.pop()
        path = _path(expr)
        if path and len(path) > 1:
            found.add((path[0], path[1]))
            continue
        if path and not isinstance(expr, pst.HasAttr):
            found.add((path[0], "*"))
            continue
        stack += parts(expr)
    return found


def _looked_back_at(policy: Policy) -> set[tuple[str, str]]:
    """Return the same for conditions over history: parts of the action, and of requests like it."""
    found = {tuple(r.split(".")[1:3]) for leaf in policy.leaves for r in leaf.reads}
    for leaf in policy.leaves:
        for node in walk(leaf.condition):
            if isinstance(node, Predicate) and node.kind == EventKind.REQUEST:
                found |= {tuple(f.path.split(".")[:2]) for f in node.fields}
    return {(pair[0], pair[1]) for pair in found if len(pair) == 2}


def _path(expr: Any) -> tuple[str, ...] | None:
    if isinstance(expr, pst.HasAttr):
        base = context_path(expr.base)
        return None if base is None else (*base, *expr.attrs)
    return context_path(expr) if isinstance(expr, pst.GetAttr) else None
