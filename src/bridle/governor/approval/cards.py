"""Cards: the holds that an agent's plan has pending at once, shown and answered together.

A card is no row. It is what is pending for one agent of one mission and the same approvers, and
its name is a keyed digest of exactly that: each hold and what it is bound to. A hold that comes,
goes or changes makes it another card: nothing slips into one that was shown. It judges nothing.
"""

from __future__ import annotations

from bridle.governor.action import holds
from bridle.governor.ground.turn import Turn
from bridle.model.errors import RefusedError
from bridle.store.rows import HoldRow


def of(turn: Turn, row: HoldRow) -> list[HoldRow]:
    """Return the holds on a hold's card, oldest first: none where it is answered by itself.

    A withheld result is, and what humans have written: those are looked at one by one.
    """
    if not _groupable(turn, row):
        return []
    where = {"mission": row.mission, "agent": row.agent, "status": holds.PENDING}
    found = [
        each
        for each in turn.tx.find(HoldRow, **where)
        if _groupable(turn, each) and _same(each, row)
    ]
    return sorted(found, key=lambda each: (each.created, each.id))


def name(turn: Turn, row: HoldRow) -> str:
    """Return the name of a hold's card (empty: it is on none)."""
    return _named(turn, of(turn, row))


def named(turn: Turn, row: HoldRow, card: str) -> list[HoldRow]:
    """Return the holds of that card. Raises `RefusedError` where it is not what was shown."""
    found = of(turn, row)
    # INVARIANT: an answer to a card answers exactly the holds, and of them exactly the arguments,
    # that its name was made from; each is counted and recorded as if it had been answered alone.
    if not found or _named(turn, found) != card:
        raise RefusedError(
            "what waits for this agent is not what this card showed",
            code="digest_differs",
            hint="show the card again and decide on what it says now",
        )
    return found


def _named(turn: Turn, rows: list[HoldRow]) -> str:
    if not rows:
        return ""
    return "card_" + turn.core.keyed("|".join(["card", *(f"{r.id}:{r.digest}" for r in rows)]))


def _groupable(turn: Turn, row: HoldRow) -> bool:
    pending = row.status == holds.PENDING and row.expires > turn.now
    asked = row.subject == holds.ACTION and not row.edited and row.terms is None
    return pending and asked and holds.void_reason(turn, row) is None


def _same(one: HoldRow, other: HoldRow) -> bool:
    mine, others = (
        (each.mission, each.agent, each.line, each.requester, each.groups) for each in (one, other)
    )
    return mine == others
