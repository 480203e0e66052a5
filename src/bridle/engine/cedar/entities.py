"""The bundle's entities in Cedar's JSON form, and who is in what. Built once per bundle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cedarpy import pst
from msgspec import Struct

from bridle.bundle.bundle import Bundle
from bridle.engine.cedar.answer import Uid
from bridle.model.identity import GOVERNOR, Agent, User
from bridle.model.tool import System

Entity = dict[str, Any]


def uid(kind: str, name: str) -> Uid:
    """Return an entity id in the structured form, which no character in a name can break out of."""
    return {"type": kind, "id": name}


def entities(bundle: Bundle) -> Iterator[Entity]:
    """Yield every declared entity. Declared fields win over `attributes` of the same name."""
    for team in bundle.teams:
        yield _entity("Team", team)
    for user in bundle.users.values():
        yield _user(user)
    for agent in bundle.agents.values():
        yield _agent(agent)
    for workload in (*bundle.workloads, GOVERNOR):
        yield _entity("Workload", workload)
    for domain in bundle.domains:
        yield _entity("Domain", domain)
    for system in bundle.systems.values():
        yield _system(system)


def _entity(kind: str, name: str) -> Entity:
    return {"uid": uid(kind, name), "attrs": {}, "parents": []}


def _user(user: User) -> Entity:
    name = {"name": user.name} if user.name else {}
    parents = [uid("Team", t) for t in user.teams]
    return {"uid": uid("User", user.id), "attrs": {**user.attributes, **name}, "parents": parents}


def _agent(agent: Agent) -> Entity:
    attrs: dict[str, Any] = {
        **agent.attributes,
        "owner": uid("User", agent.owner),
        "version": agent.version,
    }
    if agent.team:
        attrs["team"] = uid("Team", agent.team)
    if agent.author:
        attrs["author"] = uid("User", agent.author)
    parents = [uid("Team", agent.team)] if agent.team else []
    return {"uid": uid("Agent", agent.id), "attrs": attrs, "parents": parents, "tags": agent.tags}


def _system(system: System) -> Entity:
    attrs: dict[str, Any] = {
        **system.attributes,
        "owner": system.owner,
        "environment": system.environment,
        "labels": system.labels,
    }
    parents = [uid("Domain", system.domain)]
    return {"uid": uid("System", system.id), "attrs": attrs, "parents": parents}


# --- the hierarchy, for matching scopes without Cedar ---------------------------------------------


class Kin(Struct, frozen=True):
    """An entity, and everything it is in (itself included, as in Cedar's `in`)."""

    own: pst.EntityUid
    within: frozenset[pst.EntityUid]


def kin_of_agent(bundle: Bundle, agent: str) -> Kin:
    """Return a declared agent with its team."""
    team = bundle.agents[agent].team
    return _kin(_literal("Agent", agent), "Team", (team,) if team else ())


def kin_of_user(bundle: Bundle, user: str) -> Kin:
    """Return a declared user with their teams."""
    return _kin(_literal("User", user), "Team", bundle.users[user].teams)


def kin_of_system(bundle: Bundle, system: str) -> Kin:
    """Return a declared system with its domain."""
    return _kin(_literal("System", system), "Domain", (bundle.systems[system].domain,))


def kin_of_action(action: str, *groups: str) -> Kin:
    """Return an action with all its groups."""
    return _kin(_literal("Action", action), "Action", groups)


def _literal(kind: str, name: str) -> pst.EntityUid:
    return pst.EntityUid(pst.EntityType(kind), name)


def _kin(own: pst.EntityUid, kind: str, parents: Iterable[str]) -> Kin:
    return Kin(own, frozenset((own, *(_literal(kind, p) for p in parents))))
