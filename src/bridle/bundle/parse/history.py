"""Where policies may look back, and which actions they then judge. Types are linted later."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import msgspec
from cedarpy import pst

from bridle.bundle.obligations import names_closing
from bridle.bundle.parse.table import Findings
from bridle.language.errors import LanguageError
from bridle.language.lexer import Kind, Source, Token, tokens
from bridle.language.policy import Leaf, Policy, PolicySetName
from bridle.language.source import contents
from bridle.language.temporal.ast import AggregateCall, Argument, Call
from bridle.language.temporal.tree import walk
from bridle.model.finding import Location

RESERVED = "history"
"""The attribute of `context` that holds the truths of conditions. Only lowering writes it."""

_CALLS = pst.ActionIn((pst.EntityUid(pst.EntityType("Action"), "call"),))


def settle(policy: Policy, findings: Findings) -> Policy | None:
    """Refuse a policy that may not look back; confine one that names no action to calls."""
    if not policy.leaves:
        return policy
    refused = _refusal(policy)
    if refused:
        findings.error(policy.leaves[0].location, *refused)
        return None
    if not isinstance(policy.node.action, pst.ScopeAny):
        return policy
    # Releasing a result adds no event, and a result is judged after its own response: what looks
    # back judges calls, unless it names the end of a mission.
    findings.info(
        policy.location,
        "history_calls_only",
        f"{policy.id} looks back and names no action: it judges calls, never their results",
        'write `action in Action::"call"`, and a policy of its own for results',
    )
    return msgspec.structs.replace(policy, node=dataclasses.replace(policy.node, action=_CALLS))


def _refusal(policy: Policy) -> tuple[str, str, str] | None:
    if policy.set is PolicySetName.GOVERNANCE:
        return (
            "history_in_governance",
            f"{policy.id} looks back, and governance actions have no history",
            "write it into policies/, over the actions of the mission",
        )
    if any(a == "release" or a.endswith(":result") for a in _named(policy.node.action)):
        return (
            "history_on_results",
            f"{policy.id} looks back where a result is judged, which no event stands for",
            'judge the call in its place: name the tool, or Action::"call"',
        )
    if policy.scope == "agent" and names_closing(policy):
        return (
            "history_on_closing",
            f"{policy.id} looks back on an agent's history, and a mission is ended by none",
            "move it to policies/, policies/user/ or policies/tenant/",
        )
    return None


def _named(action: pst.ActionConstraint) -> tuple[str, ...]:
    match action:
        case pst.ActionEq(entity):
            return (entity.id,)
        case pst.ActionIn(entities):
            return tuple(e.id for e in entities)
        case _:
            return ()


def plain(policy: Policy, own: frozenset[str]) -> Policy:
    """Forget how a condition was written where it calls macros the bundle itself defines.

    Their names say what the bundle means by them, not what the library does.
    """
    if not any(leaf.written is not None for leaf in policy.leaves):
        return policy
    leaves = tuple(_plain(leaf, own) for leaf in policy.leaves)
    return msgspec.structs.replace(policy, leaves=leaves)


def _plain(leaf: Leaf, own: frozenset[str]) -> Leaf:
    if leaf.written is None or own.isdisjoint(_called(leaf.written)):
        return leaf
    return msgspec.structs.replace(leaf, written=None)


def _called(written: Argument) -> set[str]:
    return {node.name for node in walk(written) if isinstance(node, Call | AggregateCall)}


def defined(files: Mapping[str, str]) -> frozenset[str]:
    """Return the names of all macros that these files define."""
    return frozenset(
        d.name.text for name in files for d in contents(Source(name, files[name])).definitions
    )


def reserved(file: str, text: str, findings: Findings) -> None:
    """Report where a file names `context.history` itself."""
    source = Source(file, text)
    try:
        words = tokens(source)
    except LanguageError:
        return
    for index, token in enumerate(words):
        if token.text == "context" and _reads_history(words[index + 1 : index + 3]):
            report_reserved(source.at(token.start), findings)


def report_reserved(place: Location, findings: Findings) -> None:
    """Report that something names `context.history` itself."""
    findings.error(
        place,
        "reserved_context",
        f"`context.{RESERVED}` is Bridle's own: it holds what conditions over history say",
        "write the condition itself: `temporal { … }`",
    )


def _reads_history(following: list[Token]) -> bool:
    if len(following) < 2:
        return False
    mark, name = following
    if mark.text in {".", "has"} and name.text == RESERVED:
        return True
    quoted = name.kind is Kind.STRING and name.text == f'"{RESERVED}"'
    return quoted and mark.text in {"[", "has"}
