"""What a call for an already known action means: the same answer, another try, or a change of mind.

Rules (architecture §4): only `ok` is final and its stored outcome is returned; a repeat must carry
the requested or the verdict's arguments; after `error`, `unknown` or `not_started` only what is
safe to repeat runs again, the rest waits for a human (see `attempts.in_doubt`).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct, structs

from bridle.engine.case import Typed
from bridle.governor.action import attempts, holds
from bridle.governor.action.releases import ERASED, is_erased
from bridle.governor.action.rulings import Asked, as_written
from bridle.governor.action.standing import PASSING, NotRelaxedError, Standing, obstacle
from bridle.governor.delegation import authority, deputies
from bridle.governor.ground.turn import Turn
from bridle.model.action import ActionState
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.reason import Reason, ReasonCode
from bridle.model.verdict import Effect, Receipt, Verdict
from bridle.store.rows import ActionRow, AttemptRow, HoldRow


class Refused(Struct, frozen=True):
    """This request is refused. With `ends`, that is also how the action stands from now on."""

    reason: Reason
    ends: bool = False


class JudgeAgain(Struct, frozen=True):
    """The action is to be judged again under the same id, with what an approval lifts (if any)."""

    row: ActionRow
    approval: HoldRow | None = None


Answer = Verdict | Refused | JudgeAgain


def standing_answer(asked: Asked, row: ActionRow) -> Answer:
    """Answer a repeated call from the action's row."""
    if is_erased(row):
        return Refused(ERASED)
    # INVARIANT: I4 — the same id counts once, and only for the same arguments.
    if not _same(asked, row):
        text = "this step was asked for before with other arguments"
        return Refused(Reason(ReasonCode.ARGS_CHANGED, text))
    if row.requester != asked.at.requester and not _same_requester(asked, row):
        text = "this step was asked for before on behalf of somebody else"
        return Refused(Reason(ReasonCode.ARGS_CHANGED, text))
    stop = withheld(asked.at, row.tool, asked.typed) if row.state in _KNOWING else None
    if stop is not None:
        return Refused(stop)
    answer = _ANSWERS.get(row.state)
    return answer(asked, row) if answer is not None else JudgeAgain(row)


def withheld(at: Standing, tool: str, typed: Typed | None) -> Reason | None:
    """Say why this session is not told what came of an action: its grants do not reach that far."""
    # INVARIANT: I5 — what one run was given is not read out to another that holds less.
    stop = authority.stopped(at) or deputies.refusal(at, tool)
    if stop is not None and not (stop.code is ReasonCode.GRANT_EXPIRED and _of_the_mission(at)):
        return stop
    if tool not in at.bundle.tools or typed is None:
        if _of_the_mission(at):
            return None
        return Reason(ReasonCode.NOT_GRANTED, "what this was done with cannot be read any more")
    return authority.permits(at, tool, typed) or deputies.permits(at, tool, typed)


def _of_the_mission(at: Standing) -> bool:
    """Whether this is the mission's own agent, whose results outlast the mission and its grant."""
    return not (at.session.line or at.requester)


def _same_requester(asked: Asked, row: ActionRow) -> bool:
    """Whether the same agent is served by the same line, be it under a newer grant."""
    if row.state == ActionState.DENIED:
        return True
    return deputies.same(asked.turn, row.requester, asked.at.requester)


def _same(asked: Asked, row: ActionRow) -> bool:
    known = (row.requested, row.judged)
    if asked.fingerprint() in known or as_written(asked.turn, asked.call) in known:
        return True
    return asked.typed is not None and _edited_to(asked.turn, row, asked.typed.digest)


def _edited_to(turn: Turn, row: ActionRow, args: str) -> bool:
    """Whether these arguments (their digest) are what humans made of those that wait for them."""
    hold = turn.tx.get(HoldRow, row.approval) if row.approval else None
    return hold is not None and hold.edited and holds.is_about(turn.core, hold, args)


def stored(turn: Turn, row: ActionRow) -> Verdict:
    """The answer for an action that has ended `ok`: its result as it was released, or why not."""
    if is_erased(row):
        return _verdict(row, Effect.DENY, (ERASED,))
    kept = turn.unseal(row.mission, row.id, row.sealed)
    if kept.release in (Effect.DENY, Effect.HOLD):
        effect = Effect(kept.release)
        reasons = tuple(holds.reason_of(r) for r in kept.reasons)
        approval = row.approval if effect is Effect.HOLD else ""
        return structs.replace(_verdict(row, effect, reasons), approval=approval)
    output = kept.released if kept.release == Effect.MODIFY else kept.output
    outcome = Outcome(OutcomeKind.OK, output=output, opaque=kept.opaque)
    return structs.replace(_verdict(row, Effect.ALLOW), outcome=outcome)


def _started(asked: Asked, row: ActionRow) -> Answer:
    attempt = asked.turn.tx.get(AttemptRow, row.attempt)
    if attempt is None or not attempts.lapsed(asked.turn, attempt):
        return Refused(Reason(ReasonCode.ALREADY_STARTED, "this action is running"))
    _strictly(asked)
    attempts.lapse(asked.turn, attempt)
    return JudgeAgain(asked.turn.tx.get(ActionRow, row.id) or row)


def _held(asked: Asked, row: ActionRow) -> Answer:
    hold = asked.turn.tx.get(HoldRow, row.approval)
    # Approvals are single-use: an identical action that was attached to the same hold may have
    # come first. Then this one asks anew.
    if hold is None or hold.status in (holds.USED, holds.VOID):
        return JudgeAgain(row)
    refused = holds.outcome_of(hold, asked.at.now)
    if refused is not None:
        return Refused(refused, ends=True)
    if hold.status == holds.APPROVED:
        return JudgeAgain(row, hold)
    return structs.replace(_verdict(row, Effect.HOLD, reasons_of(row)), approval=hold.id)


def _decided(asked: Asked, row: ActionRow) -> Answer:
    at, turn = asked.at, asked.turn
    fresh = not row.lapses or row.lapses > at.now
    same_grants = (row.grant, row.requester) == (at.session.grant, at.requester)
    same_ground = row.bundle == at.globals.active and at.executes(row) and same_grants
    if fresh and same_ground and obstacle(at, row.tool) is None and asked.redefined is None:
        kept = turn.unseal(row.mission, row.id, row.sealed)
        return structs.replace(_verdict(row, Effect(row.effect), reasons_of(row)), args=kept.args)
    _strictly(asked)
    return JudgeAgain(attempts.forget(turn, row))


def _strictly(asked: Asked) -> None:
    # What ends here is history that judging then asks for. Were the turn undone after that, since
    # what it found has to be strict, this history would have to be read in again.
    if asked.relaxed:
        raise NotRelaxedError


def _denied(asked: Asked, row: ActionRow) -> Answer:
    reasons = reasons_of(row)
    if row.bundle != asked.at.globals.active or any(r.code in PASSING for r in reasons):
        return JudgeAgain(row)
    plan = asked.at.plan
    if plan is not None and not plan.deviates:
        # It may have been refused for coming before its turn, which is over.
        return JudgeAgain(row)
    return _verdict(row, Effect.DENY, reasons)


# The states in which a repeat is told what it did not bring along itself.
_KNOWING = (ActionState.OK, ActionState.HELD)

_ANSWERS: dict[str, Callable[[Asked, ActionRow], Answer]] = {
    ActionState.OK: lambda asked, row: stored(asked.turn, row),
    ActionState.STARTED: _started,
    ActionState.HELD: _held,
    ActionState.DECIDED: _decided,
    ActionState.DENIED: _denied,
}


def reasons_of(row: ActionRow) -> tuple[Reason, ...]:
    """The reasons of the verdict an action stands at."""
    return tuple(holds.reason_of(r) for r in row.reasons)


def _verdict(row: ActionRow, effect: Effect, reasons: tuple[Reason, ...] = ()) -> Verdict:
    return Verdict(
        action=row.id,
        effect=effect,
        reasons=reasons,
        receipt=Receipt(row.leaf, row.leaf_hash, row.durability),
        bundle=row.bundle,
    )
