"""Missions in which nothing can happen, and groups of humans that nobody is in."""

from __future__ import annotations

from bridle.bundle.bundle import Bundle
from bridle.bundle.parse.agents import members
from bridle.bundle.parse.table import Findings
from bridle.bundle.parse.toml import Document


def check(bundle: Bundle, document: Document, findings: Findings) -> None:
    """Check every mission. `document` is missions.toml."""
    for mission in bundle.missions.values():
        for key, what in (("agents", "agent"), ("tools", "tool"), ("domains", "domain")):
            if not getattr(mission, key):
                findings.warning(
                    document.at(("missions", mission.id)),
                    "empty_mission",
                    f"the mission {mission.id} has no {what}, so nothing can happen in it",
                    f"name at least one in `{key}`",
                )
    _holds(bundle, findings)


def _holds(bundle: Bundle, findings: Findings) -> None:
    """Report holds that ask for more humans than a group has."""
    for policy in bundle.policies:
        for name, need in policy.hold:
            group = bundle.approvers.get(name)
            if group is not None and len(members(group, bundle.users)) < need:
                findings.error(
                    policy.location,
                    "approvers_short",
                    f"the hold of {policy.id} needs {need} humans of {name}, which has fewer",
                    "lower the number, or add users or teams to the group",
                )
