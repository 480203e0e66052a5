"""Steps 3 to 8 of the way of one action: what stands in the way, policy, budgets, doubt."""

from __future__ import annotations

from msgspec import structs

from bridle.engine.case import Cause, Judgement, Refusal, Typed
from bridle.governor.action import attempts, budgets, holds, rulings
from bridle.governor.action.rulings import Asked
from bridle.governor.action.standing import PASSING, NotRelaxedError, Standing, obstacle
from bridle.governor.approval import exceptions
from bridle.governor.credentials import separation
from bridle.governor.delegation import authority, deputies
from bridle.governor.history import telling
from bridle.governor.provenance import tracing
from bridle.model.reason import Reason, ReasonCode
from bridle.model.verdict import Effect, Verdict


def judge(asked: Asked) -> Verdict:
    """Judge an action now, and act on the judgement."""
    # A broken request is named before a missing right.
    found = asked.found
    if isinstance(found, Refusal):
        return rulings.deny(asked, (Reason(found.code, found.text),))
    stop = obstacle(asked.at, asked.call.tool) or asked.redefined or _apart(asked)
    if stop is not None:
        # What stands in the way only for now (a kill, a suspension) does not use up an approval.
        kept = asked.approval is not None and stop.code in PASSING
        return rulings.deny(asked, (stop,), keep_row=kept)
    outside = ungranted(asked.at, asked.call.tool, found)
    # Before policy is asked, and again when it is made: an agent hears of it with the verdict.
    outside = outside or separation.denied(asked.at, asked.call.tool)
    if outside is not None:
        return rulings.deny(asked, (outside,), keep_row=asked.approval is not None)
    void = _use_up(asked)
    if void is not None:
        return rulings.deny(asked, (void,))
    form = _form(asked, found)
    if isinstance(form, Refusal):
        return rulings.deny(asked, (Reason(form.code, form.text),))
    return _by_policy(asked, form)


def _apart(asked: Asked) -> Reason | None:
    call = asked.call
    return separation.refusal(asked.at, call.tool, perform=call.perform)


def ungranted(at: Standing, tool: str, typed: Typed, *, made: bool = False) -> Reason | None:
    """Say why the grants of this session, or of whom it serves, do not allow an action.

    `made` as in `authority.permits`.
    """
    return authority.permits(at, tool, typed, made=made) or deputies.permits(at, tool, typed)


def _form(asked: Asked, found: Typed) -> Typed | Refusal:
    """What is judged: what was asked for, or what humans have put in its place."""
    # INVARIANT: I3 — where humans edited the arguments, theirs are judged and executed, and what
    # the agent asked for only says which action this is.
    row = asked.approval
    if row is None or not row.edited:
        return found
    kept = asked.turn.unseal(row.mission, row.action, row.sealed)
    return asked.at.engine.normalise(row.tool, kept.args)


def _by_policy(asked: Asked, found: Typed) -> Verdict:
    asked = structs.replace(asked, form=found)
    full = telling.admission(asked.turn, asked.deed(found))
    if full is not None:
        return rulings.deny(asked, (full,))
    # Here and not while policies are asked: what is missing or was changed is nobody's opinion.
    tracing.at_hand(asked.turn, asked.at.engine, asked.at.mission, asked.call.tool)
    asked, judged = _opinion(asked, found)
    if not judged.effect.runs and judged.effect is not Effect.HOLD:
        return rulings.deny(asked, judged.reasons, judged=judged)
    if judged.typed is None:
        return rulings.deny(asked, (Reason(ReasonCode.INTERNAL, "nothing was judged"),))
    # INVARIANT: I3, I5 — what would run is held against the grants, not only what was asked for.
    changed = judged.typed is not asked.found
    outside = ungranted(asked.at, asked.call.tool, judged.typed, made=True) if changed else None
    if outside is not None:
        return rulings.deny(asked, (outside,), judged=judged)
    if _differs_from_approved(asked, judged.typed):
        text = "what would run now is not what was approved"
        return rulings.deny(asked, (Reason(ReasonCode.APPROVAL_VOID, text),), judged=judged)
    return _pay(asked, _told_of_edits(asked, judged), judged.typed)


def _opinion(asked: Asked, found: Typed) -> tuple[Asked, Judgement]:
    """What policy says, with what an approval and the mission's exceptions lift."""
    waived = holds.waivers(asked.approval)
    judged, lifting = exceptions.judge(
        asked.at, asked.call.tool, found, waived, telling.request_id(asked.id, asked.request)
    )
    if lifting:
        _strictly(asked)
    return (structs.replace(asked, exceptions=lifting) if lifting else asked), judged


def _told_of_edits(asked: Asked, judged: Judgement) -> Judgement:
    """To the agent, arguments that humans changed are a modification like any other."""
    changed = judged.typed is not None and judged.typed.text != asked.call.args
    if judged.effect is not Effect.ALLOW or not changed:
        return judged
    reason = Reason(ReasonCode.MODIFIED, "a human changed the arguments")
    return structs.replace(
        judged,
        effect=Effect.MODIFY,
        reasons=(*judged.reasons, reason),
        record=(*judged.record, reason),
    )


def _hold(asked: Asked, judged: Judgement, typed: Typed) -> Verdict:
    """Hold the action, unless humans have approved an identical one that did not use it."""
    if asked.approval is None and asked.typed is not None:
        key = holds.bind(asked.at, asked.call.tool, asked.typed.digest)
        approval = holds.ready(asked.at, key, judged)
        if approval is not None:
            return judge(structs.replace(asked, approval=approval, exceptions=()))
    return rulings.hold(asked, judged, typed)


def _strictly(asked: Asked) -> None:
    # INVARIANT: what humans granted once is not there again after a power cut: its use is fsynced
    # before the verdict leaves, also where the tool only reads.
    if asked.relaxed:
        raise NotRelaxedError


def _use_up(asked: Asked) -> Reason | None:
    """An approval is good for one judgement. Says why it is void, if it is."""
    if asked.approval is None:
        return None
    _strictly(asked)
    void = holds.void_reason(asked.turn, asked.approval)
    holds.close(asked.turn, asked.approval, holds.VOID if void else holds.USED)
    return void


def _differs_from_approved(asked: Asked, typed: Typed) -> bool:
    # INVARIANT: I3 — an approval is for the arguments that humans were shown, and for no others.
    row = asked.approval
    return row is not None and not holds.is_about(asked.turn.core, row, typed.digest)


def _pay(asked: Asked, judged: Judgement, typed: Typed) -> Verdict:
    """Step 8: a verdict that runs needs its budgets; an exhausted one denies or asks humans."""
    charge = budgets.price(asked.at, asked.tool, typed.value, asked.paid)
    lifted = holds.allowance(asked.approval)
    short = tuple(o for o in charge.overruns if lifted.get(o.budget, 0) < o.amount or not o.groups)
    final = next((o for o in short if not o.groups), None)
    if final is not None:
        text = f"the budget {final.plain!r} of this {final.of} is exhausted"
        reason = Reason(ReasonCode.BUDGET_EXHAUSTED, text)
        return rulings.deny(asked, (reason,), judged=judged)
    judged = _with_budget_holds(asked, judged, short)
    judged = _with_doubt(asked, judged)
    if judged.effect is Effect.HOLD:
        return _hold(asked, judged, typed)
    return rulings.allow(asked, judged, typed, charge)


def _with_budget_holds(
    asked: Asked, judged: Judgement, short: tuple[budgets.Overrun, ...]
) -> Judgement:
    if not short:
        return judged
    groups = dict(judged.groups)
    for group in (group for over in short for group in over.groups):
        declared = asked.at.bundle.approvers.get(group)
        groups[group] = max(groups.get(group, 0), declared.need if declared else 1)
    reasons = tuple(
        Reason(ReasonCode.HELD, f"the budget {o.plain!r} of this {o.of} would be overdrawn")
        for o in short
    )
    causes = tuple(Cause("budget", o.budget, amount=o.amount) for o in short)
    return _held(judged, reasons, causes, groups)


def _with_doubt(asked: Asked, judged: Judgement) -> Judgement:
    """Earlier attempts that may have taken effect need a human before the next one."""
    # INVARIANT: I4 — work that is not idempotent never runs twice without a human.
    if asked.row is None or asked.tool.idempotent:
        return judged
    doubt = attempts.in_doubt(asked.turn, asked.row, asked.tool)
    if holds.settled_attempts(asked.approval).issuperset(doubt):
        return judged
    reason = Reason(ReasonCode.NEEDS_HUMAN, "an earlier attempt may have taken effect")
    causes = tuple(Cause("attempt", attempt) for attempt in doubt)
    return _held(judged, (reason,), causes, {**judged.groups, holds.OPERATORS: 1})


def _held(
    judged: Judgement,
    reasons: tuple[Reason, ...],
    causes: tuple[Cause, ...],
    groups: dict[str, int],
) -> Judgement:
    return structs.replace(
        judged,
        effect=Effect.HOLD,
        groups=groups,
        reasons=(*judged.reasons, *reasons),
        record=(*(judged.record or judged.reasons), *reasons),
        causes=(*judged.causes, *causes),
    )
