"""Budgets: reserve at the decision, settle by the outcome. Amounts in ten-thousandths of the unit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import Struct, structs

from bridle.model.mission import Budget, MissionTemplate
from bridle.model.tool import EffectClass, Tool
from bridle.store.base import Tx
from bridle.store.rows import BudgetRow, MissionRow

SCALE = 10_000


class Overrun(Struct, frozen=True):
    """A budget that cannot pay: by how much one action would overdraw it."""

    budget: Budget
    amount: int


class Charge(Struct, frozen=True):
    """What one action costs: amount per budget row id. Empty when nothing measures it."""

    amounts: dict[str, int]
    overruns: tuple[Overrun, ...] = ()


def price(
    tx: Tx,
    mission: MissionRow,
    template: MissionTemplate,
    tool: Tool,
    value: dict[str, Any],
    now: int,
) -> Charge:
    """Say what the action would cost in each budget of its mission, and which of them cannot pay."""
    amounts: dict[str, int] = {}
    overruns: list[Overrun] = []
    for budget in template.budgets:
        cost = _cost(budget, tool, value)
        if not cost:
            continue
        key = _key(mission, budget, now)
        row = tx.get(BudgetRow, key)
        used = row.used if row else 0
        amounts[key] = cost
        if used + cost > budget.limit:
            overruns.append(Overrun(budget, cost))
    return Charge(amounts, tuple(overruns))


def reserve(tx: Tx, mission: str, charge: Charge) -> None:
    """Take the charge. The caller has settled overruns (none, or lifted by an approval)."""
    for key, amount in charge.amounts.items():
        _add(tx, mission, key, amount)


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
        found = found.get(step) if isinstance(found, dict) else None
    # A missing amount cannot be measured. Charging the whole limit errs on the side of stopping.
    if isinstance(found, bool) or not isinstance(found, int | Decimal):
        return budget.limit + 1
    return _scaled(Decimal(found)) if found > 0 else 0


def _scaled(amount: Decimal) -> int:
    return int((amount * SCALE).to_integral_value(rounding="ROUND_CEILING"))


def _plain(amount: int) -> str:
    whole = Decimal(amount) / SCALE
    return f"{whole.normalize():f}"
