"""Budgets: how much of something a mission, an agent or a user may use up."""

from __future__ import annotations

from msgspec import Struct

from bridle.model.tool import EffectClass, Tool


class Budget(Struct, frozen=True, forbid_unknown_fields=True):
    """A counter with a ceiling.

    `limit` and all amounts are in ten-thousandths of the unit, so that decimals stay exact.
    `window_ms` is a fixed window: a mission's is aligned to its start, any other to the epoch (0:
    no window, it counts for good). `measure`
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

    def cost_of(self, tool: Tool) -> str:
        """Return what an action of a tool costs: a number, `input.PATH`, or empty for nothing."""
        if self.measure or self.name not in ("calls", "writes"):
            return self.measure.get(tool.name, "")
        return "" if self.name == "writes" and tool.effect is EffectClass.READ else "1"
