"""Whether a request comes from whom its session is for: its key's holder, its workload."""

from __future__ import annotations

from msgspec import structs

from bridle.governor.action.standing import Standing
from bridle.governor.identity import executors, proofs
from bridle.model.calls import Begin, CheckPlan, Decide, Redeem
from bridle.model.reason import Reason


def admitted(
    at: Standing, call: Decide | Begin | Redeem | CheckPlan, tool: str | None
) -> tuple[Standing, Reason | None]:
    """Return the session as this request has shown it to be, and why it is turned away if it is.

    `tool` is what it is about, None where that is no single one.

    Uses up the proof that comes with the request.
    """
    # INVARIANT: I5 — a handle alone, which may have leaked, starts nothing.
    refusal = proofs.refusal(at, call, tool)
    if refusal is None and call.proof is not None:
        at = structs.replace(at, proof=proofs.SIGNED)
    return at, refusal or executors.unproven(at.turn, at.session.executor)
