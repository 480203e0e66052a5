"""Policies that name what does not exist, or stand in the wrong set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from cedarpy import pst

from bridle.bundle.bundle import Bundle
from bridle.bundle.lint.places import Places
from bridle.bundle.lint.scope import RESULT, is_governance, is_known_action
from bridle.bundle.parse.table import Findings
from bridle.language.policy import Policy, PolicySetName
from bridle.language.temporal.ast import EntityLiteral
from bridle.language.temporal.tree import walk
from bridle.model.identity import GOVERNOR

_MISSION = re.compile(r"mis_[0-9a-f]{32}")
_GROUPS = "call, read, write, irreversible, release"


def check(policies: Iterable[Policy], bundle: Bundle, places: Places, findings: Findings) -> None:
    """Check every entity that policies name."""
    declared: dict[str, dict[str, Any]] = {
        "Agent": bundle.agents,
        "User": bundle.users,
        "Team": bundle.teams,
        "Workload": {**bundle.workloads, GOVERNOR: None},
        "System": bundle.systems,
        "Domain": bundle.domains,
    }
    for policy in policies:
        for uid in sorted({*pst.entity_uids(policy.node), *_looked_for(policy)}, key=str):
            kind = str(uid.type)
            if kind == "Action":
                _action(policy, uid, bundle, places, findings)
            elif kind == "Mission" and not _MISSION.fullmatch(uid.id):
                findings.error(
                    places.entity(policy, uid),
                    "unknown_entity",
                    f"{policy.id} names Mission {uid.id[:80]!r}, and no mission has such an id",
                    "ids are made when missions start; `context.mission.template` is the template",
                )
            elif uid.type.basename == "Action":
                findings.error(
                    places.entity(policy, uid),
                    "unknown_entity",
                    f"{policy.id} names {str(uid)[:80]}, and actions have no namespace",
                    'write Action::"…"',
                )
            elif kind in declared and uid.id not in declared[kind]:
                names = ", ".join(sorted(declared[kind])[:10]) or "none"
                findings.error(
                    places.entity(policy, uid),
                    "unknown_entity",
                    f"{policy.id} names {kind} {uid.id[:80]!r}, which is not declared",
                    f"declared: {names}",
                )


def _looked_for(policy: Policy) -> Iterator[pst.EntityUid]:
    """Yield the entities that conditions over history compare with. Events are checked by type."""
    for leaf in policy.leaves:
        for node in walk(leaf.condition):
            if isinstance(node, EntityLiteral) and "::" not in node.type and node.type != "Action":
                yield pst.EntityUid(pst.EntityType(node.type), node.id)


def _action(
    policy: Policy, uid: pst.EntityUid, bundle: Bundle, places: Places, findings: Findings
) -> None:
    governs = policy.set is PolicySetName.GOVERNANCE
    if is_governance(uid.id) != governs and (
        is_governance(uid.id) or is_known_action(uid.id, bundle.tools)
    ):
        findings.error(
            places.entity(policy, uid),
            "wrong_policy_set",
            f'{policy.id} names Action::"{uid.id}", which it will never be asked about',
            "governance/ alone judges governance actions, policies/ tools and their results",
        )
    elif not is_governance(uid.id) and not is_known_action(uid.id, bundle.tools):
        findings.error(
            places.entity(policy, uid),
            "unknown_entity",
            f"{policy.id} names the action {uid.id[:80]!r}, which no declared tool has",
            f'groups are {_GROUPS}; a result is Action::"TOOL{RESULT}"',
        )
