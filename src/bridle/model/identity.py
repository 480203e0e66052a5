"""Who takes part: users, teams, agents, workloads, approver groups. Declared in `agents.toml`."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct, field


class Status(StrEnum):
    """A suspended identity decides, executes and approves nothing; a retired one never again."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    RETIRED = "retired"


class Team(Struct, frozen=True, forbid_unknown_fields=True):
    """A group of users and agents."""

    id: str
    name: str = ""


class User(Struct, frozen=True, forbid_unknown_fields=True):
    """A human or organisation on whose behalf work happens; root of authority."""

    id: str
    name: str = ""
    teams: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])


class Agent(Struct, frozen=True, forbid_unknown_fields=True):
    """An autonomous decider. `owner` is a user id, `team` a team id or empty."""

    id: str
    owner: str
    team: str = ""
    version: str = "1"
    tags: dict[str, str] = field(default_factory=dict[str, str])
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])


class Workload(Struct, frozen=True, forbid_unknown_fields=True):
    """What carries actions out. `tools` are the tools it may execute (`*` and `prefix.*` match)."""

    id: str
    tools: tuple[str, ...] = ("*",)
    may_assert_user: bool = False


class ApproverGroup(Struct, frozen=True, forbid_unknown_fields=True):
    """Humans who may release a hold. `need` counts distinct humans."""

    id: str
    users: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    need: int = 1

    def includes(self, user: User) -> bool:
        """Whether a user belongs to the group: named, or by a team."""
        return user.id in self.users or not set(self.teams).isdisjoint(user.teams)
