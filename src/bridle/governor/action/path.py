"""The way of one action: from a call to a verdict, and through the gate to a start.

Everything happens inside the caller's write transaction, the record of the decision included, so
that nothing can change between what was judged and what is written (steps: architecture §4).
"""

from __future__ import annotations

from msgspec import structs

from bridle.engine.case import Refusal
from bridle.governor.action import attempts, entry, judging, overtaking, repeats, rulings
from bridle.governor.action.repeats import Refused
from bridle.governor.action.rulings import Asked
from bridle.governor.action.standing import (
    NotRelaxedError,
    Standing,
    find,
    may_relax,
    obstacle,
    redefined,
)
from bridle.governor.credentials import separation
from bridle.governor.delegation import dispatching
from bridle.governor.ground import clear
from bridle.governor.ground.records import Entry
from bridle.governor.ground.turn import Turn
from bridle.governor.planning import citing
from bridle.model.action import ActionState, action_id
from bridle.model.calls import Begin, Decide
from bridle.model.reason import Reason, ReasonCode
from bridle.model.record import LeafKind
from bridle.model.verdict import Effect, Receipt, Verdict
from bridle.store.rows import ActionRow, HoldRow

_MAX_KEY = 512


def decide(turn: Turn, call: Decide) -> Verdict:
    """Judge an action, record the decision, and start it if the call says so.

    Raises `NotRelaxedError` if the turn's commit is less than what the bundle in force demands.
    """
    at = find(turn, call.session)
    if isinstance(at, Reason):
        # Nobody is known to have asked: there is no mission to record this in.
        return _bare(at)
    relaxed = turn.durability == "relaxed"
    if relaxed and not may_relax(at.bundle, call.tool):
        raise NotRelaxedError
    action = _action(at, call)
    if not action:
        text = "the action's key (or adapter) is missing, too long, no text or of another task"
        return rulings.deny(
            Asked(at=at, call=call, id="", found=Refusal(ReasonCode.MALFORMED, text)),
            (Reason(ReasonCode.MALFORMED, text),),
        )
    found = at.engine.normalise(call.tool, call.args)
    row = turn.tx.get(ActionRow, action)
    at = at.serving(call.requester)
    at, stranger = entry.admitted(at, call, call.tool)
    at, found = at.declaring(call.provenance, found)
    at, found = citing.cited(at, call, found, action)
    asked = Asked(at=at, call=call, id=action, found=found, relaxed=relaxed, row=row)
    if stranger is not None:
        # What whoever holds the handle alone asks for says nothing of the action.
        return rulings.deny(asked, (stranger,), keep_row=True)
    return _answer(asked)


def judge_again(at: Standing, call: Decide, row: ActionRow, approval: HoldRow) -> Verdict:
    """Judge a held action once more, at this moment, with what its approval lifts."""
    at, found = at.declaring(call.provenance, at.engine.normalise(call.tool, call.args))
    at, found = citing.cited(at, call, found, row.id)
    return judging.judge(
        Asked(at=at, call=call, id=row.id, found=found, row=row, approval=approval)
    )


def fail(turn: Turn, session: str, reason: Reason) -> Verdict:
    """Record that judging itself failed, where it can be said in which mission."""
    at = find(turn, session)
    if isinstance(at, Reason):
        return _bare(reason)
    return _gate_record(at, "", reason)


def _action(at: Standing, call: Decide) -> str:
    """Return the action's id, empty where the call does not name an action."""
    for part in (call.key, call.adapter):
        if not part or len(part) > _MAX_KEY or not clear.is_text(part):
            return ""
    if dispatching.strays(at, call.key):
        return ""
    return action_id(at.mission.id, at.actor, call.adapter, call.key)


def begin(turn: Turn, call: Begin) -> Verdict:
    """The gate for platforms that run the effect: start a decided action, or say why not."""
    at = find(turn, call.session)
    if isinstance(at, Reason):
        return _bare(at)
    row = turn.tx.get(ActionRow, call.action) if clear.is_text(call.action) else None
    # INVARIANT: I5 — what was decided under one grant does not start under another.
    if row is None or not at.executes(row) or row.grant != at.session.grant:
        reason = Reason(ReasonCode.NOT_DECIDED, "this action was not decided for this session")
        return _gate_record(at, clear.token(call.action), reason)
    at, stranger = entry.admitted(at.serving(row.requester), call, row.tool)
    if stranger is not None:
        return _gate_record(at, row.id, stranger)
    return _through(at, row, call.definition)


def _through(at: Standing, row: ActionRow, definition: str) -> Verdict:
    """Start an action of this session's own, if the gate lets it pass."""
    refusal = _gate(at, row, definition)
    if refusal is not None:
        if row.state == ActionState.DECIDED:
            attempts.forget(at.turn, row)
        return _gate_record(at, row.id, refusal)
    return _start(at, row)


def _start(at: Standing, row: ActionRow) -> Verdict:
    tool = at.bundle.tools[row.tool]
    attempt = attempts.start(at, row, tool)
    kept = at.turn.unseal(row.mission, row.id, row.sealed)
    return Verdict(
        action=row.id,
        effect=Effect(row.effect),
        reasons=repeats.reasons_of(row),
        args=kept.args,
        attempt=attempt.id,
        lease_ms=tool.timeout_ms,
        receipt=Receipt(row.leaf, row.leaf_hash, row.durability),
        bundle=row.bundle,
    )


def _gate(at: Standing, row: ActionRow, definition: str) -> Reason | None:
    if row.state == ActionState.STARTED:
        return Reason(ReasonCode.ALREADY_STARTED, "this action has already been started")
    if row.state != ActionState.DECIDED:
        return Reason(ReasonCode.NOT_DECIDED, "this action has no verdict that lets it start")
    if row.lapses and row.lapses <= at.now:
        return Reason(ReasonCode.LEASE_LAPSED, "the verdict has lapsed; decide again")
    if row.bundle != at.globals.active:
        return Reason(ReasonCode.LEASE_LAPSED, "the policies have changed since; decide again")
    # INVARIANT: I4 — a kill or suspension committed after the verdict is seen here and beats it.
    stop = obstacle(at, row.tool) or separation.refusal(at, row.tool)
    if stop is None and (definition or row.definition):
        stop = redefined(at.bundle.tools[row.tool], definition)
    return stop or overtaking.overtaken(at, row)


def _gate_record(at: Standing, action: str, reason: Reason) -> Verdict:
    """Record a refusal that is about this request alone, not about the action."""
    written = at.turn.record(
        Entry(
            kind=LeafKind.DECISION,
            chain=at.mission.id,
            ids=at.ids(action=action),
            body={"effect": Effect.DENY, "codes": [reason.code], "gate": True},
        )
    )
    return Verdict(
        action=action,
        effect=Effect.DENY,
        reasons=(reason,),
        receipt=Receipt(written.index, written.hash),
        bundle=at.globals.active,
    )


def _answer(asked: Asked) -> Verdict:
    """A new action is judged; a known one is answered from what is known of it."""
    if asked.row is None:
        return judging.judge(asked)
    known = repeats.standing_answer(asked, asked.row)
    if isinstance(known, Verdict):
        if asked.call.start and known.effect.runs and known.outcome is None:
            return _through(asked.at, asked.row, asked.call.definition)
        return known
    if isinstance(known, Refused):
        return rulings.deny(asked, (known.reason,), keep_row=not known.ends)
    return judging.judge(structs.replace(asked, row=known.row, approval=known.approval))


def _bare(reason: Reason) -> Verdict:
    """A denial of bytes that yield no action: nothing is known that it could be recorded under."""
    return Verdict(action="", effect=Effect.DENY, reasons=(reason,))
