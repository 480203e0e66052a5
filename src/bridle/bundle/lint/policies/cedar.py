"""Cedar's own validation of both policy sets, in plain words and at the place it is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import cedarpy
from cedarpy import pst
from msgspec import Struct

from bridle.bundle.lint.places import Places
from bridle.bundle.parse.table import Findings
from bridle.language.policy import Policy

_PREFIX = re.compile(r"^for policy `[^`]*`, ")
_MISSING = re.compile(r'attribute `(.+)` in context for Action::"(.+)" not found')
_OPTIONAL = re.compile(r'optional attribute `(.+)` in context for Action::"(.+)"')
_ENTITY = re.compile(r"attribute `(.+)` (?:on|for) entity type `(.+)`")
_UNKNOWN = ("unrecognized action", "unrecognized entity type")
_NOTHING = "unable to find an applicable action"
_PROBE = ' when { 1 < "x" };'
"""A type error: Cedar reports it unless it knows that the conditions before it never hold."""


class _Complaint(Struct, frozen=True):
    policy: Policy
    code: str
    path: str
    about: str


def check(
    policies: Sequence[Policy], schema: str, places: Places, findings: Findings
) -> frozenset[str]:
    """Validate one policy set. Returns the ids of policies that Cedar knows can never apply."""
    try:
        handle = cedarpy.Schema.from_str(schema)
    except ValueError:
        return frozenset()
    wrong = _validate(policies, [_text(p) for p in policies], handle)
    grouped = dict[_Complaint, list[str]]()
    for index, message in wrong:
        _sort(policies[index], message, grouped, places, findings)
    for complaint, tools in grouped.items():
        _report(complaint, tools, places, findings)
    bad = {index for index, _ in wrong}
    sound = [p for i, p in enumerate(policies) if i not in bad]
    nowhere = {policies[i].id for i, message in wrong if _NOTHING in message}
    return frozenset(nowhere | _impossible(sound, handle))


def _validate(
    policies: Sequence[Policy], texts: Iterable[str], handle: cedarpy.Schema
) -> list[tuple[int, str]]:
    """Return (index, message). Each text is one policy, so Cedar's numbers are our indices."""
    if not policies:
        return []
    binding: Any = cedarpy
    result: cedarpy.ValidationResult = binding.validate_policies("\n".join(texts), handle)
    found = list[tuple[int, str]]()
    for error in result.errors:
        number = error.policy_id.removeprefix("policy")
        index = int(number) if number.isdigit() else 0
        found.append((index, _PREFIX.sub("", error.error)))
    return list(dict.fromkeys(found))


def _text(policy: Policy) -> str:
    """Return a policy as it is judged: macros expanded, history replaced by its truths."""
    node = replace(policy.node, id="p", annotations=pst.FrozenMap({}))
    return str(
        cedarpy.PolicySet.from_pst(
            pst.PolicySet(templates={}, static_policies={"p": node}, template_links=())
        )
    )


def _impossible(policies: Sequence[Policy], handle: cedarpy.Schema) -> set[str]:
    texts = [_text(p).removesuffix(";") + _PROBE for p in policies]
    reached = {index for index, _ in _validate(policies, texts, handle)}
    return {p.id for i, p in enumerate(policies) if i not in reached}


def _sort(
    policy: Policy,
    message: str,
    grouped: dict[_Complaint, list[str]],
    places: Places,
    findings: Findings,
) -> None:
    if message.startswith(_UNKNOWN) or _NOTHING in message:
        if message.startswith("unrecognized entity type"):
            findings.error(
                policy.location,
                "unknown_entity",
                f"{policy.id}: {message}",
                "types are Agent, User, Team, Workload, System, Domain, Mission, Action",
            )
        return
    for pattern, code in ((_MISSING, "unknown_attribute"), (_OPTIONAL, "unguarded")):
        found = pattern.search(message)
        if found is not None:
            path, action = found[1], found[2]
            grouped.setdefault(_Complaint(policy, code, path, "context"), []).append(action)
            return
    entity = _ENTITY.search(message)
    at = places.attribute(policy, entity[1]) if entity else policy.location
    code = "unknown_attribute" if entity and "not found" in message else "policy_type"
    findings.error(at, code, f"{policy.id}: {message[:400]}")


def _report(complaint: _Complaint, actions: list[str], places: Places, findings: Findings) -> None:
    policy, path = complaint.policy, complaint.path
    base, _, name = path.rpartition(".")
    guard = f"`context{'.' + base if base else ''} has {name} && …`"
    shown = ", ".join(actions[:5]) + (f" and {len(actions) - 5} more" if len(actions) > 5 else "")
    at = places.attribute(policy, path)
    if complaint.code == "unguarded":
        findings.error(
            at,
            "unguarded",
            f"{policy.id}: `context.{path}` may be absent for {shown}",
            f"guard it with {guard}",
        )
    else:
        findings.error(
            at,
            "unguarded" if _spreads(policy) else "unknown_attribute",
            f"{policy.id}: there is no `context.{path}` for {shown}",
            f"guard it with {guard}, or name only tools that have it"
            if _spreads(policy)
            else "see schema/tools.cedarschema for what there is",
        )


def _spreads(policy: Policy) -> bool:
    """Whether a policy covers a group of actions, so that a guard can leave some of them out."""
    return type(policy.node.action).__name__ != "ActionEq"
