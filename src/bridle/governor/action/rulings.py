"""What a judgement does: allow, hold or deny, each with its record and its row, in one transaction."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, structs

from bridle.engine.case import Cause, Judgement, Refusal, Typed
from bridle.governor.action import attempts, budgets, holds
from bridle.governor.action.standing import Standing
from bridle.governor.ground import vault
from bridle.governor.ground.core import Core
from bridle.model.action import ActionState
from bridle.model.calls import Decide
from bridle.model.reason import Reason, ReasonCode
from bridle.model.record import LeafKind
from bridle.model.tool import Tool
from bridle.model.verdict import Effect, Receipt, Verdict
from bridle.store.base import Tx
from bridle.store.rows import ActionRow, HoldRow

_LISTED = 64
_NAME = 256
_KEPT = 1_048_576


class Asked(Struct, frozen=True, kw_only=True):
    """One request to judge: the call, the action's id, who asks, and the arguments once normalised.

    `row` is what is known of the action already; `approval` is what humans have lifted for it.
    """

    core: Core
    tx: Tx
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
        """The tool, where it is known."""
        return self.at.bundle.tools[self.call.tool]


def allow(asked: Asked, judged: Judgement, typed: Typed, charge: budgets.Charge) -> Verdict:
    """Record an allow or modify, take its budgets, and start it if the call says so."""
    at = asked.at
    budgets.reserve(asked.tx, at.mission.id, charge)
    receipt = _record(asked, judged.effect, judged, typed)
    row = _row(asked, judged.effect, ActionState.DECIDED, typed, receipt, judged.reasons)
    lease = at.now + attempts.DECISION_LEASE_MS if asked.core.leases else 0
    row = structs.replace(row, charged=row.charged or charge.amounts, lapses=lease)
    verdict = _verdict(asked, judged.effect, judged.reasons, receipt, args=typed.text)
    if not asked.call.start:
        asked.tx.put(row)
        return verdict
    attempt = attempts.start(asked.core, asked.tx, at, row, asked.tool)
    return structs.replace(verdict, attempt=attempt.id, lease_ms=asked.tool.timeout_ms)


def hold(asked: Asked, judged: Judgement, typed: Typed) -> Verdict:
    """Put the action before humans, or attach it to the request that already is."""
    core, tx, at, requested = asked.core, asked.tx, asked.at, asked.typed or typed
    judged = _with_earlier_causes(asked, judged)
    key = holds.bind(core, at, asked.call.tool, requested.digest, "action")
    pending = holds.attached(tx, key, judged.causes)
    if pending is None and holds.full(tx, at):
        text = "this agent has too many actions waiting for humans"
        return deny(asked, (Reason(ReasonCode.LIMIT_EXCEEDED, text),), judged=judged)
    if pending is None:
        kept = vault.Kept(requested=requested.text, args=typed.text)
        wanted = holds.Wanted(
            subject="action",
            action=asked.id,
            tool=asked.call.tool,
            digest=core.keyed(typed.digest),
            causes=judged.causes,
            groups=judged.groups,
            reasons=judged.record or judged.reasons,
            sealed=vault.put(core.recorder, asked.id, kept),
        )
        pending = holds.open_hold(core, tx, at, key, wanted)
    receipt = _record(asked, Effect.HOLD, judged, typed, approval=pending.id)
    row = _row(asked, Effect.HOLD, ActionState.HELD, typed, receipt, judged.reasons)
    tx.put(structs.replace(row, approval=pending.id))
    return _verdict(asked, Effect.HOLD, judged.reasons, receipt, approval=pending.id)


def _with_earlier_causes(asked: Asked, judged: Judgement) -> Judgement:
    """A hold that follows an approval asks for what was approved once more, beside what is new."""
    if asked.approval is None:
        return judged
    earlier = tuple(Cause(**c) for c in asked.approval.causes)
    causes = tuple(dict.fromkeys((*earlier, *judged.causes)))
    groups = dict(asked.approval.groups)
    for group, need in judged.groups.items():
        groups[group] = max(need, groups.get(group, 0))
    return structs.replace(judged, causes=causes, groups=groups)


def deny(
    asked: Asked,
    reasons: tuple[Reason, ...],
    *,
    judged: Judgement | None = None,
    keep_row: bool = False,
) -> Verdict:
    """Record a denial. With `keep_row` the action itself stays as it was: only this request is refused."""
    shown = judged or Judgement(effect=Effect.DENY)
    record = structs.replace(shown, record=shown.record or reasons)
    receipt = _record(asked, Effect.DENY, record, asked.typed)
    if not keep_row:
        if asked.row is not None:
            asked = structs.replace(asked, row=attempts.refund(asked.tx, asked.row))
        row = _row(asked, Effect.DENY, ActionState.DENIED, asked.typed, receipt, reasons)
        asked.tx.put(row)
    return _verdict(asked, Effect.DENY, reasons, receipt)


def _verdict(
    asked: Asked,
    effect: Effect,
    reasons: tuple[Reason, ...],
    receipt: Receipt,
    *,
    args: str = "",
    approval: str = "",
) -> Verdict:
    return Verdict(
        action=asked.id,
        effect=effect,
        reasons=reasons,
        args=args,
        approval=approval,
        receipt=receipt,
        bundle=asked.at.globals.active,
    )


def _row(
    asked: Asked,
    effect: Effect,
    state: ActionState,
    typed: Typed | None,
    receipt: Receipt,
    reasons: tuple[Reason, ...],
) -> ActionRow:
    at, before = asked.at, asked.row
    core, given = asked.core, asked.typed or typed
    requested = core.keyed(given.digest) if given is not None else ""
    if before is not None and before.requested:
        requested = before.requested
    sealed = b""
    if effect.runs and typed is not None:
        kept = vault.Kept(requested=asked.call.args, args=typed.text)
        sealed = vault.put(core.recorder, asked.id, kept)
    return ActionRow(
        id=asked.id,
        mission=at.mission.id,
        agent=at.session.agent,
        tool=asked.call.tool[:_NAME],
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
        sealed=sealed,
        leaf=receipt.index,
        leaf_hash=receipt.hash,
        reasons=[structs.asdict(r) for r in reasons[:_LISTED]],
    )


def _record(
    asked: Asked, effect: Effect, judged: Judgement, typed: Typed | None, *, approval: str = ""
) -> Receipt:
    # INVARIANT: I1, I7 — the decision's leaf is appended in the decision's own transaction; the
    # verdict leaves only after that transaction has been committed at the mode the receipt names.
    at, call = asked.at, asked.call
    durability = "relaxed" if asked.relaxed else "strict"
    body: dict[str, Any] = {
        "effect": effect,
        "tool": call.tool[:_NAME],
        "codes": sorted({r.code for r in judged.record}),
        "policies": sorted({r.policy for r in judged.record if r.policy})[:_LISTED],
        "durability": durability,
    }
    if judged.shadow:
        body["shadow"] = [structs.asdict(s) for s in judged.shadow[:_LISTED]]
    fields = {"args": _bounded(call.args)}
    if effect is Effect.MODIFY and typed is not None:
        fields["modified"] = typed.text
    more = {"action": asked.id, "adapter": call.adapter[:_NAME]}
    if approval or asked.approval is not None:
        more["approval"] = approval or (asked.approval.id if asked.approval else "")
    ids = at.ids(asked.core, **more)
    written = asked.core.recorder.write(
        asked.tx, LeafKind.DECISION, at.mission.id, at.now, ids=ids, body=body, fields=fields
    )
    return Receipt(written.index, written.hash, durability)


def _bounded(args: str) -> str:
    """What is kept of arguments that no limit let through: their beginning, marked as cut."""
    return args if len(args) <= _KEPT else args[:_KEPT] + "…[cut]"
