"""`[….budgets.NAME]` tables → budgets: of a mission, an agent or a user, all written alike."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bridle.bundle.parse.table import Table, exact_amount, named, refer
from bridle.bundle.schema.paths import ELEMENT, Place, find, split
from bridle.model.budget import Budget
from bridle.model.identity import ApproverGroup

if TYPE_CHECKING:
    from bridle.bundle.parse.systems import Landscape

SCALE = 10_000
"""Budgets count in ten-thousandths of their unit."""

SELF_MEASURED = ("calls", "writes")

# Every record that charges names each of them, and a record has a largest size.
_MOST = 32


def read(table: Table, land: Landscape, approvers: dict[str, ApproverGroup]) -> tuple[Budget, ...]:
    """Read the budgets of the mission, agent or user that `table` declares."""
    found = tuple(_budget(name, t, land, approvers) for name, t in table.tables("budgets"))
    if len(found) > _MOST:
        table.bad("budgets", f"there are {len(found)} budgets here, the most is {_MOST}")
    return found


def _budget(
    name: str, table: Table, land: Landscape, approvers: dict[str, ApproverGroup]
) -> Budget:
    named(table, name, "a budget")
    limit = table.amount("limit")
    hold = table.texts("hold")
    budget = Budget(
        name=name,
        limit=int(limit * SCALE),
        unit=table.text("unit"),
        window_ms=table.duration("window", 0),
        measure=_measure(name, table, land),
        hold=hold,
    )
    for index, group in enumerate(hold):
        refer(table.findings, table.at("hold", index), group, approvers, "approver group")
    table.close()
    return budget


def _measure(name: str, table: Table, land: Landscape) -> dict[str, str]:
    inner = table.table("measure")
    found = {tool: _cost(tool, inner, land) for tool in inner.data}
    if name in SELF_MEASURED and found:
        table.bad("measure", f"`{name}` measures itself", "give a measured budget another name")
    elif name not in SELF_MEASURED and not found:
        table.findings.error(
            table.at(),
            "missing_key",
            f"the budget {name} does not say what uses it up",
            'add `measure = { "TOOL" = "input.amount" }`, or a number for each tool',
        )
    return {tool: cost for tool, cost in found.items() if cost}


def _cost(tool: str, table: Table, land: Landscape) -> str:
    value: Any = table.raw(tool)
    if tool not in land.tools:
        refer(table.findings, table.at(tool), tool, land.tools, "tool")
        return ""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        exact = exact_amount(value)
        if exact is not None:
            return str(value)
    elif isinstance(value, str) and value.startswith("input.") and ELEMENT not in value:
        place = find(land.tools[tool].input, split(value.removeprefix("input.")))
        if place is not None and place.types and place.types <= {"integer", "number"}:
            _measurable(value, place, table, tool)
            return value
    table.bad(tool, "a cost is a number, or `input.PATH` of a number in the tool's schema")
    return ""


def _measurable(value: str, place: Place, table: Table, tool: str) -> None:
    """Point out arguments that would let an action cost too much, or nothing."""
    if place.removable:
        table.findings.warning(
            table.at(tool),
            "optional_measure",
            f"`{value}` may be absent, and an absent amount exhausts the budget",
            "make the argument required",
        )
    if not any(_never_negative(part) for part in place.applied):
        table.findings.warning(
            table.at(tool),
            "negative_measure",
            f"`{value}` may be negative, and then costs nothing",
            "give it a `minimum` of 0 in the schema",
        )


def _never_negative(part: dict[str, Any]) -> bool:
    """Whether a schema has a lower bound of at least zero, or lists only such values."""
    bounds = [part[key] for key in ("minimum", "exclusiveMinimum") if key in part]
    values = [part["const"]] if "const" in part else part.get("enum", ())
    return any(bound >= 0 for bound in bounds) or (bool(values) and all(v >= 0 for v in values))
