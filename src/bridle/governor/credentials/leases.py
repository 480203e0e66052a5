"""Leases: a credential that was asked for one attempt, from the question to the end, on record.

    asked → live → ending → ended          asked → failed | ending

A lease is over with its attempt, its time, or the authority it was asked under, whichever ends
first; it is taken back where it opens (`keeper`).
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, structs

from bridle.brokers.broker import Order
from bridle.governor.action import attempts, standing
from bridle.governor.action.standing import Standing
from bridle.governor.credentials import separation
from bridle.governor.delegation import lineage
from bridle.governor.ground import clear
from bridle.governor.ground.records import Entry
from bridle.governor.ground.turn import Turn
from bridle.model.action import AttemptState
from bridle.model.calls import Vend
from bridle.model.credential import AnyCredential
from bridle.model.reason import Reason, ReasonCode
from bridle.model.record import LeafKind
from bridle.model.tool import System
from bridle.store.rows import ActionRow, AttemptRow, LeaseRow, MissionRow, SessionRow

ASKED, LIVE, ENDING, ENDED, FAILED = "asked", "live", "ending", "ended", "failed"
OPEN = (ASKED, LIVE, ENDING)
"""The states in which it may still open its system."""

_EVERY = 1_000_000


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of asking a broker: `sealed` (its handle) and `expires`, or the `code` of why not.

    `unsure` says that something may have been made all the same.
    """

    sealed: bytes = b""
    expires: int = 0
    code: str = ""
    unsure: bool = False


def ask(turn: Turn, call: Vend) -> Order | Reason:
    """Put a lease on record for who may have it, or say why nobody does."""
    at = standing.find(turn, call.session)
    if isinstance(at, Reason):
        return at
    attempt = turn.tx.get(AttemptRow, call.attempt) if clear.is_text(call.attempt) else None
    if attempt is None or not _is_its_own(at, attempt):
        text = "this attempt was not started in this session, or not by who asks"
        return _refused(at, None, Reason(ReasonCode.NOT_DECIDED, text))
    at = at.serving(attempt.requester)
    found = _given(at, attempt)
    if isinstance(found, Reason):
        return _refused(at, attempt, found)
    return _asked(at, attempt, found)


def settle(turn: Turn, lease: str, found: Outcome) -> LeaseRow | Reason:
    """Note what its broker has answered; return the lease where it is in force now.

    A lease whose authority has ended meanwhile, or that nobody knows any more, gives nothing.
    """
    row = turn.tx.get(LeaseRow, lease)
    if row is None:
        return Reason(ReasonCode.CREDENTIAL_UNAVAILABLE, "this lease is not known any more")
    if found.code:
        return _failed(turn, row, found)
    # INVARIANT: I4 — what was revoked while the broker was at work gives nothing: this turn reads
    # all of it once more, in the order the one writer gives.
    why = over(turn, row) if row.state == ASKED else "overtaken"
    if why:
        end(turn, structs.replace(row, sealed=found.sealed, ended=0), why)
        return Reason(ReasonCode.CREDENTIAL_DENIED, f"what it was asked for has ended ({why})")
    row = structs.replace(
        row,
        state=LIVE,
        sealed=found.sealed,
        live=turn.now,
        expires=min(row.expires, found.expires),
    )
    turn.tx.put(row)
    record(turn, row, "vend", {"expires": row.expires})
    return row


def end(turn: Turn, row: LeaseRow, why: str) -> LeaseRow:
    """Have a lease taken back: from this commit on it is nobody's."""
    row = structs.replace(row, state=ENDING)
    turn.tx.put(row)
    record(turn, row, "ending", {"why": why})
    return row


def end_with(turn: Turn, attempt: str) -> None:
    """End what an attempt was given, in the turn that has ended it."""
    for row in turn.tx.find(LeaseRow, attempt=attempt):
        why = over(turn, row) if row.state == LIVE else ""
        if why:
            end(turn, row, why)


def over(turn: Turn, row: LeaseRow) -> str:
    """Say why a lease is to end now, empty where it stands."""
    attempt = turn.tx.get(AttemptRow, row.attempt)
    if attempt is None or attempt.state != AttemptState.STARTED or attempts.lapsed(turn, attempt):
        return "attempt_ended"
    if row.expires <= turn.now:
        return "expired"
    session = turn.tx.get(SessionRow, row.session)
    mission = turn.tx.get(MissionRow, row.mission)
    if session is None or session.closed or mission is None:
        return "session_closed"
    state = turn.globals
    engine = turn.core.engine(turn.tx, state.active)
    at = Standing(turn, session, mission, state, engine).serving(attempt.requester)
    stop = standing.standstill(at, attempt.tool)
    return stop.code.value if stop is not None else ""


def of_states(turn: Turn, *states: str) -> list[LeaseRow]:
    """Return every lease in one of these states."""
    return [row for s in states for row in turn.tx.find(LeaseRow, state=s, limit=_EVERY)]


def are_in_force(turn: Turn) -> bool:
    """Whether there is any that time could end."""
    return any(turn.tx.count(LeaseRow, state=state) for state in (LIVE, ASKED))


def declaration(turn: Turn, row: LeaseRow) -> AnyCredential | None:
    """Return what a lease was made by: as the bundle declared it then."""
    system = turn.core.engine(turn.tx, row.bundle).bundle.systems.get(row.system)
    return system.credential if system is not None else None


def record(turn: Turn, row: LeaseRow, what: str, more: dict[str, Any]) -> None:
    """Write down what happened to a lease, in its mission's log."""
    ids = {
        "agent": row.agent,
        "executor": row.executor or row.agent,
        "attempt": row.attempt,
        "lease": row.id,
        "level": turn.level,
        **({"line": row.line} if row.line else {}),
    }
    body = {"what": what, "system": row.system, "broker": row.broker, **more}
    turn.record(Entry(kind=LeafKind.CREDENTIAL, chain=row.mission, ids=ids, body=body))


# --- asking --------------------------------------------------------------------------------------


def _is_its_own(at: Standing, attempt: AttemptRow) -> bool:
    # INVARIANT: I5 — also not of another run of the same agent, which may hold less.
    same = (attempt.session, attempt.grant) == (at.session.id, at.session.grant)
    return same and at.executes(attempt)


def _given(at: Standing, attempt: AttemptRow) -> AnyCredential | Reason:
    """Return what an attempt may be given, or say why nothing."""
    if attempt.state != AttemptState.STARTED or attempts.lapsed(at.turn, attempt):
        return Reason(ReasonCode.LEASE_LAPSED, "this attempt does not run any more")
    refusal = standing.obstacle(at, attempt.tool) or separation.refusal(at, attempt.tool)
    if refusal is not None:
        return refusal
    credential = _declared(at, attempt)
    if credential is None:
        text = "what this was judged with declares no such credential any more"
        return Reason(ReasonCode.CREDENTIAL_DENIED, text)
    # INVARIANT: I4 — one credential for one start, however often it is asked for.
    if at.turn.tx.find(LeaseRow, attempt=attempt.id, limit=1):
        return Reason(ReasonCode.CREDENTIAL_DENIED, "this attempt was given its credential before")
    return separation.denied(at, attempt.tool) or credential


def _declared(at: Standing, attempt: AttemptRow) -> AnyCredential | None:
    """The credential for an attempt, if its system and tool are what they were when judged."""
    now = _tool_and_system(at, at.globals.active, attempt)
    action = at.turn.tx.get(ActionRow, attempt.action)
    # INVARIANT: I3 — a credential goes nowhere that was not judged: a bundle that was activated
    # since the start gives nothing to what it has changed.
    if now is None or action is None or now != _tool_and_system(at, action.bundle, attempt):
        return None
    return now[1].credential


def _tool_and_system(at: Standing, digest: str, attempt: AttemptRow) -> tuple[str, System] | None:
    bundle = at.bundle
    if digest != at.globals.active:
        bundle = at.turn.core.engine(at.turn.tx, digest).bundle
    tool = bundle.tools.get(attempt.tool)
    return (tool.shape, bundle.systems[tool.system]) if tool is not None else None


def _asked(at: Standing, attempt: AttemptRow, credential: AnyCredential) -> Order:
    turn = at.turn
    system = at.bundle.tools[attempt.tool].system
    row = LeaseRow(
        id=turn.id("lease"),
        mission=at.mission.id,
        attempt=attempt.id,
        state=ASKED,
        expires=_until(at, attempt, credential),
        agent=at.session.agent,
        line=at.session.line,
        grant=at.session.grant,
        session=at.session.id,
        system=system,
        broker=str(credential.__struct_config__.tag),
        executor=at.executor,
        issued=at.now,
        epoch=at.globals.epoch,
        bundle=at.globals.active,
    )
    turn.tx.put(row)
    record(turn, row, "ask", {"expires": row.expires, "tool": attempt.tool})
    return Order(
        lease=row.id,
        mission=row.mission,
        agent=row.agent,
        attempt=row.attempt,
        system=row.system,
        tool=attempt.tool,
        expires=row.expires,
        credential=credential,
    )


def _until(at: Standing, attempt: AttemptRow, credential: AnyCredential) -> int:
    """No longer than the declaration says, the mission lasts, and every grant it rests on holds."""
    grants = [
        link.expires
        for grant in (at.session.grant, attempt.requester)
        if grant
        for link in lineage.chain(at.turn, grant)
    ]
    return min(at.now + credential.lease_ms, at.mission.expires, *grants)


def _refused(at: Standing, attempt: AttemptRow | None, reason: Reason) -> Reason:
    """Record that a credential was not given."""
    named = {"attempt": attempt.id} if attempt is not None else {}
    body: dict[str, Any] = {"what": "deny", "codes": [reason.code]}
    if attempt is not None:
        body["tool"] = attempt.tool
    ids = at.ids(**named)
    at.turn.record(Entry(kind=LeafKind.CREDENTIAL, chain=at.mission.id, ids=ids, body=body))
    return reason


def _failed(turn: Turn, row: LeaseRow, found: Outcome) -> Reason:
    reason = Reason(ReasonCode.CREDENTIAL_UNAVAILABLE, f"no credential was made ({found.code})")
    if row.state not in OPEN:
        return reason
    state = ENDING if found.unsure or row.state == ENDING else FAILED
    ended = turn.now if state == FAILED else 0
    row = structs.replace(row, state=state, code=found.code, ended=ended)
    turn.tx.put(row)
    record(turn, row, "fail", {"code": found.code})
    return reason
