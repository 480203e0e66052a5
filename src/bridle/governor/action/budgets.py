"""Budgets: reserve at the decision, settle by the outcome. In ten-thousandths of the unit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import Struct, structs

from bridle.governor.action.standing import Standing
from bridle.model.budget import Budget
from bridle.model.mission import MissionTemplate
from bridle.model.tool import EffectClass, Tool
from bridle.store.base import Tx
from bridle.store.rows import BudgetRow, MissionRow

SCALE = 10_000

# No budget counts beyond this, whoever approves: the largest integer every JSON reader agrees on.
MOST = 2**53 - 1


class Overrun(Struct, frozen=True):
    """A budget that cannot pay: by how much one action would overdraw it, and who may allow that.

    `groups` is empty where nobody may.
    """

    budget: str
    amount: int
    groups: tuple[str, ...]


class Charge(Struct, frozen=True):
    """What one action costs: amount per budget row id. Empty when nothing measures it."""

    amounts: dict[str, int]
    overruns: tuple[Overrun, ...] = ()


def price(at: Standing, tool: Tool, value: dict[str, Any], paid: dict[str, int]) -> Charge:
    """Say what the action costs in each budget of its mission, beyond what it has paid already."""
    # INVARIANT: I4 — an action is charged once, whatever its attempts; only if it came to cost
    # more since (another bundle, another rewriting) is the difference charged.
    template = at.template
    amounts: dict[str, int] = {}
    overruns: list[Overrun] = []
    for budget in template.budgets if template is not None else ():
        cost = _cost(budget, tool, value) - _paid(paid, budget.name)
        if cost <= 0:
            continue
        key = _key(at.mission, budget, at.now)
        row = at.turn.tx.get(BudgetRow, key)
        used = row.used if row else 0
        amounts[key] = cost
        missing = cost - max(budget.limit - used, 0)
        if used + cost > MOST:
            overruns.append(Overrun(budget.name, missing, ()))
        elif missing > 0:
            overruns.append(Overrun(budget.name, missing, budget.hold))
    return Charge(amounts, tuple(overruns))


def reserve(tx: Tx, mission: str, charge: Charge, paid: dict[str, int]) -> dict[str, int]:
    """Take the charge, whose overruns are none or approved. Returns all the action has paid."""
    total = dict(paid)
    for key, amount in charge.amounts.items():
        _add(tx, mission, key, amount)
        total[key] = total.get(key, 0) + amount
    return total


def release(tx: Tx, mission: str, amounts: dict[str, int]) -> None:
    """Give back what an action that never took effect had reserved."""
    for key, amount in amounts.items():
        _add(tx, mission, key, -amount)


def spent(tx: Tx, mission: MissionRow, template: MissionTemplate, now: int) -> list[dict[str, Any]]:
    """What is used of each budget in the window that `now` lies in."""
    rows: list[dict[str, Any]] = []
    for budget in template.budgets:
        row = tx.get(BudgetRow, _key(mission, budget, now))
        used = row.used if row else 0
        rows.append(
            {
                "budget": budget.name,
                "used": _plain(used),
                "limit": _plain(budget.limit),
                "unit": budget.unit,
                "window_ms": budget.window_ms,
            }
        )
    return rows


def _key(mission: MissionRow, budget: Budget, now: int) -> str:
    window = (now - mission.started) // budget.window_ms if budget.window_ms else 0
    return f"{mission.id}/{window}/{budget.name}"


def _paid(paid: dict[str, int], name: str) -> int:
    return sum(amount for key, amount in paid.items() if key.split("/", 2)[2] == name)


def _add(tx: Tx, mission: str, key: str, amount: int) -> None:
    # INVARIANT: (budgets) rows change only inside the decision's own transaction, so concurrent
    # reservations are ordered by the one writer and can never add up to more than was checked.
    row = tx.get(BudgetRow, key)
    if row is None:
        _, window, name = key.split("/", 2)
        row = BudgetRow(id=key, mission=mission, name=name, window=int(window))
    tx.put(structs.replace(row, used=max(0, row.used + amount)))


def _cost(budget: Budget, tool: Tool, value: dict[str, Any]) -> int:
    if budget.name == "calls" and not budget.measure:
        return SCALE
    if budget.name == "writes" and not budget.measure:
        return 0 if tool.effect is EffectClass.READ else SCALE
    measure = budget.measure.get(tool.name)
    if measure is None:
        return 0
    if not measure.startswith("input."):
        return _scaled(Decimal(measure))
    found: Any = value
    for step in measure.split(".")[1:]:
        found = found.get(step) if isinstance(found, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    # A missing amount cannot be measured. Charging the whole limit errs on the side of stopping.
    if isinstance(found, bool) or not isinstance(found, int | Decimal):
        return budget.limit + 1
    return _scaled(Decimal(found)) if found > 0 else 0


def _scaled(amount: Decimal) -> int:
    return int((amount * SCALE).to_integral_value(rounding="ROUND_CEILING"))


def _plain(amount: int) -> str:
    whole = Decimal(amount) / SCALE
    return f"{whole.normalize():f}"
