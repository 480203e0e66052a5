"""One statement → one checked `Policy`: parsed by Cedar, named by its `@id`, its remedy typed.

Knows annotations and Cedar syntax, not tools: whether names and paths exist is checked with the
bundle. Cedar's messages carry no position; the place is found by asking Cedar about prefixes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re

import cedarpy
from cedarpy import pst

from bridle.language.errors import LanguageError, fault
from bridle.language.lexer import Kind, Source, Token
from bridle.language.policy import Policy, PolicySetName
from bridle.language.remedy import Modify
from bridle.language.remedy_grammar import parse_hold, parse_modify
from bridle.language.source import Annotation, Statement, statements
from bridle.model.finding import Finding

_Remedy = tuple[tuple[Modify, ...], tuple[tuple[str, int], ...]]

ANNOTATIONS = frozenset({"id", "reason", "modify", "hold", "enforce", "doc"})
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}")
_NAMED = re.compile(r"`([^`]+)`|: (\w+)$")
_END = "unexpected end of input"


def compile_file(
    file: str, text: str, set_name: PolicySetName, scope: str = "mission"
) -> tuple[tuple[Policy, ...], tuple[Finding, ...]]:
    """Compile every policy of a file. A policy with a finding of severity error is absent."""
    source = Source(file, text)
    found, refused = statements(source)
    policies, findings = list[Policy](), list(refused)
    for statement in found:
        policy, more = compile_statement(source, statement, set_name, scope)
        findings.extend(more)
        if policy is not None:
            policies.append(policy)
    return tuple(policies), tuple(findings)


def compile_prelude(file: str, text: str, set_name: PolicySetName) -> tuple[Policy, ...]:
    """Compile policies of Bridle's own: only they may have ids that begin with `bridle.`."""
    source = Source(file, text)
    found, _ = statements(source)
    return tuple(_policy(s, (set_name, "mission"), _parse(source, s), ((), ())) for s in found)


def compile_statement(
    source: Source, statement: Statement, set_name: PolicySetName, scope: str
) -> tuple[Policy | None, tuple[Finding, ...]]:
    """Compile one statement, collecting what is wrong with its text and with its annotations."""
    findings = _annotation_findings(statement)
    if any(f.code == "annotation_twice" for f in findings):
        return None, tuple(findings)
    try:
        node = _parse(source, statement)
        remedy = _remedy(source, statement, set_name)
    except LanguageError as error:
        return None, (*findings, error.finding)
    if findings:
        return None, tuple(findings)
    return _policy(statement, (set_name, scope), node, remedy), ()


def _policy(
    statement: Statement, place: tuple[PolicySetName, str], node: pst.Template, remedy: _Remedy
) -> Policy:
    return Policy(
        id=_value(statement, "id"),
        effect=statement.effect,
        text=statement.text,
        digest=hashlib.sha256(statement.text.encode()).hexdigest(),
        location=statement.location,
        node=dataclasses.replace(node, id=_value(statement, "id")),
        set=place[0],
        scope=place[1],
        reason=_value(statement, "reason"),
        modify=remedy[0],
        hold=remedy[1],
        shadow=statement.annotation("enforce") is not None,
    )


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


def _parse(source: Source, statement: Statement) -> pst.Template:
    try:
        parsed = cedarpy.policies_to_pst(statement.text)
    except ValueError as error:
        raise _syntax_fault(source, statement, str(error)) from None
    if parsed.templates:
        raise _template_fault(source, statement)
    nodes = list(parsed.static_policies.values())
    if len(nodes) != 1:
        raise fault(statement.location, "policy_syntax", "this is not exactly one policy")
    return nodes[0]


def _template_fault(source: Source, statement: Statement) -> LanguageError:
    slot = next((t for t in statement.body if t.text == "?"), statement.body[0])
    return fault(
        source.at(slot.start),
        "template",
        "templates (`?principal`, `?resource`) are not supported",
        "write one policy for each, or use a group",
    )


def _syntax_fault(source: Source, statement: Statement, message: str) -> LanguageError:
    token = _culprit(statement, message)
    hint = ""
    if "nesting exceeds" in message:
        code, message = "policy_too_large", "this condition is nested more than 100 levels deep"
        hint = "split it into several policies; long chains of && and || count too"
    elif "too large" in message:
        code, message = "integer_range", "this integer does not fit into 64 bits"
    else:
        code = "policy_syntax"
    return fault(source.at(token.start), code, message, hint)


def _culprit(statement: Statement, message: str) -> Token:
    """Return the token Cedar stumbled over: the first that ends a prefix it could still continue.

    Cedar reports a prefix of a well-formed policy as ended too early; that holds up to the culprit,
    so bisection finds it. What only makes no sense (an unknown function) is found by its name.
    """
    body = statement.body
    if "too large" in message:
        return _largest(body)
    low, high = 0, len(body)
    while low < high:
        middle = (low + high) // 2
        if _continues(statement, body[middle].end):
            low = middle + 1
        else:
            high = middle
    if low < len(body) - 1:
        return body[low]
    names = [re.split(r"\.|::", a or b)[0] for a, b in _NAMED.findall(message)]
    return next((t for name in names for t in body if t.text == name), body[0])


def _continues(statement: Statement, end: int) -> bool:
    try:
        cedarpy.policies_to_pst(statement.text[: end - statement.start])
    except ValueError as error:
        return str(error).startswith(_END)
    return True


def _largest(body: tuple[Token, ...]) -> Token:
    numbers = [t for t in body if t.kind is Kind.NUMBER]
    return max(numbers, key=lambda t: len(t.text.lstrip("0")), default=body[0])
