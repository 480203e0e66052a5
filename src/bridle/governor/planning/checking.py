"""Checks a plan: judged in a turn that is undone, then recorded, registered and signed."""

from __future__ import annotations

from functools import partial

import msgspec
from msgspec import structs

from bridle.engine.plans import reading
from bridle.governor.action import entry
from bridle.governor.action.standing import Standing, find
from bridle.governor.delegation import dispatching, roots
from bridle.governor.ground.core import Core
from bridle.governor.ground.records import Entry
from bridle.governor.ground.turn import Turn
from bridle.governor.planning import forecast, register
from bridle.model.calls import Caller, CheckPlan
from bridle.model.errors import RefusedError
from bridle.model.plan import Forecast, Foreseen, Plan
from bridle.model.reason import Reason
from bridle.model.record import LeafKind
from bridle.model.verdict import Receipt
from bridle.trust import plan_word
from bridle.trust.plan_word import PlanWord

# How often a plan is judged again where another bundle was activated meanwhile.
_TRIES = 3

_encode = msgspec.json.Encoder().encode


class _UndoneError(Exception):
    """Takes back all that judging did, and carries what came of it."""

    def __init__(self, found: Forecast) -> None:
        super().__init__("nothing of this has happened")
        self.found = found


def check(core: Core, caller: Caller, call: CheckPlan) -> Forecast:
    """Judge a plan as a whole and put that on record; register it where no step is denied.

    Raises `UsageError` (`plan_invalid`) for what is none, `RefusedError` for who may not ask.
    """
    plan = reading.read(call.plan)
    for _ in range(_TRIES):
        found = _foreseen(core, caller, call, plan)
        told = core.write(partial(_recorded, call=call, plan=plan, found=found), caller=caller)
        if told is not None:
            return told
    raise RefusedError("the policies change while this is judged", code="bundle_changed")


def _foreseen(core: Core, caller: Caller, call: CheckPlan, plan: Plan) -> Forecast:
    def judged(turn: Turn) -> None:
        at = _standing(turn, call)
        steps = forecast.of_plan(at, plan)
        allowed = all(step.effect is not Foreseen.DENY for step in steps)
        # INVARIANT: I1, I4 — nothing that is foreseen is charged, held or in any history.
        raise _UndoneError(Forecast(plan.digest, allowed, steps, at.globals.active))

    try:
        core.write(judged, caller=caller)
    except _UndoneError as undone:
        return undone.found
    raise RefusedError("the plan was not judged", code="internal")  # pragma: no cover


def _standing(turn: Turn, call: CheckPlan) -> Standing:
    at = find(turn, call.session)
    if isinstance(at, Reason):
        raise _refused(at)
    at, stranger = entry.admitted(at.serving(call.requester), call, None)
    if stranger is not None:
        raise _refused(stranger)
    dispatching.assert_decides(at)
    return at


def _recorded(turn: Turn, call: CheckPlan, plan: Plan, found: Forecast) -> Forecast | None:
    """Record what is foreseen; None where that was under other policies than those in force."""
    at = _standing(turn, call)
    if found.bundle != at.globals.active:
        return None
    if found.allowed:
        name = register.add(at, plan)
        found = structs.replace(found, reference=_signed(at, plan))
    else:
        name = register.name_of(turn, at.session, plan.digest)
    written = turn.record(
        Entry(
            kind=LeafKind.PLAN,
            chain=at.mission.id,
            ids=at.ids(plan=name),
            body={
                "what": "check",
                "allowed": found.allowed,
                "steps": len(found.steps),
                "effects": sorted({step.effect.value for step in found.steps}),
                "codes": sorted({r.code.value for s in found.steps for r in s.reasons}),
            },
            fields={"plan": plan.text, "forecast": _encode(found.steps).decode()},
        )
    )
    return structs.replace(found, receipt=Receipt(written.index, written.hash))


def _signed(at: Standing, plan: Plan) -> str:
    """Return the governor's word that it has checked this plan, for whoever carries it on."""
    word = PlanWord(
        iss=roots.name_of(at.turn),
        mis=at.mission.id,
        act=at.actor,
        pln=plan.digest,
        bdl=at.globals.active,
        iat=at.now // 1_000,
    )
    return plan_word.sign(word, roots.signer(at.turn))


def _refused(reason: Reason) -> RefusedError:
    return RefusedError(reason.text, code=reason.code.value)
