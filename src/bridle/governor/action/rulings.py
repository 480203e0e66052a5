"""What a judgement does: allow, hold or deny, each with its record and its row, in one turn."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, structs

from bridle.engine.case import Judgement, Refusal, Typed
from bridle.governor.action import attempts, budgets, holds
from bridle.governor.action.standing import Standing, redefined
from bridle.governor.approval import exceptions
from bridle.governor.ground import clear, vault
from bridle.governor.ground.records import Entry
from bridle.governor.ground.turn import Turn
from bridle.governor.history import telling
from bridle.governor.planning import register
from bridle.governor.provenance import endorsing, told
from bridle.model.action import ActionState
from bridle.model.calls import Decide
from bridle.model.reason import Reason, ReasonCode
from bridle.model.record import LeafKind
from bridle.model.tool import Tool
from bridle.model.verdict import Effect, Receipt, Verdict
from bridle.store.rows import ActionRow, ExceptionRow, HoldRow

_LISTED = 64
_KEPT = 1_048_576
_STATE = {
    Effect.ALLOW: ActionState.DECIDED,
    Effect.MODIFY: ActionState.DECIDED,
    Effect.HOLD: ActionState.HELD,
    Effect.DENY: ActionState.DENIED,
}

# The adapter that always sees what the server says of its tools.
DEFINING = "mcp"

_encode = msgspec.json.Encoder().encode


class Asked(Struct, frozen=True, kw_only=True):
    """One request to judge: the call, the action's id, who asks, and the arguments once normalised.

    `row` is what is known of the action already; `approval` is what humans have lifted for it, and
    `exceptions` what they have lifted for the mission. An empty `id` is a request that names no
    action: it is recorded, and no row kept of it. `form` are the arguments that policies judge.
    """

    at: Standing
    call: Decide
    id: str
    found: Typed | Refusal
    relaxed: bool = False
    row: ActionRow | None = None
    approval: HoldRow | None = None
    exceptions: tuple[ExceptionRow, ...] = ()
    form: Typed | None = None

    @property
    def turn(self) -> Turn:
        """The turn it is judged in."""
        return self.at.turn

    @property
    def typed(self) -> Typed | None:
        """The arguments, where they could be read."""
        return self.found if isinstance(self.found, Typed) else None

    @property
    def tool(self) -> Tool:
        """The tool, where it is known."""
        return self.at.bundle.tools[self.call.tool]

    @property
    def redefined(self) -> Reason | None:
        """Why the tool is not the one that was pinned, where whoever asks can see that."""
        earlier = self.row.definition if self.row is not None else ""
        if not (self.call.definition or earlier or self.call.adapter == DEFINING):
            return None
        return redefined(self.tool, self.call.definition)

    @property
    def paid(self) -> dict[str, int]:
        """What budgets hold for this action already."""
        return self.row.charged if self.row is not None else {}

    @property
    def request(self) -> int:
        """Which request of the action this is, if policies judge it: they are counted from 1."""
        return (self.row.requests if self.row is not None else 0) + 1

    def deed(self, typed: Typed) -> telling.Deed:
        """What this is in history, with these arguments."""
        at = self.at
        return telling.Deed(
            action=self.id,
            request=self.request,
            tool=self.call.tool,
            agent=at.session.agent,
            mission=at.mission,
            typed=typed,
            executor=at.executor,
            line=at.session.line,
            requesters=at.requesters,
        )

    def fingerprint(self) -> str:
        """What the arguments are compared by when the action is asked for again, keyed."""
        if isinstance(self.found, Typed):
            return self.turn.core.keyed(self.found.digest)
        return as_written(self.turn, self.call)


def as_written(turn: Turn, call: Decide) -> str:
    """The fingerprint of arguments that could not be read: of their very text."""
    return "text:" + turn.core.keyed(f"{call.tool}|{call.args}")


class Ruling(Struct, frozen=True, kw_only=True):
    """What was decided, before it is written down. `form` is what enters history, if it does.

    `endorsed` are the arguments that humans vouch for from then on.
    """

    effect: Effect
    reasons: tuple[Reason, ...]
    judged: Judgement
    typed: Typed | None = None
    approval: str = ""
    charge: budgets.Charge = budgets.Charge()
    returned: dict[str, int] = {}
    form: Typed | None = None
    endorsed: list[str] = []


def allow(asked: Asked, judged: Judgement, typed: Typed, charge: budgets.Charge) -> Verdict:
    """Record an allow or modify, take its budgets, and start it if the call says so."""
    turn, at = asked.turn, asked.at
    exceptions.use(turn, asked.exceptions)
    register.let_run(at, asked.id)
    charged = budgets.reserve(turn.tx, charge, asked.paid)
    ruling = Ruling(
        effect=judged.effect,
        reasons=judged.reasons,
        judged=judged,
        typed=typed,
        charge=charge,
        form=typed,
    )
    lease = at.now + attempts.DECISION_LEASE_MS if turn.core.leases else 0
    row = structs.replace(_row(asked, ruling), charged=charged, lapses=lease, returned={})
    endorsed = endorsing.endorse(turn, asked.approval, asked.id, asked.call.tool, typed)
    ruling = structs.replace(ruling, endorsed=endorsed)
    if not asked.call.start:
        turn.tx.tell(row)
    receipt = _record(asked, ruling)
    row = _filed(row, receipt)
    verdict = structs.replace(_verdict(asked, ruling, receipt), args=typed.text)
    if not asked.call.start:
        turn.tx.put(row)
        return verdict
    attempt = attempts.start(at, row, asked.tool)
    return structs.replace(verdict, attempt=attempt.id, lease_ms=asked.tool.timeout_ms)


def hold(asked: Asked, judged: Judgement, typed: Typed) -> Verdict:
    """Put the action before humans, or attach it to the request that already is."""
    at, requested = asked.at, asked.typed or typed
    judged = holds.together(judged, asked.approval)
    key = holds.bind(at, asked.call.tool, requested.digest)
    pending = holds.attached(at, key, judged)
    if pending is None and holds.full(at):
        text = "this agent has too many actions waiting for humans"
        return deny(asked, (Reason(ReasonCode.LIMIT_EXCEEDED, text),), judged=judged)
    if pending is None:
        edited = asked.approval is not None and asked.approval.edited
        kept = vault.Kept(
            requested=requested.text,
            args=typed.text,
            provenance=asked.call.provenance,
            plan=asked.call.plan,
            step=asked.call.step,
        )
        wanted = holds.Wanted(
            key=key,
            subject=holds.ACTION,
            action=asked.id,
            tool=asked.call.tool,
            digest=asked.turn.core.keyed(typed.digest),
            judged=judged,
            sealed=asked.turn.seal(asked.at.mission.id, asked.id, kept),
            edited=edited,
        )
        pending = holds.open_hold(at, wanted)
    ruling = Ruling(
        effect=Effect.HOLD,
        reasons=judged.reasons,
        judged=judged,
        typed=typed,
        approval=pending.id,
        form=typed,
    )
    return _write(asked, ruling)


def deny(
    asked: Asked,
    reasons: tuple[Reason, ...],
    *,
    judged: Judgement | None = None,
    keep_row: bool = False,
) -> Verdict:
    """Record a denial. With `keep_row` the action stays as it was: only this request is refused."""
    shown = judged or Judgement(effect=Effect.DENY)
    record = tuple(dict.fromkeys((*reasons, *shown.record)))
    ruling = Ruling(
        effect=Effect.DENY,
        reasons=reasons,
        judged=structs.replace(shown, record=record),
        form=_judged_form(asked, judged),
    )
    if keep_row or not asked.id:
        return _verdict(asked, ruling, _record(asked, ruling))
    if asked.row is not None:
        row = attempts.refund(asked.turn, asked.row)
        returned = budgets.difference(asked.paid, row.charged)
        asked = structs.replace(asked, row=row)
        ruling = structs.replace(ruling, returned=returned)
    return _write(asked, ruling)


def _judged_form(asked: Asked, judged: Judgement | None) -> Typed | None:
    """The arguments that policies have judged, where they have."""
    if judged is None or not asked.id:
        return None
    return judged.typed or asked.form


def _write(asked: Asked, ruling: Ruling) -> Verdict:
    row = _row(asked, ruling)
    asked.turn.tx.tell(row)
    receipt = _record(asked, ruling)
    asked.turn.tx.put(_filed(row, receipt))
    return _verdict(asked, ruling, receipt)


def _verdict(asked: Asked, ruling: Ruling, receipt: Receipt) -> Verdict:
    return Verdict(
        action=asked.id,
        effect=ruling.effect,
        reasons=ruling.reasons,
        approval=ruling.approval,
        receipt=receipt,
        bundle=asked.at.globals.active,
    )


def _filed(row: ActionRow, receipt: Receipt) -> ActionRow:
    return structs.replace(row, leaf=receipt.index, leaf_hash=receipt.hash)


def _row(asked: Asked, ruling: Ruling) -> ActionRow:
    at, turn, before = asked.at, asked.turn, asked.row
    sealed = before.sealed if before is not None else b""
    if ruling.effect.runs and ruling.typed is not None:
        kept = vault.Kept(
            requested=asked.call.args,
            args=ruling.typed.text,
            recalled=turn.recalled,
            provenance=asked.call.provenance,
            plan=asked.call.plan,
            step=asked.call.step,
        )
        sealed = turn.seal(at.mission.id, asked.id, kept)
    salt = before.salt if before is not None else ""
    if not (sealed or salt):
        # The ledger keeps a digest of this row for good: what can be guessed must not show in it
        # once row and salt are erased.
        salt = turn.vault.nonce().hex()
    return ActionRow(
        id=asked.id,
        mission=at.mission.id,
        agent=at.session.agent,
        tool=_named(asked),
        executor=at.executor,
        state=_STATE[ruling.effect],
        requested=_requested(asked),
        judged=turn.core.keyed(ruling.typed.digest) if ruling.typed else "",
        effect=ruling.effect,
        bundle=at.globals.active,
        decided=at.now,
        attempts=before.attempts if before else 0,
        attempt=before.attempt if before else "",
        requests=_requests(asked, ruling),
        approval=ruling.approval,
        charged=asked.paid,
        settled=before.settled if before else False,
        returned=before.returned if before and not asked.paid else {},
        sealed=sealed,
        durability=_durability(asked),
        last_error=before.last_error if before else "",
        reasons=[structs.asdict(r) for r in ruling.reasons[:_LISTED]],
        definition=asked.call.definition or (before.definition if before else ""),
        salt=salt,
        line=at.session.line,
        grant=at.session.grant,
        requester=at.requester,
    )


def _requests(asked: Asked, ruling: Ruling) -> int:
    """How many requests there have been. What is held becomes one when it is judged again."""
    judged = ruling.form is not None and ruling.effect is not Effect.HOLD
    return asked.request if judged else asked.request - 1


def _durability(asked: Asked) -> str:
    return "relaxed" if asked.relaxed else "strict"


def _requested(asked: Asked) -> str:
    """What was first asked for. Arguments that can be read now take the place of their text."""
    before = asked.row.requested if asked.row is not None else ""
    if before and not (before.startswith("text:") and asked.typed is not None):
        return before
    return asked.fingerprint()


def _named(asked: Asked) -> str:
    """The tool's name where it is one; what else a caller wrote there lies sealed in the record."""
    tool = asked.call.tool
    return tool if tool in asked.at.bundle.tools else clear.token(tool)


def _record(asked: Asked, ruling: Ruling) -> Receipt:
    # INVARIANT: I1, I7 — the decision's leaf is appended in the decision's own transaction; the
    # verdict leaves only after that transaction has been committed at the mode the receipt names.
    call, judged = asked.call, ruling.judged
    durability = _durability(asked)
    record = judged.record or ruling.reasons
    body: dict[str, Any] = {
        "effect": ruling.effect,
        "tool": _named(asked),
        "codes": sorted({r.code for r in record}),
        "policies": sorted({r.policy for r in record if r.policy}),
        "durability": durability,
    }
    if judged.shadow:
        body["shadow"] = [structs.asdict(s) for s in judged.shadow]
    if asked.at.plan is not None and asked.at.plan.deviates:
        body["deviates"] = asked.at.plan.why
    if ruling.endorsed:
        body["endorsed"] = ruling.endorsed
    ids = asked.at.ids(action=asked.id, adapter=clear.token(call.adapter))
    approval = ruling.approval or (asked.approval.id if asked.approval is not None else "")
    if approval:
        ids["approval"] = approval
    if ruling.effect.runs and asked.exceptions:
        ids["exceptions"] = ",".join(row.id for row in asked.exceptions)
    fields = _fields(asked, ruling, record)
    if ruling.form is not None:
        body["request"] = asked.request
        fields |= _history(asked, ruling.form, ruling.effect)
        if asked.turn.traced:
            fields["flow"] = told.field(asked.turn.traced)
    entry = Entry(
        kind=LeafKind.DECISION,
        chain=asked.at.mission.id,
        ids=ids,
        body=body,
        fields=fields,
        amounts={
            "charged": ruling.charge.amounts,
            "overdrawn": ruling.charge.overdrawn,
            "returned": ruling.returned,
        },
    )
    written = asked.turn.record(entry)
    return Receipt(written.index, written.hash, durability)


def _history(asked: Asked, form: Typed, effect: Effect) -> dict[str, str]:
    """Add the verdict to history; return what the record keeps of that, and of what was asked."""
    kept: dict[str, str] = {}
    at = telling.of_verdict(asked.turn, asked.deed(form), effect)
    if at:
        kept["history"] = _encode({"at": at, "truths": asked.turn.recalled}).decode()
    if effect is not Effect.MODIFY and form.text != asked.call.args:
        kept["judged"] = form.text
    return kept


def _fields(asked: Asked, ruling: Ruling, record: tuple[Reason, ...]) -> dict[str, str]:
    call = asked.call
    # The leaf names the action by its pseudonym; who may open the record finds the id itself.
    fields = {"args": bounded(call.args), "action": asked.id}
    if call.provenance:
        fields["provenance"] = bounded(call.provenance)
    if ruling.effect is Effect.MODIFY and ruling.typed is not None:
        fields["modified"] = ruling.typed.text
    if record:
        fields["reasons"] = _encode([structs.asdict(r) for r in record]).decode()
    if _named(asked) != call.tool:
        fields["tool"] = bounded(call.tool)
    if clear.token(call.adapter) != call.adapter:
        fields["adapter"] = bounded(call.adapter)
    return fields


def bounded(text: str, longest: int = _KEPT) -> str:
    """What is kept of a text that no limit let through: its beginning, marked as cut."""
    return text if len(text) <= longest else text[:longest] + "…[cut]"
