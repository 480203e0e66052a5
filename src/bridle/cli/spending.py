"""What budgets hold, as humans read it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from bridle.cli import terminal

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000))


def shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of budgets with their times and windows spelt out."""
    return [
        {
            **{name: value for name, value in row.items() if name != "window_ms"},
            "resets_at": terminal.time(row["resets_at"]),
            "window": window(row["window_ms"]),
        }
        for row in rows
    ]


def brief(rows: list[dict[str, Any]]) -> str:
    """Return `calls 12/200, spend 80/100 EUR`."""
    return ", ".join(
        f"{row['budget']} {row['used']}/{row['limit']} {row['unit']}".rstrip() for row in rows
    )


def plain(amount: int) -> str:
    """Return an amount that is counted in ten-thousandths as a number."""
    return f"{(Decimal(amount) / 10_000).normalize():f}"


def window(milliseconds: int) -> str:
    """Return the length of a window as a bundle writes it; nothing where there is none."""
    if not milliseconds:
        return ""
    for unit, length in _UNITS:
        if milliseconds % length == 0:
            return f"{milliseconds // length}{unit}"
    return f"{milliseconds}ms"
