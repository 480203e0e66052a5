"""One statement → one checked `Policy`: lowered, parsed, named by its `@id`, its remedy typed.

Knows annotations and syntax, not tools: whether names, paths and types exist is checked with the
bundle.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from types import MappingProxyType

from cedarpy import pst

from bridle.language import cedar
from bridle.language.definitions import define
from bridle.language.errors import LanguageError, fault
from bridle.language.lexer import Source
from bridle.language.lowering import Hoisted, Lowered, Room, lower
from bridle.language.policy import Leaf, Policy, PolicySetName
from bridle.language.remedy import Modify
from bridle.language.remedy_grammar import parse_hold, parse_modify
from bridle.language.source import Annotation, Statement, contents
from bridle.language.temporal.ast import Condition
from bridle.language.temporal.macros import Macros
from bridle.language.temporal.printing import text as printed
from bridle.language.temporal.tree import horizon, reads
from bridle.model.finding import Finding

_Remedy = tuple[tuple[Modify, ...], tuple[tuple[str, int], ...]]

ANNOTATIONS = frozenset({"id", "reason", "modify", "hold", "enforce", "doc"})
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}")
_NONE: Macros = MappingProxyType({})


def compile_file(  # noqa: PLR0913 - a file, its place, and what it shares with others
    file: str,
    text: str,
    set_name: PolicySetName,
    scope: str = "mission",
    *,
    macros: Macros = _NONE,
    room: Room | None = None,
) -> tuple[tuple[Policy, ...], tuple[Finding, ...]]:
    """Compile every policy of a file. A policy with a finding of severity error is absent.

    `macros` are those the file may call beside its own, which win over them. Files of one bundle
    share one `room`.
    """
    room = Room() if room is None else room
    source = Source(file, text)
    found = contents(source)
    own, wrong = define(source, found.definitions)
    policies, findings = list[Policy](), [*found.findings, *wrong]
    for statement in found.statements:
        policy, more = compile_statement(
            source, statement, (set_name, scope), macros={**macros, **own}, room=room
        )
        findings.extend(more)
        if policy is not None:
            policies.append(policy)
    return tuple(policies), tuple(findings)


def compile_prelude(file: str, text: str, set_name: PolicySetName) -> tuple[Policy, ...]:
    """Compile policies of Bridle's own: only they may have ids that begin with `bridle.`."""
    source = Source(file, text)
    found = contents(source).statements
    place, room = (set_name, "mission"), Room()
    return tuple(
        _policy(source, s, place, _lowered(source, s, "mission", _NONE, room), ((), ()))
        for s in found
    )


def compile_statement(
    source: Source,
    statement: Statement,
    place: tuple[PolicySetName, str],
    *,
    macros: Macros,
    room: Room,
) -> tuple[Policy | None, tuple[Finding, ...]]:
    """Compile one statement, collecting what is wrong with its text and with its annotations.

    `place` is its set and its history's scope.
    """
    findings = _annotation_findings(statement)
    if any(f.code == "annotation_twice" for f in findings):
        return None, tuple(findings)
    try:
        lowered = _lowered(source, statement, place[1], macros, room)
        remedy = _remedy(source, statement, place[0])
    except LanguageError as error:
        return None, (*findings, error.finding)
    if findings:
        return None, tuple(findings)
    return _policy(source, statement, place, lowered, remedy), ()


def leaf_digest(scope: str, condition: Condition) -> str:
    """Return the digest under which the state of a condition is kept: SHA-256 (hex)."""
    return hashlib.sha256(f"{scope}\n{printed(condition)}".encode()).hexdigest()


def leaf_name(digest: str) -> str:
    """Return the name under which Cedar sees a condition of this digest."""
    return f"h{digest[:16]}"


def _lowered(
    source: Source, statement: Statement, scope: str, macros: Macros, room: Room
) -> tuple[Lowered, pst.Template]:
    def name(_policy: int, _leaf: int, condition: Condition) -> str:
        return leaf_name(leaf_digest(scope, condition))

    lowered = room.lowered(statement, lambda: lower(source, statement, macros, name))
    return lowered, cedar.parse(source, lowered.text, lowered.words)


def _policy(
    source: Source,
    statement: Statement,
    place: tuple[PolicySetName, str],
    lowered: tuple[Lowered, pst.Template],
    remedy: _Remedy,
) -> Policy:
    return Policy(
        id=_value(statement, "id"),
        effect=statement.effect,
        text=statement.text,
        digest=_digest(statement, lowered[0]),
        location=statement.location,
        node=dataclasses.replace(lowered[1], id=_value(statement, "id")),
        set=place[0],
        scope=place[1],
        reason=_value(statement, "reason"),
        modify=remedy[0],
        hold=remedy[1],
        shadow=statement.annotation("enforce") is not None,
        leaves=_leaves(source, place[1], lowered[0].leaves),
    )


def _digest(statement: Statement, lowered: Lowered) -> str:
    """Return the digest an approval is bound to.

    INVARIANT: it changes with the meaning of a policy. A macro can change that without changing
    the policy's text, and so can the folder that says whose history a condition sees; the lowered
    text is part of it, which names each condition by its scope and expanded text.
    """
    beyond = lowered.expanded or lowered.leaves
    text = f"{statement.text}\n{lowered.text}" if beyond else statement.text
    return hashlib.sha256(text.encode()).hexdigest()


def _leaves(source: Source, scope: str, hoisted: tuple[Hoisted, ...]) -> tuple[Leaf, ...]:
    """Return the conditions of a policy, each once however often it stands there."""
    found = dict[str, Leaf]()
    for each in hoisted:
        digest = leaf_digest(scope, each.condition)
        leaf = Leaf(
            leaf_name(digest),
            each.condition,
            digest,
            scope,
            source.at(each.condition.span.start),
            reads(each.condition),
            horizon(each.condition),
            each.written,
        )
        found.setdefault(leaf.name, leaf)
    return tuple(found.values())


def _value(statement: Statement, name: str) -> str:
    found = statement.annotation(name)
    return found.value if found else ""


def _annotation_findings(statement: Statement) -> list[Finding]:
    found, seen = list[Finding](), set[str]()
    for annotation in statement.annotations:
        if annotation.name in seen:
            found.append(_twice(annotation))
        elif annotation.name not in ANNOTATIONS:
            found.append(_unknown(annotation))
        seen.add(annotation.name)
    found += [e.finding for e in (_id_fault(statement), _enforce_fault(statement)) if e]
    return found


def _twice(annotation: Annotation) -> Finding:
    return fault(
        annotation.location,
        "annotation_twice",
        f"@{annotation.name} stands twice on one policy",
        "put several operators into one @modify, separated by `;`",
    ).finding


def _unknown(annotation: Annotation) -> Finding:
    return fault(
        annotation.location,
        "unknown_annotation",
        f"@{annotation.name} means nothing here",
        "known are " + ", ".join(f"@{name}" for name in sorted(ANNOTATIONS)),
    ).finding


def _id_fault(statement: Statement) -> LanguageError | None:
    annotation = statement.annotation("id")
    if annotation is None:
        return fault(
            statement.location,
            "missing_id",
            "this policy has no @id",
            'name it with @id("…"): verdicts, approvals and records refer to it',
        )
    if _ID.fullmatch(annotation.value) and not annotation.value.startswith("bridle."):
        return None
    return fault(
        annotation.location,
        "bad_id",
        "an @id is 1 to 128 letters, digits and `_ . : / -`; `bridle.` is reserved",
    )


def _enforce_fault(statement: Statement) -> LanguageError | None:
    annotation = statement.annotation("enforce")
    if annotation is None:
        return None
    if annotation.value != "shadow":
        return fault(
            annotation.location,
            "enforce_value",
            'the only value of @enforce is "shadow"',
            "leave it away to enforce the policy",
        )
    if statement.effect == "permit":
        return fault(
            annotation.location,
            "shadow_permit",
            "a permit cannot be in shadow: an engine that ignores annotations would grant it",
            "leave it out of the bundle until it is meant",
        )
    return None


def _remedy(source: Source, statement: Statement, set_name: PolicySetName) -> _Remedy:
    modify, hold = statement.annotation("modify"), statement.annotation("hold")
    first = modify or hold
    if first is None:
        return (), ()
    if statement.effect == "permit":
        raise fault(
            first.location,
            "remedy_on_permit",
            f"@{first.name} on a permit: a remedy says how the objection of a forbid is met",
            "move it to a forbid",
        )
    if modify and hold:
        raise fault(
            hold.location,
            "remedy_conflict",
            "@modify and @hold together: which of them would meet this objection?",
            "write two policies",
        )
    # INVARIANT: governance actions are allowed or denied, nothing in between.
    if set_name is PolicySetName.GOVERNANCE:
        raise fault(
            first.location,
            "remedy_in_governance",
            f"@{first.name} is not available in governance/",
            "a governance action is permitted or it is not",
        )
    # INVARIANT: I8 — a change that begins when @enforce is taken away could meet what another
    # policy holds, so that the stripped set would be the milder one.
    if modify and statement.annotation("enforce"):
        raise fault(
            modify.location,
            "shadow_modify",
            "@modify on a shadow policy: it changes nothing as long as it is only tried",
            "add the remedy when you enforce the policy",
        )
    if modify:
        return parse_modify(source, modify), ()
    return (), parse_hold(source, first)
