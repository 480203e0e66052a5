"""What is still open when a mission ends, by the word of the policies in force."""

from __future__ import annotations

from typing import Any

from bridle.bundle.obligations import obligations
from bridle.engine.case import Closing, ClosingCase
from bridle.governor.ground.turn import Turn
from bridle.governor.history import asking
from bridle.governor.history.asking import Asking
from bridle.governor.history.whose import Whose
from bridle.governor.provenance import seeing
from bridle.model.errors import RefusedError
from bridle.store.rows import MissionRow

_NAMED = 5


def objections(turn: Turn, mission: MissionRow) -> Closing:
    """Return what policies say is open now in a mission that is about to end."""
    engine = turn.engine
    view = seeing.view(engine.bundle, mission)
    of = Whose(mission.id, mission.user)
    if any(obligations(engine.bundle.policies)):
        asking.at_hand(turn, of)
    history = Asking(turn, engine, of)
    return engine.closing(
        ClosingCase(user=mission.user, mission=view, now=turn.now, history=history)
    )


def require_closed(found: Closing) -> None:
    """Refuse the end of a mission in which something is open. Raises `RefusedError`."""
    if not found.open:
        return
    said = "; ".join(
        f"{reason.policy}: {reason.text}" if reason.policy else reason.text
        for reason in found.open[:_NAMED]
    )
    raise RefusedError(
        f"something is still open in this mission: {said}",
        code="obligations_open",
        hint="see to it, or end the mission anyway, on record (--anyway)",
    )


def told(found: Closing) -> dict[str, Any]:
    """Return what the record of a mission's end says of what was open."""
    body: dict[str, Any] = {}
    if found.open:
        body["open"] = sorted({reason.policy or reason.code.value for reason in found.open})
    if found.shadow:
        body["shadow"] = [{"policy": hit.policy, "error": hit.error} for hit in found.shadow]
    return body
