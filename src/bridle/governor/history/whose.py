"""Whose history an event enters: one partition for each scope, of each agent in scope `agent`.

Keys that are names of people or agents are stored as HMACs; those of missions are random already.
"""

from __future__ import annotations

from msgspec import Struct

from bridle.governor.ground.core import Core

MISSION, USER, AGENT, TENANT = "mission", "user", "agent", "tenant"

SCOPES = (MISSION, USER, AGENT, TENANT)

_DIGITS = 32


class Whose(Struct, frozen=True):
    """Mission and user of an event, and every agent of its chain (the actor last)."""

    mission: str
    user: str
    agents: tuple[str, ...] = ()


def partitions(core: Core, scope: str, whose: Whose) -> tuple[str, ...]:
    """Return the ids of the partitions of a scope that an event enters."""
    if scope == MISSION:
        return (of_mission(whose.mission),)
    if scope == USER:
        return (_of_person(core, USER, whose.user),)
    if scope == AGENT:
        return tuple(dict.fromkeys(of_agent(core, agent) for agent in whose.agents))
    return (f"{TENANT}:",)


def of_mission(mission: str) -> str:
    """Return the id of a mission's partition."""
    return f"{MISSION}:{mission}"


def of_agent(core: Core, agent: str) -> str:
    """Return the id of an agent's partition."""
    return _of_person(core, AGENT, agent)


def asked(core: Core, scope: str, agent: str, whose: Whose) -> str:
    """Return the partition that a condition of a scope reads, with `agent` as principal."""
    # INVARIANT: a client can never choose or reset a key: all of them come from what the governor
    # knows of the session.
    if scope == AGENT:
        return of_agent(core, agent)
    return partitions(core, scope, whose)[0]


def _of_person(core: Core, scope: str, name: str) -> str:
    return f"{scope}:{core.keyed(f'history|{scope}|{name}')[:_DIGITS]}"
