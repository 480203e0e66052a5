"""The way of one action: from a call to a verdict, and through the gate to a start.

Everything happens inside the caller's write transaction, the record of the decision included, so
that nothing can change between what was judged and what is written (steps: architecture §4).
"""

from __future__ import annotations

from msgspec import structs

from bridle.bundle.bundle import Bundle
from bridle.engine.case import Refusal, Typed
from bridle.governor.action import attempts, judging, repeats, rulings
from bridle.governor.action.rulings import Asked
from bridle.governor.action.standing import Standing, find, obstacle
from bridle.governor.ground import vault
from bridle.governor.ground.core import Core
from bridle.model.action import ActionState, action_id
from bridle.model.calls import Begin, Decide
from bridle.model.reason import Reason, ReasonCode
from bridle.model.record import LeafKind
from bridle.model.tool import EffectClass
from bridle.model.verdict import Effect, Receipt, Verdict
from bridle.store.base import Tx
from bridle.store.rows import ActionRow, HoldRow

_MAX_KEY = 512


class NotRelaxedError(Exception):
    """The commit was to be relaxed, but the bundle in force wants this record fsynced first."""


def decide(core: Core, tx: Tx, call: Decide, *, relaxed: bool = False) -> Verdict:
    """Judge an action, record the decision, and start it if the call says so.

    `relaxed` says how the transaction will be committed. Raises `NotRelaxedError` if that is less
    than what the bundle in force demands.
    """
    at = find(core, tx, call.session)
    if isinstance(at, Reason):
        # Nobody is known to have asked: there is no mission to record this in.
        return _bare(at)
    if relaxed and not may_relax(at.bundle, call.tool):
        raise NotRelaxedError
    if len(call.key) > _MAX_KEY or not call.key:
        return _bare(Reason(ReasonCode.MALFORMED, "the action's key is missing or too long"))
    action = action_id(at.mission.id, at.session.agent, call.adapter, call.key)
    asked = _asked(core, tx, call, at, tx.get(ActionRow, action) or action)
    return _answer(structs.replace(asked, relaxed=relaxed))


def judge_again(core: Core, tx: Tx, call: Decide, row: ActionRow, approval: HoldRow) -> Verdict:
    """Judge a held action once more, at this moment, with what its approval lifts."""
    at = find(core, tx, call.session)
    if isinstance(at, Reason):
        return _bare(at)
    return judging.judge(structs.replace(_asked(core, tx, call, at, row), approval=approval))


def _asked(core: Core, tx: Tx, call: Decide, at: Standing, known: ActionRow | str) -> Asked:
    """Normalise the arguments by the bundle in force, and put together what there is to judge."""
    found = at.engine.normalise(call.tool, call.args)
    row = known if isinstance(known, ActionRow) else None
    return Asked(
        core=core,
        tx=tx,
        call=call,
        id=row.id if row is not None else str(known),
        at=at,
        typed=found if isinstance(found, Typed) else None,
        refusal=found if isinstance(found, Refusal) else None,
        row=row,
    )


def begin(core: Core, tx: Tx, call: Begin) -> Verdict:
    """The gate for platforms that run the effect: start a decided action, or say why not."""
    at = find(core, tx, call.session)
    if isinstance(at, Reason):
        return Verdict(action=call.action, effect=Effect.DENY, reasons=(at,))
    row = tx.get(ActionRow, call.action)
    refusal = _gate(core, tx, at, row)
    if refusal is not None or row is None:
        reason = refusal or Reason(ReasonCode.NOT_DECIDED, "this action was not decided here")
        return _refuse_start(core, tx, at, row, call.action, reason)
    attempt = attempts.start(core, tx, at, row, at.bundle.tools[row.tool])
    kept = vault.get(core.recorder, row.id, row.sealed)
    return Verdict(
        action=row.id,
        effect=Effect(row.effect),
        args=kept.args,
        attempt=attempt.id,
        lease_ms=at.bundle.tools[row.tool].timeout_ms,
        receipt=Receipt(row.leaf, row.leaf_hash),
        bundle=row.bundle,
    )


def _gate(core: Core, tx: Tx, at: Standing, row: ActionRow | None) -> Reason | None:
    if row is None or row.mission != at.mission.id or row.agent != at.session.agent:
        return Reason(ReasonCode.NOT_DECIDED, "this action was not decided for this session")
    if row.state == ActionState.STARTED:
        return Reason(ReasonCode.ALREADY_STARTED, "this action has already been started")
    if row.state != ActionState.DECIDED:
        return Reason(ReasonCode.NOT_DECIDED, "this action has no verdict that lets it start")
    if row.lapses and row.lapses <= at.now:
        return Reason(ReasonCode.LEASE_LAPSED, "the verdict has lapsed; decide again")
    if row.bundle != at.globals.active:
        return Reason(ReasonCode.LEASE_LAPSED, "the policies have changed since; decide again")
    # INVARIANT: I4 — a kill or suspension committed after the verdict is seen here and beats it.
    return obstacle(core, tx, at, row.tool)


def _refuse_start(
    core: Core, tx: Tx, at: Standing, row: ActionRow | None, action: str, reason: Reason
) -> Verdict:
    written = core.recorder.write(
        tx,
        LeafKind.DECISION,
        at.mission.id,
        at.now,
        ids=at.ids(core, action=action[:64]),
        body={"effect": Effect.DENY, "codes": [reason.code], "gate": True},
    )
    if row is not None and row.state == ActionState.DECIDED and row.mission == at.mission.id:
        attempts.forget(tx, row)
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
    known = repeats.standing_answer(asked.core, asked.tx, asked.at, asked.row, asked.typed)
    if isinstance(known, Verdict):
        if asked.call.start and known.effect.runs and known.outcome is None:
            return begin(asked.core, asked.tx, Begin(session=asked.call.session, action=asked.id))
        return known
    if isinstance(known, Reason):
        return rulings.deny(asked, (known,), keep_row=True)
    return judging.judge(structs.replace(asked, row=known.row, approval=known.approval))


def may_relax(bundle: Bundle, tool: str) -> bool:
    """Whether records of this tool may be committed before they are fsynced (read tools only)."""
    known = bundle.tools.get(tool)
    return (
        bundle.manifest.durability == "relaxed"
        and known is not None
        and known.effect is EffectClass.READ
    )


def _bare(reason: Reason) -> Verdict:
    """A denial of bytes that yield no action: nothing is known that it could be recorded under."""
    return Verdict(action="", effect=Effect.DENY, reasons=(reason,))
