"""Shares of budgets: what the grants of a chain cap, charged beside what the mission pays.

Each link that names budgets has an account, which everything below the link pays from: so siblings
cannot spend together what one of them may not. `calls` counts actions; any other name is a budget
of the mission, and costs what it costs there.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from bridle.governor.delegation import grants
from bridle.model.budget import Budget
from bridle.model.mission import MissionTemplate
from bridle.model.tool import Tool

if TYPE_CHECKING:
    from bridle.governor.action.standing import Standing

GRANT, CALLS = "grant", "calls"

_SCALE = 10_000


def account_id(digest: str) -> str:
    """Return the beginning of the ids of a grant's budget rows."""
    return f"{GRANT}:{digest[:16]}"


def caps(at: Standing, tool: Tool) -> Iterator[tuple[str, tuple[Budget, ...]]]:
    """Yield the accounts that an action of a tool is charged to, with their budgets.

    Those of the session's chain, and of the requester's that it serves.
    """
    for leaf in (at.session.grant, at.requester):
        for link in grants.chain_of(at.turn, leaf).links if leaf else ():
            if link.claims.bud:
                budgets = tuple(
                    budget_of(at.template, name, limit, tool)
                    for name, limit in link.claims.bud.items()
                )
                yield account_id(link.digest), budgets


def budget_of(template: MissionTemplate | None, name: str, limit: str, tool: Tool) -> Budget:
    """Return a grant's cap as a budget: with no window, and nobody who may overdraw it."""
    most = int(Decimal(limit) * _SCALE)
    found = next((b for b in template.budgets if b.name == name), None) if template else None
    if found is not None:
        return Budget(name, most, unit=found.unit, measure=found.measure)
    if name == CALLS:
        return Budget(name, most)
    # INVARIANT: I2 — a cap that nobody can measure lets nothing pass.
    return Budget(name, 0, measure={tool.name: "1"})


def known(template: MissionTemplate, name: str) -> bool:
    """Whether a grant of such a mission can cap a budget of this name."""
    return name == CALLS or any(budget.name == name for budget in template.budgets)
