"""The way of one action, steps 1 to 9 (and 10 where the caller asks to start at once).

Normalising happens before the transaction; everything that depends on state happens inside it,
and the record is written in it, before the verdict leaves.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, structs

from bridle.bundle.bundle import Bundle
from bridle.engine.case import Cause, Judgement, Refusal, Typed
from bridle.governor import attempts, budgets, holds, repeats, vault
from bridle.governor.core import Core
from bridle.governor.standing import Standing, find, obstacle
from bridle.model.action import ActionState, action_id
from bridle.model.calls import Begin, Decide
from bridle.model.reason import Reason, ReasonCode
from bridle.model.record import LeafKind
from bridle.model.tool import EffectClass, Tool
from bridle.model.verdict import Effect, Receipt, Verdict
from bridle.store.base import Tx
from bridle.store.rows import ActionRow, HoldRow

_MAX_KEY = 512
_LISTED = 64


class Asked(Struct, frozen=True):
    """One request to judge: the call, the action's id, and its arguments once normalised."""

    call: Decide
    id: str
    at: Standing
    relaxed: bool = False
    typed: Typed | None = None
    refusal: Refusal | None = None
    row: ActionRow | None = None
    approval: HoldRow | None = None

    @property
    def tool(self) -> Tool:
        """The tool, where it is known (after `_unusable` found nothing)."""
        return self.at.bundle.tools[self.call.tool]


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
        return _bare(call, at)
    if relaxed and not may_relax(at.bundle, call.tool):
        raise NotRelaxedError
    action = action_id(at.mission.id, at.session.agent, call.adapter, call.key)
    if len(call.key) > _MAX_KEY or not call.key:
        return _bare(call, Reason(ReasonCode.MALFORMED, "the action's key is missing or too long"))
    found = at.engine.normalise(call.tool, call.args)
    asked = Asked(
        call=call,
        id=action,
        at=at,
        relaxed=relaxed,
        typed=found if isinstance(found, Typed) else None,
        refusal=found if isinstance(found, Refusal) else None,
        row=tx.get(ActionRow, action),
    )
    return _answer(core, tx, asked)


def judge_again(core: Core, tx: Tx, call: Decide, row: ActionRow, approval: HoldRow) -> Verdict:
    """Judge a held action once more, at this moment, with what its approval lifts."""
    at = find(core, tx, call.session)
    if isinstance(at, Reason):
        return _bare(call, at)
    found = at.engine.normalise(call.tool, call.args)
    asked = Asked(
        call=call,
        id=row.id,
        at=at,
        typed=found if isinstance(found, Typed) else None,
        refusal=found if isinstance(found, Refusal) else None,
        row=row,
        approval=approval,
    )
    return _fresh(core, tx, asked)


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


def _answer(core: Core, tx: Tx, asked: Asked) -> Verdict:
    """A new action is judged; a known one is answered from what is known of it."""
    if asked.row is None:
        return _fresh(core, tx, asked)
    known = repeats.standing_answer(core, tx, asked.at, asked.row, asked.typed)
    if isinstance(known, Verdict):
        if asked.call.start and known.effect.runs and known.outcome is None:
            return begin(core, tx, Begin(session=asked.call.session, action=asked.id))
        return known
    if isinstance(known, Reason):
        return _deny(core, tx, asked, (known,), keep_row=True)
    return _fresh(core, tx, structs.replace(asked, row=known.row, approval=known.approval))


def _fresh(core: Core, tx: Tx, asked: Asked) -> Verdict:
    unusable = _unusable(core, tx, asked)
    if unusable is not None:
        return _deny(core, tx, asked, (unusable,))
    if asked.typed is None:
        return _deny(core, tx, asked, (Reason(ReasonCode.MALFORMED),))
    if asked.approval is not None:
        void = holds.void_reason(asked.approval, asked.at.bundle)
        state = holds.VOID if void else holds.USED
        tx.put(structs.replace(asked.approval, status=state, settled=asked.at.now))
        if void:
            return _deny(core, tx, asked, (void,))
    waived = holds.waivers(asked.approval) if asked.approval else frozenset[tuple[str, str]]()
    judged = asked.at.engine.judge(asked.at.case(asked.call.tool, asked.typed, waived))
    if not judged.effect.runs and judged.effect is not Effect.HOLD:
        return _deny(core, tx, asked, judged.reasons, judged=judged)
    if _differs_from_approved(core, asked, judged):
        text = "what would run now is not what was approved"
        return _deny(core, tx, asked, (Reason(ReasonCode.APPROVAL_VOID, text),), judged=judged)
    return _pay(core, tx, asked, judged)


def _differs_from_approved(core: Core, asked: Asked, judged: Judgement) -> bool:
    # INVARIANT: I3 — an approval is for the arguments that humans were shown, and for no others.
    if asked.approval is None or judged.typed is None:
        return False
    return core.keyed(judged.typed.digest) != asked.approval.digest


def _unusable(core: Core, tx: Tx, asked: Asked) -> Reason | None:
    """What refuses the action before policy is asked. A broken request is named before a missing right."""
    if asked.refusal is not None:
        return Reason(asked.refusal.code, asked.refusal.text)
    return obstacle(core, tx, asked.at, asked.call.tool)


def _pay(core: Core, tx: Tx, asked: Asked, judged: Judgement) -> Verdict:
    """Step 8: a verdict that runs needs its budgets; an exhausted one denies or adds its own hold."""
    at, typed = asked.at, judged.typed or asked.typed
    template = at.template
    if template is None or typed is None:
        return _deny(core, tx, asked, (Reason(ReasonCode.INTERNAL, "no arguments to price"),))
    if asked.row is not None and asked.row.charged:
        charge = budgets.Charge({})  # the same action is charged once
    else:
        charge = budgets.price(tx, at.mission, template, asked.tool, typed.value, at.now)
    lifted = holds.allowance(asked.approval) if asked.approval else {}
    short = tuple(o for o in charge.overruns if lifted.get(o.budget.name, -1) < o.amount)
    final = next((o for o in short if not o.budget.hold), None)
    if final is not None:
        text = f"the budget {final.budget.name!r} of this mission is exhausted"
        reason = Reason(ReasonCode.BUDGET_EXHAUSTED, text)
        return _deny(core, tx, asked, (reason,), judged=judged)
    judged = _with_budget_holds(asked, judged, short)
    judged = _with_doubt(tx, asked, judged)
    if judged.effect is Effect.HOLD:
        return _hold(core, tx, asked, judged, typed)
    return _allow(core, tx, asked, judged, typed, charge)


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
        reasons=judged.reasons + reasons,
        record=judged.record + reasons,
        causes=judged.causes + causes,
    )


def _with_doubt(tx: Tx, asked: Asked, judged: Judgement) -> Judgement:
    """An earlier attempt that may have taken effect needs a human before the next one."""
    # INVARIANT: I4 — work that is not idempotent never runs twice without a human.
    doubt = attempts.doubtful(tx, asked.row, asked.tool) if asked.row else ""
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


def _allow(
    core: Core, tx: Tx, asked: Asked, judged: Judgement, typed: Typed, charge: budgets.Charge
) -> Verdict:
    at = asked.at
    budgets.reserve(tx, at.mission.id, charge)
    receipt = _record(core, tx, asked, judged.effect, judged.record, judged=judged, typed=typed)
    row = _row(core, asked, judged.effect, ActionState.DECIDED, typed, receipt, judged.reasons)
    lease = at.now + attempts.DECISION_LEASE_MS if core.leases else 0
    row = structs.replace(row, charged=row.charged or charge.amounts, lapses=lease)
    verdict = Verdict(
        action=asked.id,
        effect=judged.effect,
        reasons=judged.reasons,
        args=typed.text,
        receipt=receipt,
        bundle=at.globals.active,
    )
    if not asked.call.start:
        tx.put(row)
        return verdict
    attempt = attempts.start(core, tx, at, row, asked.tool)
    return structs.replace(verdict, attempt=attempt.id, lease_ms=asked.tool.timeout_ms)


def _hold(core: Core, tx: Tx, asked: Asked, judged: Judgement, typed: Typed) -> Verdict:
    at, requested = asked.at, asked.typed or typed
    key = holds.bind(core, at, asked.call.tool, requested.digest, "action")
    pending = holds.attached(tx, key, judged.causes)
    if pending is None:
        if holds.full(tx, at):
            text = "this agent has too many actions waiting for humans"
            return _deny(core, tx, asked, (Reason(ReasonCode.LIMIT_EXCEEDED, text),), judged=judged)
        pending = holds.open_hold(
            core,
            tx,
            at,
            key,
            holds.Wanted(
                subject="action",
                action=asked.id,
                tool=asked.call.tool,
                digest=core.keyed(typed.digest),
                causes=judged.causes,
                groups=judged.groups,
                reasons=judged.record or judged.reasons,
                sealed=vault.put(
                    core.recorder,
                    asked.id,
                    vault.Kept(requested=requested.text, args=typed.text),
                ),
            ),
        )
    receipt = _record(
        core, tx, asked, Effect.HOLD, judged.record, judged=judged, typed=typed, approval=pending.id
    )
    row = _row(core, asked, Effect.HOLD, ActionState.HELD, typed, receipt, judged.reasons)
    tx.put(structs.replace(row, approval=pending.id))
    return Verdict(
        action=asked.id,
        effect=Effect.HOLD,
        reasons=judged.reasons,
        approval=pending.id,
        receipt=receipt,
        bundle=at.globals.active,
    )


def _deny(
    core: Core,
    tx: Tx,
    asked: Asked,
    reasons: tuple[Reason, ...],
    *,
    judged: Judgement | None = None,
    keep_row: bool = False,
) -> Verdict:
    """Record a denial. With `keep_row` the action itself stays as it was: only this request is refused."""
    record = judged.record if judged and judged.record else reasons
    receipt = _record(core, tx, asked, Effect.DENY, record, judged=judged, typed=asked.typed)
    if not keep_row:
        if asked.row is not None:
            asked = structs.replace(asked, row=attempts.refund(tx, asked.row))
        row = _row(core, asked, Effect.DENY, ActionState.DENIED, asked.typed, receipt, reasons)
        tx.put(row)
    return Verdict(
        action=asked.id,
        effect=Effect.DENY,
        reasons=reasons,
        receipt=receipt,
        bundle=asked.at.globals.active,
    )


def _row(
    core: Core,
    asked: Asked,
    effect: Effect,
    state: ActionState,
    typed: Typed | None,
    receipt: Receipt,
    reasons: tuple[Reason, ...],
) -> ActionRow:
    at, before = asked.at, asked.row
    requested = core.keyed((asked.typed or typed).digest) if asked.typed or typed else ""
    if before is not None and before.requested:
        requested = before.requested
    runs = effect.runs and typed is not None
    kept = vault.Kept(requested=asked.call.args, args=typed.text if runs and typed else "")
    return ActionRow(
        id=asked.id,
        mission=at.mission.id,
        agent=at.session.agent,
        tool=asked.call.tool[:256],
        executor=at.session.executor,
        state=state,
        requested=requested,
        judged=core.keyed(typed.digest) if typed else "",
        effect=effect,
        bundle=at.globals.active,
        decided=at.now,
        attempts=before.attempts if before else 0,
        attempt=before.attempt if before else "",
        charged=before.charged if before else {},
        settled=before.settled if before else False,
        sealed=vault.put(core.recorder, asked.id, kept) if runs else b"",
        leaf=receipt.index,
        leaf_hash=receipt.hash,
        reasons=[structs.asdict(r) for r in reasons[:_LISTED]],
    )


def _record(
    core: Core,
    tx: Tx,
    asked: Asked,
    effect: Effect,
    reasons: tuple[Reason, ...],
    *,
    judged: Judgement | None,
    typed: Typed | None,
    approval: str = "",
) -> Receipt:
    # INVARIANT: I1, I7 — the decision's leaf is appended in the decision's own transaction; the
    # verdict leaves only after that transaction has been committed at the mode the receipt names.
    at, call = asked.at, asked.call
    body: dict[str, Any] = {
        "effect": effect,
        "tool": call.tool[:256],
        "codes": sorted({r.code for r in reasons}),
        "policies": sorted({r.policy for r in reasons if r.policy})[:_LISTED],
        "durability": "relaxed" if asked.relaxed else "strict",
    }
    if judged is not None and judged.shadow:
        body["shadow"] = [structs.asdict(s) for s in judged.shadow[:_LISTED]]
    fields = {"args": _bounded(call.args)}
    if effect is Effect.MODIFY and typed is not None:
        fields["modified"] = typed.text
    more = {"action": asked.id, "adapter": call.adapter[:64]}
    if approval or asked.approval is not None:
        more["approval"] = approval or (asked.approval.id if asked.approval else "")
    written = core.recorder.write(
        tx,
        LeafKind.DECISION,
        at.mission.id,
        at.now,
        ids=at.ids(core, **more),
        body=body,
        fields=fields,
    )
    return Receipt(written.index, written.hash, body["durability"])


def may_relax(bundle: Bundle, tool: str) -> bool:
    """Whether records of this tool may be committed before they are fsynced (read tools only)."""
    known = bundle.tools.get(tool)
    return (
        bundle.manifest.durability == "relaxed"
        and known is not None
        and known.effect is EffectClass.READ
    )


def _bounded(args: str) -> str:
    """What is kept of arguments that no limit let through: their beginning, marked as cut."""
    return args if len(args) <= 1_000_000 else args[:10_000] + "…[cut]"


def _bare(call: Decide, reason: Reason) -> Verdict:
    return Verdict(action="", effect=Effect.DENY, reasons=(reason,))
