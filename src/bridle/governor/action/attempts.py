"""Starts: the gate's record, the lease, and what happens when a lease runs out.

    decided → started(attempt, lease) → ok | error | not_started | unknown

One verdict authorises one start. Whoever commits `started` runs the effect.
"""

from __future__ import annotations

from typing import Any

from msgspec import structs

from bridle.governor.action import budgets
from bridle.governor.action.standing import Standing, find, obstacle
from bridle.governor.ground.records import Entry
from bridle.governor.ground.turn import Turn
from bridle.governor.history import telling
from bridle.governor.provenance import recording
from bridle.model.action import ActionState, AttemptState
from bridle.model.calls import Beat
from bridle.model.reason import Reason, ReasonCode
from bridle.model.record import LeafKind
from bridle.model.tool import Tool
from bridle.store.rows import ActionRow, AttemptRow

# How long an allow may wait for its start (architecture §4, trust §4).
DECISION_LEASE_MS = 5_000

# How many attempts in doubt a hold names: the newest ones.
_NAMED = 8
_LOOKED_AT = 1_000


def start(at: Standing, action: ActionRow, tool: Tool) -> AttemptRow:
    """Commit the start of a decided action. The caller has checked everything in this turn."""
    # INVARIANT: I4 — the action row leaves `decided` in the same transaction that creates the
    # attempt, so no second start can pass the gate, and a kill committed before is seen here.
    turn = at.turn
    attempt = AttemptRow(
        id=turn.id("att"),
        action=action.id,
        mission=action.mission,
        agent=action.agent,
        tool=action.tool,
        executor=at.executor,
        state=AttemptState.STARTED,
        started=at.now,
        lease=at.now + tool.timeout_ms if turn.core.leases else 0,
        epoch=at.globals.epoch,
        request=action.requests,
        line=action.line,
        grant=action.grant,
        requester=action.requester,
        session=at.session.id,
    )
    turn.tx.put(attempt)
    number = action.attempts + 1
    turn.tx.put(
        structs.replace(
            action, state=ActionState.STARTED, attempt=attempt.id, attempts=number, lapses=0
        )
    )
    turn.record(
        Entry(
            kind=LeafKind.STARTED,
            chain=action.mission,
            ids=at.ids(action=action.id, attempt=attempt.id),
            body={"tool": action.tool, "lease_ms": tool.timeout_ms, "attempt": number},
        )
    )
    return attempt


def renew(turn: Turn, call: Beat) -> Reason | None:
    """Renew a running attempt's lease, or say why not. A lapsed one stays `unknown`."""
    at = find(turn, call.session)
    if isinstance(at, Reason):
        return at
    attempt = turn.tx.get(AttemptRow, call.attempt)
    if attempt is None or not at.executes(attempt):
        return Reason(ReasonCode.NOT_DECIDED, "this attempt was not started in this session")
    if attempt.state != AttemptState.STARTED or lapsed(turn, attempt):
        return Reason(ReasonCode.LEASE_LAPSED, "the lease of this attempt has lapsed")
    tool = at.bundle.tools.get(attempt.tool)
    if tool is None:
        return Reason(ReasonCode.UNKNOWN_TOOL, "the bundle in force does not know this tool")
    if turn.core.leases:
        turn.tx.renew(structs.replace(attempt, lease=at.now + tool.timeout_ms))
    return obstacle(at.serving(attempt.requester), attempt.tool)


def lapsed(turn: Turn, attempt: AttemptRow) -> bool:
    """Whether the lease of a start has run out."""
    return turn.core.leases and attempt.lease <= turn.now


def lapse(turn: Turn, attempt: AttemptRow) -> None:
    """A started attempt whose lease ran out: nobody can say whether its effect happened."""
    turn.tx.put(structs.replace(attempt, state=AttemptState.UNKNOWN, ended=turn.now))
    action = turn.tx.get(ActionRow, attempt.action)
    if action is not None and action.attempt == attempt.id:
        turn.tx.put(structs.replace(action, state=ActionState.ENDED, settled=True))
    ids = {"action": attempt.action, "attempt": attempt.id}
    what = {"kind": AttemptState.UNKNOWN, "why": "lease_lapsed", "request": attempt.request}
    telling.unknown(turn, attempt)
    recording.silent(turn, attempt)
    _record_end(turn, attempt, ids, what)


def refund(turn: Turn, action: ActionRow) -> ActionRow:
    """Give back what an action had reserved, unless an earlier attempt may have used it."""
    if action.settled or not action.charged:
        return action
    budgets.release(turn.tx, action.charged)
    return structs.replace(action, charged={}, returned=action.charged)


def recharge(turn: Turn, action: ActionRow) -> ActionRow:
    """Take back what was returned on a word that has been contradicted since."""
    if not action.charged:
        budgets.take(turn.tx, action.returned)
        action = structs.replace(action, charged=action.returned, returned={})
    return structs.replace(action, settled=True)


def relieve(turn: Turn, action: ActionRow, tool: Tool | None) -> ActionRow:
    """Give back what only an earlier attempt kept charged, once that is known to be harmless."""
    if not action.settled or in_doubt(turn, action, tool):
        return action
    action = structs.replace(action, settled=False)
    # A verdict that waits for its start, or runs, is paid with it.
    paying = action.state in (ActionState.DECIDED, ActionState.STARTED)
    return action if paying else refund(turn, action)


def forget(turn: Turn, action: ActionRow) -> ActionRow:
    """An allow that was never started ends, and gives back what it had reserved."""
    changed = structs.replace(refund(turn, action), state=ActionState.ENDED, lapses=0)
    turn.tx.put(changed)
    never_started(turn, action, budgets.difference(action.charged, changed.charged))
    return changed


def never_started(turn: Turn, action: ActionRow, returned: dict[str, int]) -> None:
    """Record that a verdict came to nothing: the books and history stand as before it."""
    ids = {"action": action.id, "attempt": ""}
    what = {
        "kind": AttemptState.NOT_STARTED,
        "why": "never_started",
        "request": action.requests,
    }
    telling.never_started(turn, action)
    _record_end(turn, action, ids, what, returned)


def _record_end(
    turn: Turn,
    row: ActionRow | AttemptRow,
    ids: dict[str, str],
    what: dict[str, Any],
    returned: dict[str, int] | None = None,
) -> None:
    """Record an end that nobody reported."""
    executor = row.executor or row.agent
    turn.record(
        Entry(
            kind=LeafKind.OUTCOME,
            chain=row.mission,
            ids={**ids, "agent": row.agent, "executor": executor, "level": turn.level},
            body={"tool": row.tool, **what},
            amounts={"returned": returned or {}},
        )
    )


def harmless(attempt: AttemptRow, tool: Tool | None) -> bool:
    """Whether an ended attempt is known to have had no effect."""
    if attempt.state == AttemptState.NOT_STARTED:
        return True
    declared = tool.no_effect if tool is not None else ()
    return attempt.state == AttemptState.ERROR and attempt.error in declared


def in_doubt(turn: Turn, action: ActionRow, tool: Tool | None) -> tuple[str, ...]:
    """The ended attempts of an action that may have taken effect, the newest ones, in id order."""
    # INVARIANT: I4 — not only the last attempt counts: one that never started says nothing about
    # those before it.
    if not action.attempts:
        return ()
    found: list[AttemptRow] = []
    for state in (AttemptState.OK, AttemptState.UNKNOWN, AttemptState.ERROR):
        rows = turn.tx.find(
            AttemptRow, action=action.id, state=state, newest="lease", limit=_LOOKED_AT
        )
        found += [row for row in rows if not harmless(row, tool)]
    found.sort(key=lambda row: (row.started, row.id))
    return tuple(sorted(row.id for row in found[-_NAMED:]))


def recover(turn: Turn) -> int:
    """Settle everything whose lease ran out. Touches expired leases only; returns how many."""
    if not turn.core.leases:
        return 0
    # A lease that ends now has ended.
    late = turn.tx.find(AttemptRow, state=AttemptState.STARTED, below=("lease", turn.now + 1))
    for attempt in late:
        lapse(turn, attempt)
    idle = turn.tx.find(ActionRow, state=ActionState.DECIDED, below=("lapses", turn.now + 1))
    for action in idle:
        forget(turn, action)
    return len(late) + len(idle)
