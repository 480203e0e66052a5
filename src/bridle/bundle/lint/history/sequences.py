"""Conditions over history that are well-formed and likely not what their author meant.

Polarity decides most of it: whether an event that happens speaks for the action (a permit `when`, a
forbid `unless`) or against it. It is followed through Cedar's clause and through the condition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from cedarpy import pst
from msgspec import Struct

from bridle.bundle.bundle import Bundle
from bridle.bundle.lint import scope
from bridle.bundle.lint.history import vacuous
from bridle.bundle.lint.scope import Seen, parts
from bridle.bundle.obligations import names_closing
from bridle.bundle.parse.history import RESERVED
from bridle.bundle.parse.table import Findings
from bridle.bundle.schema.shape import Record, Shape
from bridle.bundle.sentences import LIBRARY
from bridle.language.lexer import Source
from bridle.language.policy import Leaf, Policy
from bridle.language.temporal.ast import (
    Argument,
    Call,
    Comparison,
    Condition,
    ContextField,
    Count,
    Not,
    Predicate,
    Previous,
    Span,
    Sum,
    TextLiteral,
)
from bridle.language.temporal.tree import children, conjuncts, walk
from bridle.model.finding import Location
from bridle.model.mission import MissionTemplate

Sign: TypeAlias = int
"""1: its truth speaks for the action; -1: against it; 0: both, or neither."""

_GROWS = {">": 1, ">=": 1, "<": -1, "<=": -1}
_NEVER_RAN = {"denied", "not_started"}


def check(policy: Policy, covered: Iterable[Seen], bundle: Bundle, findings: Findings) -> None:
    """Lint the conditions of one policy. `covered` is what it can apply to."""
    if not policy.leaves:
        return
    source = Source(policy.location.file, bundle.texts.get(policy.location.file, ""))
    seen = tuple(covered)
    lint = _Lint(policy, source, findings)
    reachable = _reachable(policy, seen, bundle)
    for leaf in policy.leaves:
        sign = sign_of(policy, leaf)
        lint.sides(leaf, sign)
        lint.escapes(leaf, sign, seen)
        lint.previous(leaf)
        # Of a policy that can never apply, that has been said.
        alive = bool(seen) or names_closing(policy)
        if alive and not lint.never_happens(leaf, reachable):
            lint.vacuous(leaf, frozenset(s.tool.name for s in seen))


class _Lint:
    def __init__(self, policy: Policy, source: Source, findings: Findings) -> None:
        self.policy, self.source, self.findings = policy, source, findings

    def sides(self, leaf: Leaf, sign: Sign) -> None:
        """Report events that speak for an action too early, or against it too late."""
        turned = _turned(leaf, sign)
        if turned is not None:
            self.report(
                turned.span,
                "history_rule_turned",
                f"{self.policy.id}: `{turned.name}` holds where its rule is kept, and here it "
                "speaks against the action",
                "write `unless temporal` in a forbid, and `when temporal` in a permit",
            )
            return
        found = list(_signed(leaf.condition, sign))
        requested = {(e.action, side) for e, side, _ in found if e.kind == "request"}
        for event, side, settled in found:
            if event.kind == "request" and side > 0 and not settled:
                self._request(event)
            if event.kind != "response" or side >= 0 or _by_library(leaf):
                continue
            if (event.action, side) not in requested:
                self._response(event)

    def _request(self, event: Predicate) -> None:
        self.report(
            event.span,
            "history_permit_over_request",
            f"{self.policy.id} counts a request for {event.action} in favour of the action; a "
            "request that was denied does as well",
            f'ask for what succeeded: Action::"{event.action}"::response',
        )

    def _response(self, event: Predicate) -> None:
        self.report(
            event.span,
            "history_forbid_over_response",
            f"{self.policy.id} counts a response of {event.action} against the action; one that "
            "still runs has none yet",
            f'ask for what was begun: Action::"{event.action}"::request',
        )

    def escapes(self, leaf: Leaf, sign: Sign, seen: tuple[Seen, ...]) -> None:
        """Report arguments that an agent can leave out to make what speaks against it false."""
        guarded = set(_guarded(self.policy))
        for event, side, _ in _signed(leaf.condition, sign):
            if side > 0:
                continue
            for path in _arguments(event):
                if path not in guarded and any(_may_lack(s, path) for s in seen):
                    self.report(
                        event.span,
                        "history_optional",
                        f"{self.policy.id} finds {event.action} by `context.{'.'.join(path)}`, "
                        "which may be left out: then it finds nothing",
                        "make the argument required in the tool's schema, or forbid calls that "
                        "lack it",
                    )
                    return

    def previous(self, leaf: Leaf) -> None:
        """Point out what `previous` steps to."""
        for node in walk(leaf.condition):
            if isinstance(node, Previous):
                own = leaf.scope == "mission"
                report = self.findings.info if own else self.findings.warning
                report(
                    self._at(node.span),
                    "history_previous",
                    f"{self.policy.id}: `previous` is any event of the {leaf.scope}'s history, "
                    "whoever caused it, responses and errors too",
                    "to look for one kind of event use `formerly`, or `since`",
                )
                return

    def never_happens(self, leaf: Leaf, reachable: frozenset[str]) -> bool:
        """Report events of tools that no mission reaches together with what is judged."""
        missing = [
            node
            for node in walk(leaf.condition)
            if isinstance(node, Predicate) and node.action not in reachable
        ]
        for event in {e.action: e for e in missing}.values():
            self.report(
                event.span,
                "history_never_happens",
                f"{self.policy.id} asks for {event.action}, which no history that it looks back "
                "on can hold",
                "no mission reaches that tool together with one that this policy is about",
            )
        return bool(missing)

    def vacuous(self, leaf: Leaf, tools: frozenset[str]) -> None:
        """Report a condition, or a part of one, that history cannot change."""
        fault = vacuous.find(leaf.condition, tools, deciding=not names_closing(self.policy))
        if fault is not None:
            self.report(
                fault.span,
                "history_vacuous",
                f"{self.policy.id}: {fault.what}",
                "the condition, or a part of it, is the same whatever has happened",
            )

    def report(self, span: Span, code: str, message: str, hint: str) -> None:
        """Report what is likely a mistake."""
        self.findings.warning(self._at(span), code, message, hint)

    def _at(self, span: Span) -> Location:
        return self.source.at(span.start)


# --- polarity ------------------------------------------------------------------------------------


def sign_of(policy: Policy, leaf: Leaf) -> Sign:
    """Return what the truth of a condition does to the action, followed through the clauses."""
    wanted = 1 if policy.effect == "permit" else -1
    signs = set[Sign]()
    for clause in policy.node.clauses:
        begin = wanted if isinstance(clause, pst.When) else -wanted
        signs |= set(_truths(clause.expr, leaf.name, begin))
    return signs.pop() if len(signs) == 1 else 0


def _truths(expr: object, name: str, sign: Sign) -> Iterator[Sign]:
    stack: list[tuple[object, Sign]] = [(expr, sign)]
    while stack:
        node, here = stack.pop()
        match node:
            case pst.GetAttr(pst.GetAttr(pst.Var("context"), attr=kept), attr=read):
                if (kept, read) == (RESERVED, name):
                    yield here
            case pst.UnaryOp(op="not"):
                stack += [(part, -here) for part in parts(node)]
            case pst.BinaryOp(op="and" | "or"):
                stack += [(part, here) for part in parts(node)]
            case _:
                stack += [(part, 0) for part in parts(node)]


def _signed(condition: Condition, sign: Sign) -> Iterator[tuple[Predicate, Sign, bool]]:
    """Yield every event with its sign, and whether those that never ran are taken out beside it."""
    stack: list[tuple[Argument, Sign, bool]] = [(condition, sign, False)]
    while stack:
        node, here, settled = stack.pop()
        match node:
            case Predicate():
                yield node, here, settled
            case Not(inner):
                stack.append((inner, -here, False))
            case Comparison():
                stack += [(t, s, False) for t, s in _compared(node, here)]
            case _:
                settled = settled or _settles(node)
                stack += [(each, here, settled) for each in children(node)]


def _compared(node: Comparison, sign: Sign) -> Iterator[tuple[Argument, Sign]]:
    grows = _GROWS.get(node.op, 0)
    for term, direction in ((node.left, grows), (node.right, -grows)):
        if isinstance(term, Count | Sum):
            yield term.body, sign * direction


def _settles(node: Argument) -> bool:
    """Whether a chain takes out what was denied, and what never began."""
    if not isinstance(node, Condition):
        return False
    codes = set[str]()
    for part in conjuncts(node):
        if isinstance(part, Not):
            for event in walk(part.inner):
                if isinstance(event, Predicate) and event.kind == "error":
                    codes |= {
                        f.term.value
                        for f in event.fields
                        if f.path == "error.code" and isinstance(f.term, TextLiteral)
                    }
    return codes >= _NEVER_RAN


def _arguments(event: Predicate) -> Iterator[tuple[str, ...]]:
    for field in event.fields:
        if isinstance(field.term, ContextField) and field.term.path[0] == "input":
            yield field.term.path


def _may_lack(seen: Seen, path: tuple[str, ...]) -> bool:
    here: Shape = seen.input
    for name in path[1:]:
        if not isinstance(here, Record) or name not in here.fields:
            return False
        if not here.fields[name].required:
            return True
        here = here.fields[name].shape
    return False


def _guarded(policy: Policy) -> Iterator[tuple[str, ...]]:
    """Yield the paths without which a policy says on purpose that it does not apply."""
    for conjunct in scope.conjuncts(policy.node):
        if isinstance(conjunct, pst.HasAttr):
            base = scope.context_path(conjunct.base)
            if base is not None:
                yield (*base, *conjunct.attrs)


# --- the library ---------------------------------------------------------------------------------


class _Turned(Struct, frozen=True):
    name: str
    span: Span


def _calls(leaf: Leaf) -> Iterator[tuple[Call, Sign]]:
    if leaf.written is None:
        return
    stack: list[tuple[Argument, Sign]] = [(leaf.written, 1)]
    while stack:
        node, sign = stack.pop()
        if isinstance(node, Call) and node.name in LIBRARY:
            yield node, sign
        elif isinstance(node, Not):
            stack.append((node.inner, -sign))
        else:
            stack += [(each, sign) for each in children(node)]


def _turned(leaf: Leaf, sign: Sign) -> _Turned | None:
    """Return a rule of the library that speaks against what keeps it. `first_time` may."""
    for call, side in _calls(leaf):
        if sign * side < 0 and call.name != "first_time":
            return _Turned(call.name, call.span)
    return None


def _by_library(leaf: Leaf) -> bool:
    return any(True for _ in _calls(leaf))


# --- reach ---------------------------------------------------------------------------------------


def _reachable(policy: Policy, seen: tuple[Seen, ...], bundle: Bundle) -> frozenset[str]:
    """Return the tools whose events the histories that a policy looks back on can hold."""
    missions = list(bundle.missions.values())
    if policy.scope == "mission" and not names_closing(policy):
        judged = {s.tool.name for s in seen}
        missions = [m for m in missions if any(_reaches(m, t, bundle) for t in judged)]
    return frozenset(t for t in bundle.tools if any(_reaches(m, t, bundle) for m in missions))


def _reaches(mission: MissionTemplate, tool: str, bundle: Bundle) -> bool:
    system = bundle.systems.get(bundle.tools[tool].system)
    return system is not None and mission.reaches(tool, system.domain)
