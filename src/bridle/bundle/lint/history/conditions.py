"""Conditions over history against the bundle: the events there are, their fields, types, windows.

The folder of a policy says which event schema holds. What is refused here would otherwise be false
in silence, and so would the forbid that asks for it.
"""

from __future__ import annotations

from cedarpy import pst

from bridle.bundle.bundle import Bundle
from bridle.bundle.lint.places import Places
from bridle.bundle.lint.scope import parts
from bridle.bundle.parse.history import RESERVED, report_reserved
from bridle.bundle.parse.table import Findings
from bridle.language.errors import LanguageError
from bridle.language.events import cedar_schema
from bridle.language.events.actions import CedarActions
from bridle.language.events.ast import Events
from bridle.language.events.derive import derive
from bridle.language.events.parse import parse
from bridle.language.lexer import Source
from bridle.language.policy import Leaf, Policy
from bridle.language.reach import reach
from bridle.language.temporal import typing
from bridle.language.temporal.acceptance import accept
from bridle.language.temporal.ast import ContextField
from bridle.language.temporal.meaning.findings import Findings as Gathered
from bridle.language.temporal.tree import walk
from bridle.model.finding import Finding


def check(bundle: Bundle, places: Places, findings: Findings) -> None:
    """Check every condition of every policy, each under the event schema of its scope."""
    told = {f.location.file for f in findings.found if f.code == "reserved_context"}
    for policy in bundle.policies:
        if policy.location.file not in told:
            _reserved(policy, places, findings)
    looking = [p for p in bundle.policies if p.leaves]
    if not looking:
        return
    try:
        checker = _Checker(bundle)
    except LanguageError as error:
        # Cedar has read the same schema, so this is ours to mend; the bundle is not used.
        findings.found.append(error.finding)
        return
    for policy in looking:
        checker.check(policy, findings)


class _Checker:
    def __init__(self, bundle: Bundle) -> None:
        self._files = bundle.texts
        self._actions = _actions("schema/tools.cedarschema", bundle.schemas.tools)
        logged = _actions("schema/events.cedarschema", bundle.schemas.logged)
        self._events: dict[str, Events] = {
            scope: derive(parse(Source(f"schema/{scope}.dwschema", text)), logged)
            for scope, text in bundle.schemas.events.items()
        }

    def check(self, policy: Policy, findings: Findings) -> None:
        file = policy.location.file
        source = Source(file, self._files.get(file, ""))
        reached = reach(policy.node, self._actions)
        for leaf in policy.leaves:
            found = accept(leaf.condition, source) or _origins(leaf, source)
            if not found:
                found = typing.check(
                    leaf.condition, self._events[leaf.scope], reached, self._actions, source
                )
            findings.found += found


def _origins(leaf: Leaf, source: Source) -> list[Finding]:
    """Report what a condition reads of origins or plans: history is asked again without them."""
    found = Gathered(source)
    for term in walk(leaf.condition):
        if isinstance(term, ContextField) and term.path[0] in {"flow", "sinks"}:
            found.add(
                term.span,
                "flow_in_history",
                f"a condition over history reads `context.{'.'.join(term.path)}`",
                "ask for it beside: `when { context.flow… && temporal { … } }`",
            )
        if isinstance(term, ContextField) and term.path[0] == "plan":
            found.add(
                term.span,
                "plan_in_history",
                f"a condition over history reads `context.{'.'.join(term.path)}`",
                "ask for it beside: `when { context has plan && temporal { … } }`",
            )
    return found.found


def _reserved(policy: Policy, places: Places, findings: Findings) -> None:
    """Report who reads a truth that is not its own, however `context` is spelt.

    INVARIANT: the engine asks history for what a policy's own conditions need, so what another's
    say is no answer.
    """
    own = {leaf.name for leaf in policy.leaves}
    stack: list[object] = [clause.expr for clause in policy.node.clauses]
    while stack:
        node = stack.pop()
        match node:
            case pst.GetAttr(pst.GetAttr(pst.Var("context"), attr=kept), attr=name):
                if kept == RESERVED and name in own:
                    continue
            case pst.GetAttr(base, attr=name) if name == RESERVED and _may_be_context(base):
                report_reserved(places.attribute(policy, RESERVED), findings)
                return
            case pst.HasAttr(base, attrs=names) if RESERVED in names and _may_be_context(
                base, names[: names.index(RESERVED)]
            ):
                report_reserved(places.attribute(policy, RESERVED), findings)
                return
            case _:
                pass
        stack += parts(node)


def _may_be_context(base: pst.Expr, path: tuple[str, ...] = ()) -> bool:
    """Whether `base.path` may be the whole context: it is, or it was put together from others."""
    inside = bool(path)
    while isinstance(base, pst.GetAttr):
        base, inside = base.base, True
    if isinstance(base, pst.Var):
        return base.name == "context" and not inside
    return not isinstance(base, pst.EntityLit)


def _actions(name: str, text: str) -> CedarActions:
    return cedar_schema.read(Source(name, text))
