"""`Used`: what an effect returns to say, beside its result, how much it really used up."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

_LONGEST = 128


class Used(Struct, frozen=True):
    """A result, and what each budget is to be charged for it instead of what was reserved.

    `used` maps a budget's name to an amount in its unit (0 or more). The caller of the tool gets
    `result` alone. The governor believes a workload that the bundle declares `reports_use`, and
    never charges more than was reserved; what it does not believe it leaves out, on record.
    """

    result: Any
    used: Mapping[str, int | float | Decimal | str]

    def __post_init__(self) -> None:
        """Refuse, inside the effect, what is no mapping. Raises `TypeError`."""
        if not isinstance(self.used, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError("used maps names of budgets to amounts")


def texts(used: Mapping[str, Any]) -> dict[str, str]:
    """Return reported amounts as the governor reads them: plain decimal numbers."""
    return {_clean(name): _text(amount) for name, amount in used.items()}


def _text(amount: Any) -> str:
    # What is no number goes along as it is: the governor says on record that it did not count it.
    shown = _clean(amount)
    try:
        number = Decimal(shown)
    except InvalidOperation:
        return shown
    return f"{number:f}" if number.is_finite() and abs(number.adjusted()) < _LONGEST else shown


def _clean(value: Any) -> str:
    return str(value)[:_LONGEST].encode("utf-8", "backslashreplace").decode()
