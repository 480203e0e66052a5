"""Starts: the gate, the lease, and what happens when a lease runs out.

    decided → started(attempt, lease) → ok | error | not_started | unknown

One verdict authorises one start. Whoever commits `started` runs the effect.
"""

from __future__ import annotations

from msgspec import structs

from bridle.governor.action import budgets
from bridle.governor.action.standing import Standing, find, obstacle
from bridle.governor.ground.core import Core
from bridle.model.action import ActionState, AttemptState
from bridle.model.calls import Beat
from bridle.model.reason import Reason, ReasonCode
from bridle.model.record import LeafKind
from bridle.model.tool import Tool
from bridle.store.base import Tx
from bridle.store.rows import ActionRow, AttemptRow

# How long an allow may wait for its start (architecture §4, trust §4).
DECISION_LEASE_MS = 5_000


def start(core: Core, tx: Tx, at: Standing, action: ActionRow, tool: Tool) -> AttemptRow:
    """Commit the start of a decided action. The caller has checked everything in this transaction."""
    # INVARIANT: I4 — the action row leaves `decided` in the same transaction that creates the
    # attempt, so no second start can pass the gate, and a kill committed before is seen here.
    attempt = AttemptRow(
        id=core.id("att"),
        action=action.id,
        mission=action.mission,
        agent=action.agent,
        tool=action.tool,
        executor=at.session.executor,
        state=AttemptState.STARTED,
        started=at.now,
        lease=at.now + tool.timeout_ms if core.leases else 0,
        epoch=at.globals.epoch,
    )
    tx.put(attempt)
    tx.put(
        structs.replace(
            action,
            state=ActionState.STARTED,
            attempt=attempt.id,
            attempts=action.attempts + 1,
            lapses=0,
        )
    )
    core.recorder.write(
        tx,
        LeafKind.STARTED,
        action.mission,
        at.now,
        ids=at.ids(core, action=action.id, attempt=attempt.id),
        body={"tool": action.tool, "lease_ms": tool.timeout_ms, "attempt": action.attempts + 1},
    )
    return attempt


def renew(core: Core, tx: Tx, call: Beat) -> Reason | None:
    """Renew a running attempt's lease, or say why not. A lapsed one stays `unknown`."""
    at = find(core, tx, call.session)
    if isinstance(at, Reason):
        return at
    attempt = tx.get(AttemptRow, call.attempt)
    if attempt is None or attempt.mission != at.mission.id or attempt.agent != at.session.agent:
        return Reason(ReasonCode.NOT_DECIDED, "this attempt was not started in this session")
    if attempt.state != AttemptState.STARTED or (core.leases and attempt.lease <= at.now):
        return Reason(ReasonCode.LEASE_LAPSED, "the lease of this attempt has lapsed")
    tool = at.bundle.tools.get(attempt.tool)
    if tool is None:
        return Reason(ReasonCode.UNKNOWN_TOOL, "the bundle in force does not know this tool")
    tx.put(structs.replace(attempt, lease=at.now + tool.timeout_ms))
    return obstacle(core, tx, at, attempt.tool)


def lapse(core: Core, tx: Tx, attempt: AttemptRow, now: int) -> None:
    """A started attempt whose lease ran out: nobody can say whether its effect happened."""
    tx.put(structs.replace(attempt, state=AttemptState.UNKNOWN, ended=now))
    action = tx.get(ActionRow, attempt.action)
    if action is not None and action.attempt == attempt.id:
        tx.put(structs.replace(action, state=ActionState.ENDED, settled=True))
    core.recorder.write(
        tx,
        LeafKind.OUTCOME,
        attempt.mission,
        now,
        ids={
            "action": attempt.action,
            "attempt": attempt.id,
            "agent": attempt.agent,
            "level": core.level,
        },
        body={"tool": attempt.tool, "kind": AttemptState.UNKNOWN, "why": "lease_lapsed"},
    )


def refund(tx: Tx, action: ActionRow) -> ActionRow:
    """Give back what an action had reserved, unless an earlier attempt may have used it."""
    if action.settled or not action.charged:
        return action
    budgets.release(tx, action.mission, action.charged)
    return structs.replace(action, charged={})


def forget(tx: Tx, action: ActionRow) -> ActionRow:
    """An allow that was never started ends, and gives back what it had reserved."""
    changed = structs.replace(refund(tx, action), state=ActionState.ENDED, lapses=0)
    tx.put(changed)
    return changed


def doubtful(tx: Tx, action: ActionRow, tool: Tool | None) -> str:
    """Return the last attempt's id if it may have taken effect and is not safe to repeat, else nothing."""
    attempt = tx.get(AttemptRow, action.attempt) if action.attempt else None
    if attempt is None or attempt.state in (AttemptState.NOT_STARTED, AttemptState.OK):
        return ""
    if tool is not None and (tool.idempotent or attempt.error in tool.no_effect):
        return ""
    return attempt.id


def recover(core: Core, tx: Tx, now: int) -> int:
    """Settle everything whose lease ran out. Touches expired leases only; returns how many."""
    if not core.leases:
        return 0
    late = tx.find(AttemptRow, state=AttemptState.STARTED, below=("lease", now))
    for attempt in late:
        lapse(core, tx, attempt, now)
    idle = tx.find(ActionRow, state=ActionState.DECIDED, below=("lapses", now))
    for action in idle:
        forget(tx, action)
    return len(late) + len(idle)
