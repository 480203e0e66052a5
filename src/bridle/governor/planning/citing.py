"""What an action cites, held against the plan: what policies see as `context.plan`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from bridle.engine.case import PlanView, Refusal, Typed
from bridle.engine.plans import comparing
from bridle.engine.strict_json import parse_result
from bridle.governor.ground import clear
from bridle.governor.planning import register
from bridle.model.action import ActionState
from bridle.model.plan import Plan, PlanStep
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Effect
from bridle.store.rows import ActionRow, PlanRow

if TYPE_CHECKING:
    from bridle.governor.action.standing import Standing
    from bridle.governor.ground.turn import Turn
    from bridle.governor.ground.vault import Kept
    from bridle.model.calls import Decide

_DIGEST = re.compile(r"[0-9a-f]{64}")
_LONGEST_STEP = 256

UNREGISTERED, STEP, TOOL = "unregistered", "step", "tool"
ARGUMENTS, ORDER, REPEATED = "arguments", "order", "repeated"

Found = tuple["Standing", Typed | Refusal]


class Meant(Struct, frozen=True):
    """An action and the step of a plan (by its digest) that it is meant to be."""

    plan: str
    step: str
    tool: str
    args: Typed
    action: str


def cited(at: Standing, call: Decide, found: Typed | Refusal, action: str) -> Found:
    """Take in what a request says of which step of a plan it is, or why that is refused."""
    if not (call.plan or call.step) or isinstance(found, Refusal):
        return at, found
    named = _DIGEST.fullmatch(call.plan) and 0 < len(call.step) <= _LONGEST_STEP
    if not named or not clear.is_text(call.step):
        text = "the plan is no digest of one, or the step is missing, too long or no text"
        return at, Refusal(ReasonCode.MALFORMED, text)
    meant = Meant(call.plan, call.step, call.tool, found, action)
    return _seen(at, meant, at.session), found


def again(at: Standing, kept: Kept, found: Typed, row: ActionRow | None) -> Standing:
    """Return the standing of an action that is judged once more, with what it cited then."""
    if not kept.plan or row is None:
        return at
    meant = Meant(kept.plan, kept.step, row.tool, found, row.id)
    return _seen(at, meant, row)


def _seen(at: Standing, meant: Meant, acting: register.Acting) -> Standing:
    name = register.name_of(at.turn, acting, meant.plan)
    row = at.turn.tx.get(PlanRow, name)
    plan = register.text_of(at.turn, row) if row is not None else None
    step = plan.step(meant.step) if plan is not None else None
    # INVARIANT: I2 — what is not known to be the plan's step deviates from it.
    why = UNREGISTERED
    if row is not None and plan is not None:
        why = STEP if step is None else _deviation(at, row, step, meant)
    return structs.replace(at, plan=PlanView(meant.plan, meant.step, why), planned=name)


def foreseen(at: Standing, plan: Plan, step: PlanStep) -> Standing:
    """Return the standing of a step that is judged before the plan runs: nothing deviates yet."""
    name = register.name_of(at.turn, at.session, plan.digest)
    return structs.replace(at, plan=PlanView(plan.digest, step.id, why=""), planned=name)


def _deviation(at: Standing, row: PlanRow, step: PlanStep, meant: Meant) -> str:
    """Return why an action is not this step; empty where it is."""
    turn, before = at.turn, row.done.get(step.id, "")
    if step.tool != meant.tool:
        return TOOL
    if before == meant.action:
        # Its arguments were compared when it was first let run; what repeats it has the same, or
        # those that policies or humans have made of them.
        return ""
    if before and _stands(turn, before):
        return REPEATED
    if not all(_ended_ok(turn, row.done.get(each, "")) for each in step.after):
        return ORDER
    same = comparing.fits(step, meant.args.value, lambda name: _result(at, row, name))
    return "" if same else ARGUMENTS


def _stands(turn: Turn, action: str) -> bool:
    """Whether an action that was let run as a step keeps others from being it."""
    row = turn.tx.get(ActionRow, action)
    if row is None:
        return False
    waits = row.state in (ActionState.DECIDED, ActionState.STARTED)
    return waits or row.attempts > 0


def _ended_ok(turn: Turn, action: str) -> bool:
    row = turn.tx.get(ActionRow, action) if action else None
    return row is not None and row.state == ActionState.OK


def _result(at: Standing, row: PlanRow, step: str) -> Any:
    """Return what a step's agent was given as its result, `UNKNOWN` where that was nothing."""
    turn = at.turn
    action = turn.tx.get(ActionRow, row.done.get(step, ""))
    if action is None or action.state != ActionState.OK or not action.sealed:
        return comparing.UNKNOWN
    kept = turn.unseal(action.mission, action.id, action.sealed)
    if kept.opaque or kept.release in (Effect.DENY, Effect.HOLD):
        return comparing.UNKNOWN
    text = kept.released if kept.release == Effect.MODIFY else kept.output
    limits = at.bundle.manifest.limits
    value = parse_result(text, size=limits.result_bytes, depth=limits.depth)
    return comparing.UNKNOWN if isinstance(value, Refusal) else value
