"""Operations on holds: take humans' answers, tell the agent how its hold stands, redeem."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from bridle.engine.case import Typed
from bridle.governor.action import entry, holds, path, releases, repeats
from bridle.governor.action.standing import Standing, find
from bridle.governor.approval import answers, cards, exceptions
from bridle.governor.approval.edits import Proposal
from bridle.governor.ground import clear
from bridle.governor.ground.turn import Turn
from bridle.governor.oversight import humans, missions, showing
from bridle.model.action import ActionState
from bridle.model.calls import Answer, ApprovalOf, Caller, Decide, EndException, Redeem
from bridle.model.errors import NotFoundError, RefusedError, UsageError
from bridle.model.identity import GOVERNOR
from bridle.model.reason import Reason, ReasonCode
from bridle.model.verdict import Effect, Release, Verdict
from bridle.store.rows import ActionRow, ExceptionRow, HoldRow

_LONGEST_REASON = 2_000


def answer(turn: Turn, caller: Caller, call: Answer) -> HoldRow:
    """Count a human's answer."""
    user = humans.name(turn, caller, call.as_user)
    row = showing.hold(turn, call.approval)
    vote = answers.Vote(
        user=user,
        approve=call.approve,
        reason=clear.text_of(call.reason[:_LONGEST_REASON]),
        digest=call.digest,
        method=caller.method,
        proposal=Proposal(call.args, call.terms),
    )
    if not call.card:
        return _counted(turn, caller, row, vote)
    if vote.digest or vote.proposal.changes:
        hint = "answer the hold by itself"
        raise UsageError("a card is answered as it is shown, as a whole", hint=hint)
    # One turn: where one of them is refused, none of them is answered.
    on_it = cards.named(turn, row, call.card)
    counted = [
        _counted(turn, caller, each, structs.replace(vote, digest=each.digest)) for each in on_it
    ]
    return next(each for each in counted if each.id == row.id)


def _counted(turn: Turn, caller: Caller, row: HoldRow, vote: answers.Vote) -> HoldRow:
    if vote.approve:
        _separate_enough(turn, caller, row)
    return answers.count(turn, row, vote)


def end(turn: Turn, caller: Caller, call: EndException) -> None:
    """End an exception: one of those who granted it, the mission's user, or an operator."""
    row = turn.tx.get(ExceptionRow, call.exception)
    if row is None:
        hint = "`bridle approvals exceptions` lists those in force"
        raise NotFoundError(f"no exception {call.exception!r}", hint=hint)
    named = call.as_user or caller.user
    if named in row.by:
        who = humans.name(turn, caller, named, lowers=True)
    else:
        mission = missions.get(turn, row.mission)
        who = humans.owner_or_operator(turn, caller, named, mission, lowers=True)
    if row.status != exceptions.ACTIVE:
        raise RefusedError(f"this exception is {row.status} already", code="exception_over")
    exceptions.end(turn, row, exceptions.ENDED, by=who, method=caller.method)


def status(turn: Turn, call: ApprovalOf) -> dict[str, Any]:
    """How a hold of this session's own agent stands."""
    found = _own(turn, call.session, call.approval)
    if isinstance(found, Reason):
        raise NotFoundError("no such approval for this session", code=found.code)
    row = found[1]
    tool = turn.bundle.tools.get(row.tool)
    return {
        "id": row.id,
        "status": showing.status_of(turn, row),
        "expires": row.expires,
        "subject": row.subject,
        "action": row.action,
        "tool": row.tool,
        "performed": tool is not None and tool.performed is not None,
        "timeout_ms": tool.timeout_ms if tool is not None else 0,
    }


def redeem(turn: Turn, call: Redeem) -> Verdict | Release:
    """Judge a held action again (or release a held result) once humans have approved it."""
    found = _own(turn, call.session, call.approval)
    if isinstance(found, Reason):
        return Verdict(action="", effect=Effect.DENY, reasons=(found,))
    at, row = found
    action = turn.tx.get(ActionRow, call.action or row.action)
    if action is None or not _may_redeem(at, row, action) or not _concerns(turn, row, action):
        reason = Reason(ReasonCode.NOT_DECIDED, "this approval is not about that action")
        return Verdict(action=row.action, effect=Effect.DENY, reasons=(reason,))
    at, stranger = entry.admitted(at.serving(action.requester), call, action.tool)
    if stranger is not None:
        if row.subject == holds.RESULT:
            return releases.refused(action.id, stranger)
        return Verdict(action=action.id, effect=Effect.DENY, reasons=(stranger,))
    if row.subject == holds.RESULT:
        return _redeem_result(at, row, action)
    return _redeem_action(at, row, action, call)


def _may_redeem(at: Standing, row: HoldRow, action: ActionRow) -> bool:
    """Whether this session goes on with an action here, or is told what came of it."""
    if at.executes(action):
        return True
    # What the governor's side has carried out is told to whom it was done for.
    over = row.subject == holds.RESULT or action.state == ActionState.OK
    return over and action.executor == GOVERNOR and at.owns(action)


def _concerns(turn: Turn, row: HoldRow, action: ActionRow) -> bool:
    """Whether the hold was opened for the action, or the action is, or was, attached to it.

    What ran since has let go of its hold: it is known by asking for the same.
    """
    if action.id == row.action:
        return True
    if row.subject != holds.ACTION:
        return False
    if action.approval == row.id:
        return True
    opener = turn.tx.get(ActionRow, row.action)
    same = opener is not None and (action.tool, action.requested) == (opener.tool, opener.requested)
    return same and action.state == ActionState.OK


def _redeem_action(at: Standing, row: HoldRow, action: ActionRow, call: Redeem) -> Verdict:
    if action.state == ActionState.OK:
        withheld = repeats.withheld(at, action.tool, _typed(at, row, action))
        if withheld is not None:
            return Verdict(action=action.id, effect=Effect.DENY, reasons=(withheld,))
        return repeats.stored(at.turn, action)
    over = holds.outcome_of(row, at.now)
    if over is None and (action.approval != row.id or action.state != ActionState.HELD):
        text = "the action has moved on since this was asked"
        over = Reason(ReasonCode.APPROVAL_VOID, text)
    if over is not None:
        return Verdict(action=action.id, effect=Effect.DENY, reasons=(over,))
    if row.status == holds.PENDING:
        reasons = repeats.reasons_of(action)
        return Verdict(action=action.id, effect=Effect.HOLD, reasons=reasons, approval=row.id)
    kept = at.turn.unseal(row.mission, row.action, row.sealed)
    # The requested arguments are judged again, so that every remedy applies to them once more.
    again = Decide(
        session="",
        tool=row.tool,
        args=kept.requested,
        key="redeemed",
        start=call.start,
        definition=call.definition,
        perform=call.perform,
        provenance=kept.provenance,
        plan=kept.plan,
        step=kept.step,
    )
    return path.judge_again(at, again, action, row)


def _typed(at: Standing, row: HoldRow, action: ActionRow) -> Typed | None:
    """What was asked for, as far as it can still be read."""
    kept = at.turn.unseal(row.mission, row.action, row.sealed)
    found = at.engine.normalise(action.tool, kept.requested) if kept.requested else None
    return found if isinstance(found, Typed) else None


def _redeem_result(at: Standing, row: HoldRow, action: ActionRow) -> Release:
    void = row.status == holds.VOID
    over = None if void else holds.outcome_of(row, at.now)
    if over is None and action.approval != row.id:
        over = Reason(ReasonCode.APPROVAL_VOID, "the result has been judged since this was asked")
    if over is not None:
        return releases.refused(action.id, over)
    # What a void hold withheld is judged anew: the result is there, and nobody has refused it.
    if void or row.status == holds.APPROVED:
        return releases.redeem(at, action, row)
    kept = at.turn.unseal(action.mission, action.id, action.sealed)
    reasons = tuple(holds.reason_of(r) for r in kept.reasons)
    return Release(action=action.id, effect=Effect.HOLD, reasons=reasons, approval=row.id)


def _own(turn: Turn, session: str, approval: str) -> tuple[Standing, HoldRow] | Reason:
    at = find(turn, session)
    if isinstance(at, Reason):
        return at
    row = turn.tx.get(HoldRow, approval)
    if row is None or not at.owns(row):
        return Reason(ReasonCode.NOT_DECIDED, "no such approval for this session")
    return at, row


def _separate_enough(turn: Turn, caller: Caller, row: HoldRow) -> None:
    """Where agents share the operator's uid, nothing irreversible can be approved (§6)."""
    if caller.method == "offline" or row.subject != holds.ACTION:
        return
    if turn.core.level == holds.EMBEDDED:
        # Who runs the governor inside a program answers for that program, and for no other.
        shared = row.level not in ("", holds.EMBEDDED)
    else:
        # Who asked runs under a uid that could answer: as the operator, or as the governor itself.
        shared = row.uid in turn.core.own_uids | {caller.uid}
    if shared and holds.lasting(row, turn.bundle):
        raise RefusedError(
            "agents run under the same uid as you, so an approval of an irreversible action "
            "would prove nothing",
            code="same_uid",
            hint="run the governor and the agents under uids of their own",
        )
