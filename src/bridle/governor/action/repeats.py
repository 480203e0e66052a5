"""What a call for an already known action means: the same answer, another try, or a change of mind.

Rules (architecture §4): only `ok` is final and its stored outcome is returned; a repeat must carry
the requested or the verdict's arguments; after `error`, `unknown` or `not_started` only what is
safe to repeat runs again, the rest waits for a human (see `attempts.doubtful`).
"""

from __future__ import annotations

import msgspec
from msgspec import Struct, structs

from bridle.engine.case import Typed
from bridle.governor.action import attempts
from bridle.governor.action.standing import Standing
from bridle.governor.ground import vault
from bridle.governor.ground.core import Core
from bridle.model.action import ActionState
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.reason import Reason, ReasonCode
from bridle.model.verdict import Effect, Receipt, Verdict
from bridle.store.base import Tx
from bridle.store.rows import ActionRow, AttemptRow, HoldRow

# Denials that say something about the moment, not about the action: asking again later is fine.
_PASSING = frozenset(
    {
        ReasonCode.KILLED,
        ReasonCode.SUSPENDED,
        ReasonCode.MISSION_NOT_ACTIVE,
        ReasonCode.BUNDLE_CHANGED,
        ReasonCode.BUDGET_EXHAUSTED,
        ReasonCode.LIMIT_EXCEEDED,
        ReasonCode.APPROVAL_VOID,
    }
)


class JudgeAgain(Struct, frozen=True):
    """The action is to be judged again under the same id, with what an approval lifts (if any)."""

    row: ActionRow
    approval: HoldRow | None = None


def standing_answer(
    core: Core, tx: Tx, at: Standing, row: ActionRow, typed: Typed | None
) -> Verdict | Reason | JudgeAgain:
    """Answer a repeated call from the action's row: a verdict, a refusal of this call, or judge again."""
    # INVARIANT: I4 — the same id counts once, and only for the same arguments.
    if typed is None or core.keyed(typed.digest) not in (row.requested, row.judged):
        return Reason(
            ReasonCode.ARGS_CHANGED, "this step was asked for before with other arguments"
        )
    match row.state:
        case ActionState.OK:
            return _stored(core, row)
        case ActionState.STARTED:
            return _started(core, tx, at, row)
        case ActionState.HELD:
            return _held(tx, at, row)
        case ActionState.DECIDED:
            return _decided(core, tx, at, row)
        case ActionState.DENIED:
            return _denied(at, row)
        case _:
            return JudgeAgain(row)


def _stored(core: Core, row: ActionRow) -> Verdict:
    kept = vault.get(core.recorder, row.id, row.sealed)
    if kept.release in (Effect.DENY, Effect.HOLD):
        reasons = tuple(msgspec.convert(r, Reason) for r in kept.reasons)
        effect = Effect(kept.release)
        return _verdict(
            row, effect, reasons, approval=row.approval if effect is Effect.HOLD else ""
        )
    output = kept.released if kept.release == Effect.MODIFY else kept.output
    outcome = Outcome(OutcomeKind.OK, output=output, opaque=kept.opaque)
    return structs.replace(_verdict(row, Effect.ALLOW), outcome=outcome)


def _started(core: Core, tx: Tx, at: Standing, row: ActionRow) -> Verdict | Reason | JudgeAgain:
    attempt = tx.get(AttemptRow, row.attempt)
    if attempt is None or not core.leases or attempt.lease > at.now:
        return Reason(ReasonCode.ALREADY_STARTED, "this action is running")
    attempts.lapse(core, tx, attempt, at.now)
    return JudgeAgain(tx.get(ActionRow, row.id) or row)


def _held(tx: Tx, at: Standing, row: ActionRow) -> Verdict | JudgeAgain:
    hold = tx.get(HoldRow, row.approval)
    if hold is not None and hold.status == "approved" and hold.expires > at.now:
        return JudgeAgain(row, hold)
    if hold is not None and hold.status == "pending" and hold.expires > at.now:
        return _verdict(row, Effect.HOLD, _reasons(row), approval=hold.id)
    # The hold came to nothing in a way that did not close the action: ask anew.
    return JudgeAgain(row)


def _decided(core: Core, tx: Tx, at: Standing, row: ActionRow) -> Verdict | JudgeAgain:
    fresh = not row.lapses or row.lapses > at.now
    if fresh and row.bundle == at.globals.active:
        kept = vault.get(core.recorder, row.id, row.sealed)
        return structs.replace(_verdict(row, Effect(row.effect), _reasons(row)), args=kept.args)
    return JudgeAgain(attempts.forget(tx, row))


def _denied(at: Standing, row: ActionRow) -> Verdict | JudgeAgain:
    reasons = _reasons(row)
    if row.bundle != at.globals.active or any(r.code in _PASSING for r in reasons):
        return JudgeAgain(row)
    return _verdict(row, Effect.DENY, reasons)


def _reasons(row: ActionRow) -> tuple[Reason, ...]:
    return tuple(msgspec.convert(r, Reason) for r in row.reasons)


def _verdict(
    row: ActionRow, effect: Effect, reasons: tuple[Reason, ...] = (), *, approval: str = ""
) -> Verdict:
    return Verdict(
        action=row.id,
        effect=effect,
        reasons=reasons,
        approval=approval,
        receipt=Receipt(row.leaf, row.leaf_hash),
        bundle=row.bundle,
    )
