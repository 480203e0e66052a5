"""How grants look on a terminal: as a tree with their caveats; and which one a short name means."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from typing import Any

from bridle.cli import spending, terminal
from bridle.client.bridle import Bridle
from bridle.model.calls import Delegations
from bridle.model.errors import NotFoundError, RefusedError

SHORT = 16
"""Hex digits of a digest that are shown: enough to name a grant, short enough to read."""

_DIGEST = 64
_BEGINNING = re.compile(r"[0-9a-f]{6,63}")
_MILLISECONDS = 1_000


def named(governor: Bridle, grant: str) -> str:
    """Return the digest of the grant that `grant` is, or begins: at least 6 hex digits.

    Whatever else is returned as it is, for the governor to refuse.
    """
    if not _BEGINNING.fullmatch(grant):
        return grant
    rows = governor.rows(Delegations(all=True, limit=100_000))
    found = sorted({row["grant"] for row in rows if row["grant"].startswith(grant)})
    if not found:
        raise NotFoundError(f"there is no grant {grant}…")
    if len(found) > 1:
        raise RefusedError(
            f"{grant}… is the beginning of {len(found)} grants",
            code="ambiguous",
            hint="give more of it: " + ", ".join(each[:SHORT] for each in found[:4]),
        )
    return str(found[0])


def show(rows: list[dict[str, Any]], now_ms: int | None = None) -> None:
    """Print grants as one tree for each mission, each with what it allows and what it did."""
    now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    missions = dict.fromkeys(row["mission"] for row in rows)
    for index, mission in enumerate(missions):
        mine = [row for row in rows if row["mission"] == mission]
        if index:
            terminal.line()
        head = terminal.styled(terminal.visible(mission), bold=True)
        terminal.line(f"{head}  for {terminal.visible(mine[0]['user'])}")
        for row, guide, below in _tree(mine):
            _show(row, guide, below, now)


def _tree(rows: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Yield each row with what stands before its first line and before its others."""
    known = {row["grant"] for row in rows}
    children: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        parent = row["parent"] if row["parent"] in known else ""
        children.setdefault(parent, []).append(row)
    # With a stack of its own: the depth is the governor's to bound, not this function's.
    stack = [(row, "", False) for row in reversed(children.get("", []))]
    while stack:
        row, before, nested = stack.pop()
        mine = children.pop(row["grant"], [])
        last = before.endswith("  ")
        guide = f"{before[:-2]}{'└ ' if last else '├ '}" if nested else "  "
        inner = before if nested else "  "
        yield row, guide, inner + ("│ " if mine else "  ")
        stack.extend(
            (child, inner + ("│ " if index else "  "), True)
            for index, child in enumerate(reversed(mine))
        )


def _show(row: dict[str, Any], guide: str, below: str, now: int) -> None:
    state = "revoked" if row["revoked"] else row["state"]
    shown = [
        terminal.styled(terminal.visible(row["agent"]), bold=True),
        terminal.visible(row["grant"][:SHORT]),
        terminal.styled(state, state),
        *_carried_out(row),
        *_use(row),
        expiry(row["expires"], now),
    ]
    terminal.line(f"{guide}{'  '.join(shown)}")
    for text in row["caveats"]:
        terminal.line(f"{below}  {terminal.styled(terminal.visible(text), dim=True)}")


def _carried_out(row: dict[str, Any]) -> Iterable[str]:
    """Who carries it out, where it was dispatched to a workload."""
    if row["workload"]:
        yield f"to {terminal.visible(row['workload'])}"


def _use(row: dict[str, Any]) -> Iterable[str]:
    if row["running"]:
        yield terminal.styled(f"{row['running']} running", "warning")
    if row["actions"]:
        yield terminal.counted(row["actions"], "action")
    for name, budget in row["budgets"].items():
        yield terminal.visible(f"{name} {_amount(budget['used'])}/{_amount(budget['limit'])}")


def _amount(value: Any) -> str:
    return spending.plain(value) if isinstance(value, int) else str(value)


def expiry(expires: int, now: int) -> str:
    """Return when a grant ends, or ended, as seen from `now` (both in milliseconds)."""
    if expires > now:
        return f"expires in {span(expires - now)}"
    return f"expired {span(now - expires)} ago"


def span(milliseconds: int) -> str:
    """Return a length of time in its two largest units: `7h 59m`, `14m 3s`, `2d`."""
    left = milliseconds // _MILLISECONDS
    parts: list[str] = []
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count}{unit}")
        if parts and (len(parts) == 2 or not count):
            break
    return " ".join(parts) or "0s"
