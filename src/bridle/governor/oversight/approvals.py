"""Operations on holds: list and show them to humans, take answers, tell the agent, redeem."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from bridle.bundle.bundle import Bundle
from bridle.governor.action import holds, outcomes, path
from bridle.governor.action.standing import Standing, find
from bridle.governor.ground import vault
from bridle.governor.ground.core import Core
from bridle.governor.oversight import humans
from bridle.model.calls import Answer, ApprovalOf, Approvals, Caller, Decide, Redeem
from bridle.model.errors import NotFoundError, RefusedError
from bridle.model.reason import Reason, ReasonCode
from bridle.model.tool import EffectClass
from bridle.model.verdict import Effect, Release, Verdict
from bridle.store.base import Tx
from bridle.store.rows import ActionRow, HoldRow


def listing(core: Core, tx: Tx, caller: Caller, call: Approvals) -> list[dict[str, Any]]:
    """Holds for humans; one asked for by id comes with its arguments (or the withheld result)."""
    if not call.approval:
        limit = max(1, min(call.limit, 1000))
        rows = (
            tx.find(HoldRow, limit=limit)
            if call.all
            else tx.find(HoldRow, status=holds.PENDING, limit=limit)
        )
        return [_plain(row) for row in sorted(rows, key=lambda r: r.created)]
    row = _get(tx, call.approval)
    kept = vault.get(core.recorder, row.action, row.sealed)
    shown = {"args": kept.args, "requested": kept.requested}
    if row.subject == "result":
        shown["output"] = kept.output
    return [{**_plain(row), **shown}]


def answer(core: Core, tx: Tx, caller: Caller, call: Answer) -> HoldRow:
    """Count a human's answer."""
    bundle = core.engine(tx, core.globals(tx).active).bundle
    user = humans.name(tx, bundle, caller, call.as_user)
    row = _get(tx, call.approval)
    if call.approve:
        _separate_enough(bundle, caller, row)
    vote = holds.Vote(
        approval=call.approval,
        user=user,
        approve=call.approve,
        reason=call.reason[:2_000],
        digest=call.digest,
        method=caller.method,
    )
    return holds.answer(core, tx, bundle, vote, core.clock.now())


def status(core: Core, tx: Tx, call: ApprovalOf) -> dict[str, Any]:
    """How a hold of this session's own agent stands."""
    row = _own(core, tx, call.session, call.approval)
    if isinstance(row, Reason):
        raise NotFoundError("no such approval for this session")
    current = row[1].status
    if current in (holds.PENDING, holds.APPROVED) and row[1].expires <= row[0].now:
        current = holds.EXPIRED
    return {"id": row[1].id, "status": current, "expires": row[1].expires}


def redeem(core: Core, tx: Tx, call: Redeem) -> Verdict | Release:
    """Judge a held action again (or release a held result) once humans have approved it."""
    found = _own(core, tx, call.session, call.approval)
    if isinstance(found, Reason):
        return Verdict(action="", effect=Effect.DENY, reasons=(found,))
    at, row = found
    action = tx.get(ActionRow, row.action)
    if action is None:
        return _no(row, ReasonCode.NOT_DECIDED, "the held action is not there any more")
    if row.subject == "result":
        return _redeem_result(core, tx, at, row, action)
    return _redeem_action(core, tx, at, row, action, call)


def _redeem_action(
    core: Core, tx: Tx, at: Standing, row: HoldRow, action: ActionRow, call: Redeem
) -> Verdict:
    if row.status == holds.PENDING and row.expires > at.now:
        reasons = tuple(Reason(ReasonCode(r["code"]), r["text"], r["policy"]) for r in row.reasons)
        return Verdict(action=action.id, effect=Effect.HOLD, reasons=reasons, approval=row.id)
    if row.status != holds.APPROVED or row.expires <= at.now:
        return _settled(row)
    if action.approval != row.id or action.state != "held":
        return _no(row, ReasonCode.APPROVAL_VOID, "the action has moved on since this was approved")
    kept = vault.get(core.recorder, row.action, row.sealed)
    # The requested arguments are judged again, so that every remedy applies to them once more.
    again = Decide(
        session=call.session, tool=row.tool, args=kept.requested, key="redeemed", start=call.start
    )
    return path.judge_again(core, tx, again, action, row)


def _redeem_result(core: Core, tx: Tx, at: Standing, row: HoldRow, action: ActionRow) -> Release:
    if row.status == holds.APPROVED and row.expires > at.now:
        return outcomes.redeem_result(core, tx, at, row, action)
    if row.status == holds.PENDING and row.expires > at.now:
        reasons = tuple(Reason(ReasonCode(r["code"]), r["text"], r["policy"]) for r in row.reasons)
        return Release(action=action.id, effect=Effect.HOLD, reasons=reasons, approval=row.id)
    verdict = _settled(row)
    return Release(action=action.id, effect=Effect.DENY, reasons=verdict.reasons)


def _settled(row: HoldRow) -> Verdict:
    code, text = {
        holds.DENIED: (ReasonCode.APPROVAL_DENIED, "a human refused this"),
        holds.USED: (ReasonCode.APPROVAL_VOID, "this approval has been used"),
        holds.VOID: (ReasonCode.APPROVAL_VOID, "this approval no longer counts"),
    }.get(row.status, (ReasonCode.APPROVAL_EXPIRED, "nobody answered in time"))
    return _no(row, code, text)


def _no(row: HoldRow, code: ReasonCode, text: str) -> Verdict:
    return Verdict(action=row.action, effect=Effect.DENY, reasons=(Reason(code, text),))


def _own(core: Core, tx: Tx, session: str, approval: str) -> tuple[Standing, HoldRow] | Reason:
    at = find(core, tx, session)
    if isinstance(at, Reason):
        return at
    row = tx.get(HoldRow, approval)
    if row is None or row.mission != at.mission.id or row.agent != at.session.agent:
        return Reason(ReasonCode.NOT_DECIDED, "no such approval for this session")
    return at, row


def _get(tx: Tx, approval: str) -> HoldRow:
    row = tx.get(HoldRow, approval)
    if row is None:
        raise NotFoundError(
            f"no hold {approval!r}", hint="`bridle approvals` lists what is pending"
        )
    return row


def _separate_enough(bundle: Bundle, caller: Caller, row: HoldRow) -> None:
    """Where agents share the operator's uid, what cannot be undone cannot be approved (architecture §6)."""
    tool = bundle.tools.get(row.tool)
    shared = caller.same_uid and caller.method.startswith("peer")
    if (
        shared
        and row.subject == "action"
        and (tool is None or tool.effect is EffectClass.IRREVERSIBLE)
    ):
        raise RefusedError(
            "agents run under the same uid as you, so an approval of an irreversible action would prove nothing",
            code="same_uid",
            hint="run the governor and the agents under uids of their own",
        )


def _plain(row: HoldRow) -> dict[str, Any]:
    plain = structs.asdict(row)
    del plain["sealed"], plain["bind"]
    return plain
