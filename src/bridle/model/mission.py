"""A bounded objective. All work happens in one."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class MissionStatus(StrEnum):
    """Only an active mission starts actions. `closed` and `expired` are final."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"
    EXPIRED = "expired"


class Budget(Struct, frozen=True, forbid_unknown_fields=True):
    """A counter with a ceiling.

    `limit` and all amounts are in ten-thousandths of the unit, so that decimals stay exact.
    `window_ms` is a fixed window aligned to the mission's start (0: the whole mission). `measure`
    maps a tool to what one action costs: `"1"` or another number, or the path of an argument
    (`input.amount`). The names `calls` and `writes` measure themselves. `hold` are approver groups
    that may overdraw it (empty: exhausted is a denial).
    """

    name: str
    limit: int
    unit: str = ""
    window_ms: int = 0
    measure: dict[str, str] = {}
    hold: tuple[str, ...] = ()


class MissionTemplate(Struct, frozen=True, forbid_unknown_fields=True):
    """What a mission of this kind may involve. `tools` are exact names, `prefix.*` or `*`."""

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

    def reaches(self, tool: str, domain: str) -> bool:
        """Whether a mission of this kind can ever use a tool whose system lies in `domain`."""
        return matches(self.tools, tool) and domain in self.domains


def matches(patterns: tuple[str, ...], name: str) -> bool:
    """Whether `name` is one of `patterns` (exact, `prefix.*` or `*`), byte for byte."""
    return any(p in (name, "*") or (p.endswith(".*") and name.startswith(p[:-1])) for p in patterns)
