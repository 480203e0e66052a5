"""What came of an attempt, and whether its result may reach the agent (step 11)."""

from __future__ import annotations

from msgspec import Struct, structs

from bridle.engine.case import Judgement, Refusal
from bridle.governor.action import attempts, holds
from bridle.governor.action.standing import Standing, find
from bridle.governor.ground import vault
from bridle.governor.ground.core import Core
from bridle.model.action import ActionState, AttemptState
from bridle.model.calls import Observe
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.reason import Reason, ReasonCode
from bridle.model.record import LeafKind
from bridle.model.verdict import Effect, Receipt, Release
from bridle.store.base import Tx
from bridle.store.rows import ActionRow, AttemptRow, HoldRow


class Result(Struct, frozen=True):
    """A result on its way to the agent."""

    at: Standing
    action: ActionRow
    kept: vault.Kept
    waived: frozenset[tuple[str, str]] = frozenset()


def observe(core: Core, tx: Tx, call: Observe) -> Release:
    """Settle an attempt by its outcome, and judge the release of its result."""
    at = find(core, tx, call.session)
    if isinstance(at, Reason):
        return _refuse("", at)
    attempt = tx.get(AttemptRow, call.attempt)
    action = tx.get(ActionRow, attempt.action) if attempt else None
    strange = (
        attempt is None or attempt.mission != at.mission.id or attempt.agent != at.session.agent
    )
    if attempt is None or action is None or strange:
        return _refuse(
            "", Reason(ReasonCode.NOT_DECIDED, "this attempt was not started in this session")
        )
    if attempt.state not in (AttemptState.STARTED, AttemptState.UNKNOWN):
        return _repeated(core, action, attempt)
    return _settle(core, tx, at, action, attempt, call.outcome)


def _settle(
    core: Core, tx: Tx, at: Standing, action: ActionRow, attempt: AttemptRow, outcome: Outcome
) -> Release:
    newer = action.attempt != attempt.id
    late = attempt.state == AttemptState.UNKNOWN
    tx.put(
        structs.replace(
            attempt, state=outcome.kind.value, ended=at.now, error=outcome.error[:256], late=late
        )
    )
    receipt = _record(core, tx, at, attempt, outcome, late=late)
    if newer:
        reason = Reason(ReasonCode.ALREADY_STARTED, "a newer attempt has replaced this one")
        return structs.replace(_refuse(action.id, reason), receipt=receipt)
    if outcome.kind is not OutcomeKind.OK:
        _end(tx, at, action, outcome)
        return Release(action=action.id, effect=Effect.ALLOW, receipt=receipt)
    return _release(core, tx, at, action, outcome, receipt)


def settle_by_human(
    core: Core, tx: Tx, attempt: AttemptRow, outcome: Outcome, ids: dict[str, str]
) -> None:
    """A human says how an unknown attempt ended; no result is released by it."""
    now = core.clock.now()
    tx.put(
        structs.replace(
            attempt, state=outcome.kind.value, ended=now, error=outcome.error, late=True
        )
    )
    action = tx.get(ActionRow, attempt.action)
    if action is not None and action.attempt == attempt.id:
        if outcome.kind is OutcomeKind.OK:
            reason = {"code": ReasonCode.RESULT_OPAQUE, "text": "a human settled it", "policy": ""}
            kept = vault.Kept(release=Effect.DENY, reasons=[reason])
            sealed = vault.put(core.recorder, action.id, kept)
            tx.put(structs.replace(action, state=ActionState.OK, sealed=sealed))
        elif outcome.kind is OutcomeKind.NOT_STARTED:
            open_again = structs.replace(action, settled=False)
            tx.put(structs.replace(attempts.refund(tx, open_again), state=ActionState.ENDED))
        else:
            tx.put(structs.replace(action, state=ActionState.ENDED, last_error=outcome.error))
    core.recorder.write(
        tx,
        LeafKind.OUTCOME,
        attempt.mission,
        now,
        ids={"action": attempt.action, "attempt": attempt.id, "agent": attempt.agent, **ids},
        body={"tool": attempt.tool, "kind": outcome.kind, "by_human": True},
    )


def _end(tx: Tx, at: Standing, action: ActionRow, outcome: Outcome) -> None:
    tool = at.bundle.tools.get(action.tool)
    harmless = outcome.kind is OutcomeKind.NOT_STARTED or (
        outcome.kind is OutcomeKind.ERROR and tool is not None and outcome.error in tool.no_effect
    )
    if harmless:
        action = attempts.refund(tx, action)
    else:
        action = structs.replace(action, settled=True)
    tx.put(structs.replace(action, state=ActionState.ENDED, last_error=outcome.error[:256]))


def _release(
    core: Core, tx: Tx, at: Standing, action: ActionRow, outcome: Outcome, receipt: Receipt
) -> Release:
    kept = structs.replace(
        vault.get(core.recorder, action.id, action.sealed),
        output=outcome.output,
        opaque=outcome.opaque,
    )
    result = Result(at, action, kept)
    judged = judge_release(result)
    approval = ""
    if isinstance(judged, Refusal):
        reasons: tuple[Reason, ...] = (Reason(judged.code, judged.text),)
        release = Release(action=action.id, effect=Effect.DENY, reasons=reasons, receipt=receipt)
    else:
        if judged.effect is Effect.HOLD:
            approval = _hold(core, tx, result, judged).id
        output = judged.typed.text if judged.effect is Effect.MODIFY and judged.typed else ""
        release = Release(
            action=action.id,
            effect=judged.effect,
            reasons=judged.reasons,
            output=output,
            approval=approval,
            receipt=receipt,
        )
        if judged.objected or judged.effect is not Effect.ALLOW or judged.shadow:
            _record_release(core, tx, result, release, judged)
    _keep(core, tx, action, kept, release)
    return release


def judge_release(result: Result) -> Judgement | Refusal:
    """Judge whether a stored result may reach the agent, and as what."""
    at, action, kept = result.at, result.action, result.kept
    if len(kept.output.encode("utf-8", "surrogatepass")) > at.bundle.manifest.limits.result_bytes:
        return Refusal(ReasonCode.LIMIT_EXCEEDED, "the result is larger than the bundle allows")
    if not at.engine.has_release_rules(action.tool):
        return Judgement(effect=Effect.ALLOW)
    if kept.opaque:
        return Refusal(
            ReasonCode.RESULT_OPAQUE, "a release policy applies, and the result cannot be read"
        )
    typed = at.engine.normalise(action.tool, kept.args)
    if isinstance(typed, Refusal):
        return typed
    case = at.case(action.tool, typed, result.waived)
    return at.engine.release(case, kept.output or "null")


def _keep(core: Core, tx: Tx, action: ActionRow, kept: vault.Kept, release: Release) -> None:
    kept = structs.replace(
        kept,
        release=release.effect.value,
        released=release.output,
        reasons=[structs.asdict(r) for r in release.reasons],
    )
    tx.put(
        structs.replace(
            action,
            state=ActionState.OK,
            settled=True,
            approval=release.approval or action.approval,
            sealed=vault.put(core.recorder, action.id, kept),
        )
    )


def _hold(core: Core, tx: Tx, result: Result, judged: Judgement) -> HoldRow:
    at, action = result.at, result.action
    return holds.open_hold(
        core,
        tx,
        at,
        core.keyed(f"result|{action.id}"),
        holds.Wanted(
            subject="result",
            action=action.id,
            tool=action.tool,
            digest=core.keyed(f"{action.id}|{result.kept.output}"),
            causes=judged.causes,
            groups=judged.groups,
            reasons=judged.record or judged.reasons,
            sealed=vault.put(core.recorder, action.id, result.kept),
        ),
    )


def redeem_result(core: Core, tx: Tx, at: Standing, hold: HoldRow, action: ActionRow) -> Release:
    """Release a stored result after its approval: judged again, now, with what the approval lifts."""
    void = holds.void_reason(hold, at.bundle)
    tx.put(structs.replace(hold, status=holds.VOID if void else holds.USED, settled=at.now))
    if void:
        return _refuse(action.id, void)
    kept = vault.get(core.recorder, action.id, action.sealed)
    result = Result(at, action, kept, holds.waivers(hold))
    judged = judge_release(result)
    if isinstance(judged, Refusal):
        return _refuse(action.id, Reason(judged.code, judged.text))
    approval = _hold(core, tx, result, judged).id if judged.effect is Effect.HOLD else ""
    text = judged.typed.text if judged.effect is Effect.MODIFY and judged.typed else kept.output
    release = Release(
        action=action.id,
        effect=judged.effect,
        reasons=judged.reasons,
        output=text if judged.effect.runs else "",
        approval=approval,
    )
    receipt = _record_release(core, tx, result, release, judged)
    _keep(core, tx, action, kept, release)
    return structs.replace(release, receipt=receipt)


def _repeated(core: Core, action: ActionRow, attempt: AttemptRow) -> Release:
    """The same outcome reported twice gets the same answer."""
    if attempt.state != AttemptState.OK or action.state != ActionState.OK:
        return Release(action=action.id, effect=Effect.ALLOW)
    kept = vault.get(core.recorder, action.id, action.sealed)
    effect = Effect(kept.release or Effect.ALLOW)
    reasons = tuple(Reason(ReasonCode(r["code"]), r["text"], r["policy"]) for r in kept.reasons)
    approval = action.approval if effect is Effect.HOLD else ""
    return Release(
        action=action.id, effect=effect, reasons=reasons, output=kept.released, approval=approval
    )


def _refuse(action: str, reason: Reason) -> Release:
    return Release(action=action, effect=Effect.DENY, reasons=(reason,))


def _record(
    core: Core, tx: Tx, at: Standing, attempt: AttemptRow, outcome: Outcome, *, late: bool
) -> Receipt:
    written = core.recorder.write(
        tx,
        LeafKind.OUTCOME,
        at.mission.id,
        at.now,
        ids=at.ids(core, action=attempt.action, attempt=attempt.id),
        body={
            "tool": attempt.tool,
            "kind": outcome.kind,
            "error": outcome.error[:256],
            "late": late,
            "opaque": outcome.opaque,
        },
        fields={"output": outcome.output, "message": outcome.message[:10_000]},
    )
    return Receipt(written.index, written.hash)


def _record_release(
    core: Core, tx: Tx, result: Result, release: Release, judged: Judgement
) -> Receipt:
    written = core.recorder.write(
        tx,
        LeafKind.RELEASE,
        result.at.mission.id,
        result.at.now,
        ids=result.at.ids(core, action=result.action.id, approval=release.approval),
        body={
            "tool": result.action.tool,
            "effect": release.effect,
            "codes": sorted({r.code for r in judged.record}),
            "policies": sorted({r.policy for r in judged.record if r.policy}),
            "shadow": [structs.asdict(s) for s in judged.shadow[:64]],
        },
        fields={"released": release.output},
    )
    return Receipt(written.index, written.hash)
