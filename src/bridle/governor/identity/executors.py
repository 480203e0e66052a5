"""Whether the workload that a session names is the one on the other end of the connection.

The deciding identity proves itself with the session's key, the executing one with a key of its own:
neither proof is taken for the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridle.governor.identity import identities
from bridle.governor.identity.identities import WORKLOAD
from bridle.model.reason import Reason, ReasonCode

if TYPE_CHECKING:
    from bridle.governor.ground.turn import Turn

# Callers within the governor's own process, and trials of a bundle: there is no connection there.
_WITHIN = ("embedded", "offline")


def unproven(turn: Turn, executor: str) -> Reason | None:
    """Say why this turn's caller may not carry out what `executor` is to, if they may not.

    Asked before every decision, start and acceptance. A workload without keys is whoever holds the
    session's handle, and the record says by which method that was established.
    """
    # INVARIANT: I9 — whoever has stolen an agent's handle and key still is not the workload that
    # the humans gave its tools to.
    if not executor or within(turn) or proven(turn, executor):
        return None
    return Reason(
        ReasonCode.EXECUTOR_NOT_PROVEN,
        "this session's workload has a key, and this connection has not proved it",
    )


def unproven_by_receiver(turn: Turn, executor: str, given: str) -> Reason | None:
    """Say why whoever takes up an offer may not name this workload, if they may not.

    `given` is the workload of the session that the offer came from.
    """
    # INVARIANT: I9 — humans say which workload carries out an agent's actions. An agent names none
    # but that which they gave to whoever handed on, or one that is there and proves it.
    caller = turn.caller
    there = caller is not None and caller.workload == executor
    if not executor or there or executor == given or within(turn):
        return unproven(turn, executor)
    return Reason(
        ReasonCode.EXECUTOR_NOT_PROVEN,
        "this is not the workload of who handed on, and this connection has not proved it",
    )


def proven(turn: Turn, executor: str) -> bool:
    """Whether the caller proved to be this workload, or it has no keys to prove it with."""
    caller = turn.caller
    if caller is not None and caller.workload == executor:
        return True
    return not identities.keyed(turn, WORKLOAD, executor)


def within(turn: Turn) -> bool:
    """Whether the caller is in the governor's own process: nothing lies between the two."""
    caller = turn.caller
    if caller is None or turn.core.level in _WITHIN[:1]:
        return True
    return caller.method in _WITHIN
