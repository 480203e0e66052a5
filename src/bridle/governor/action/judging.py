"""Steps 3 to 8 of the way of one action: what stands in the way, policy, remedies, budgets, doubt."""

from __future__ import annotations

from msgspec import structs

from bridle.engine.case import Cause, Judgement
from bridle.governor.action import attempts, budgets, holds, rulings
from bridle.governor.action.rulings import Asked
from bridle.governor.action.standing import obstacle
from bridle.model.reason import Reason, ReasonCode
from bridle.model.verdict import Effect, Verdict


def judge(asked: Asked) -> Verdict:
    """Judge an action now, and act on the judgement."""
    unusable = _unusable(asked)
    if unusable is not None:
        return rulings.deny(asked, (unusable,))
    if asked.typed is None:
        return rulings.deny(asked, (Reason(ReasonCode.MALFORMED),))
    if asked.approval is not None:
        void = holds.void_reason(asked.approval, asked.at.bundle)
        state = holds.VOID if void else holds.USED
        asked.tx.put(structs.replace(asked.approval, status=state, settled=asked.at.now))
        if void:
            return rulings.deny(asked, (void,))
    waived = holds.waivers(asked.approval) if asked.approval else frozenset[tuple[str, str]]()
    judged = asked.at.engine.judge(asked.at.case(asked.call.tool, asked.typed, waived))
    if not judged.effect.runs and judged.effect is not Effect.HOLD:
        return rulings.deny(asked, judged.reasons, judged=judged)
    if _differs_from_approved(asked, judged):
        text = "what would run now is not what was approved"
        return rulings.deny(asked, (Reason(ReasonCode.APPROVAL_VOID, text),), judged=judged)
    return _pay(asked, judged)


def _differs_from_approved(asked: Asked, judged: Judgement) -> bool:
    # INVARIANT: I3 — an approval is for the arguments that humans were shown, and for no others.
    if asked.approval is None or judged.typed is None:
        return False
    return asked.core.keyed(judged.typed.digest) != asked.approval.digest


def _unusable(asked: Asked) -> Reason | None:
    """What refuses the action before policy is asked. A broken request is named before a missing right."""
    if asked.refusal is not None:
        return Reason(asked.refusal.code, asked.refusal.text)
    return obstacle(asked.core, asked.tx, asked.at, asked.call.tool)


def _pay(asked: Asked, judged: Judgement) -> Verdict:
    """Step 8: a verdict that runs needs its budgets; an exhausted one denies or adds its own hold."""
    at, typed = asked.at, judged.typed or asked.typed
    template = at.template
    if template is None or typed is None:
        return rulings.deny(asked, (Reason(ReasonCode.INTERNAL, "no arguments to price"),))
    if asked.row is not None and asked.row.charged:
        charge = budgets.Charge({})  # the same action is charged once
    else:
        charge = budgets.price(asked.tx, at.mission, template, asked.tool, typed.value, at.now)
    lifted = holds.allowance(asked.approval) if asked.approval else {}
    short = tuple(o for o in charge.overruns if lifted.get(o.budget.name, -1) < o.amount)
    final = next((o for o in short if not o.budget.hold), None)
    if final is not None:
        text = f"the budget {final.budget.name!r} of this mission is exhausted"
        reason = Reason(ReasonCode.BUDGET_EXHAUSTED, text)
        return rulings.deny(asked, (reason,), judged=judged)
    judged = _with_budget_holds(asked, judged, short)
    judged = _with_doubt(asked, judged)
    if judged.effect is Effect.HOLD:
        return rulings.hold(asked, judged, typed)
    return rulings.allow(asked, judged, typed, charge)


def _with_budget_holds(
    asked: Asked, judged: Judgement, short: tuple[budgets.Overrun, ...]
) -> Judgement:
    if not short:
        return judged
    groups = dict(judged.groups)
    for over in short:
        for group in over.budget.hold:
            declared = asked.at.bundle.approvers.get(group)
            groups[group] = max(groups.get(group, 0), declared.need if declared else 1)
    reasons = tuple(
        Reason(ReasonCode.HELD, f"the budget {o.budget.name!r} would be overdrawn") for o in short
    )
    causes = tuple(Cause("budget", o.budget.name, amount=o.amount) for o in short)
    return structs.replace(
        judged,
        effect=Effect.HOLD,
        groups=groups,
        reasons=(*judged.reasons, *reasons),
        record=(*judged.record, *reasons),
        causes=(*judged.causes, *causes),
    )


def _with_doubt(asked: Asked, judged: Judgement) -> Judgement:
    """An earlier attempt that may have taken effect needs a human before the next one."""
    # INVARIANT: I4 — work that is not idempotent never runs twice without a human.
    doubt = attempts.doubtful(asked.tx, asked.row, asked.tool) if asked.row else ""
    if not doubt or (
        asked.approval is not None and doubt in holds.settled_attempts(asked.approval)
    ):
        return judged
    reason = Reason(ReasonCode.NEEDS_HUMAN, "an earlier attempt may have taken effect")
    return structs.replace(
        judged,
        effect=Effect.HOLD,
        groups={**judged.groups, holds.OPERATORS: 1},
        reasons=(*judged.reasons, reason),
        record=(*judged.record, reason),
        causes=(*judged.causes, Cause("attempt", doubt)),
    )
