"""Who takes part: users, teams, agents, workloads, approver groups. Declared in `agents.toml`."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from bridle.model.budget import Budget

GOVERNOR = "governor"
"""The workload that carries out what the governor's side performs itself. No other has its name."""


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
    """A human or organisation on whose behalf work happens; root of authority.

    `key` is the public key that proves them (`ed25519:` and base64); without one, only the
    connection's uid speaks for them. `budgets` are shared by all missions that run for them.
    """

    id: str
    name: str = ""
    teams: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
    key: str = ""
    budgets: tuple[Budget, ...] = ()


class Agent(Struct, frozen=True, forbid_unknown_fields=True):
    """An autonomous decider. `owner` is a user id, `team` a team id or empty.

    `budgets` are shared by all missions it acts in. A `deputy` acts for other agents only:
    with every action it names the grant of the one it serves. `key` is a public key (`ed25519:` and
    base64): with one, each run of the agent is certified by it.

    One with an `author` (a user id, its owner too) is a pipeline that this human has written: it
    decides as them, in runs of a definition that they have registered, which only `workloads` open.
    """

    id: str
    owner: str
    team: str = ""
    version: str = "1"
    tags: dict[str, str] = field(default_factory=dict[str, str])
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
    budgets: tuple[Budget, ...] = ()
    deputy: bool = False
    key: str = ""
    author: str = ""
    workloads: tuple[str, ...] = ()


class Workload(Struct, frozen=True, forbid_unknown_fields=True):
    """What carries actions out. `tools` are the tools it may execute (`*` and `prefix.*` match).

    `key` is the public key that proves it (`ed25519:` and base64). `may_assert_user` lets it start
    missions and add prompts as users it has authenticated itself; `reports_use` lets what it
    reports lower what a budget has reserved. `separate` says that it runs outside the processes of
    agents: with its key proved, it gets the credentials of what it carries out.
    """

    id: str
    tools: tuple[str, ...] = ("*",)
    may_assert_user: bool = False
    key: str = ""
    reports_use: bool = False
    separate: bool = False


class ApproverGroup(Struct, frozen=True, forbid_unknown_fields=True):
    """Humans who may release a hold. `need` counts distinct humans."""

    id: str
    users: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    need: int = 1

    def includes(self, user: User) -> bool:
        """Whether a user belongs to the group: named, or by a team."""
        return user.id in self.users or not set(self.teams).isdisjoint(user.teams)
