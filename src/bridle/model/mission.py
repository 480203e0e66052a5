"""A bounded objective. All work happens in one."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from bridle.model.budget import Budget


class MissionStatus(StrEnum):
    """Only an active mission starts actions. `closed` and `expired` are final."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"
    EXPIRED = "expired"


class MissionTemplate(Struct, frozen=True, forbid_unknown_fields=True):
    """What a mission of this kind may involve. `tools` are exact names, `prefix.*` or `*`.

    `max_depth` is how often its task may be handed on, one agent to the next (0: never).
    `constants` are texts that every mission of this kind may rely on: a trusted source.
    """

    id: str
    purpose: str = ""
    agents: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    clearance: tuple[str, ...] = ()
    expires_ms: int = 28_800_000
    budgets: tuple[Budget, ...] = ()
    success: str = ""
    failure: str = ""
    max_depth: int = 8
    constants: tuple[str, ...] = ()

    def reaches(self, tool: str, domain: str) -> bool:
        """Whether a mission of this kind can ever use a tool whose system lies in `domain`."""
        return matches(self.tools, tool) and domain in self.domains


def matches(patterns: tuple[str, ...], name: str) -> bool:
    """Whether `name` is one of `patterns` (exact, `prefix.*` or `*`), byte for byte."""
    return any(p in (name, "*") or (p.endswith(".*") and name.startswith(p[:-1])) for p in patterns)
