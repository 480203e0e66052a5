"""Whether, and as what, a result may reach the agent: at once, or once a human has approved it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct, structs

from bridle.engine.case import Judgement, Refusal
from bridle.governor.action import holds
from bridle.governor.action.standing import Standing, obstacle
from bridle.governor.delegation import authority, deputies
from bridle.governor.ground import vault
from bridle.governor.ground.records import Entry
from bridle.governor.provenance import recording
from bridle.model.action import ActionState
from bridle.model.outcome import Outcome
from bridle.model.reason import Reason, ReasonCode
from bridle.model.record import LeafKind
from bridle.model.verdict import Effect, Receipt, Release
from bridle.store.rows import ActionRow, HoldRow

ERASED = Reason(ReasonCode.ERASED, "what was asked here, and what came of it, has been erased")


class Result(Struct, frozen=True):
    """A result on its way to the agent, with the approval that may let it pass."""

    at: Standing
    action: ActionRow
    kept: vault.Kept
    approval: HoldRow | None = None


def first(
    at: Standing, action: ActionRow, outcome: Outcome, record: Callable[[], Receipt]
) -> Release:
    """Judge the result of an action that has just ended `ok`, and keep it with its judgement.

    `record` writes the outcome's own record.
    """
    kept = structs.replace(
        at.turn.unseal(action.mission, action.id, action.sealed),
        output=outcome.output,
        opaque=outcome.opaque,
    )
    if action.state == ActionState.HELD:
        holds.withdraw(at.turn, action.approval)
    result = Result(at, action, kept)
    judged = _judge(result)
    release = _release(result, judged)
    _keep(result, release)
    _read(result, release)
    release = structs.replace(release, receipt=record())
    if judged.objected or judged.effect is not Effect.ALLOW or judged.shadow:
        _record(result, release, judged)
    return release


def of_failure(
    at: Standing, action: ActionRow, outcome: Outcome, receipt: Receipt | None = None
) -> Release:
    """Judge what an effect that did not end `ok` still says: its text reaches the agent as well."""
    plain = Release(action=action.id, effect=Effect.ALLOW, receipt=receipt)
    if not outcome.output and not outcome.opaque:
        return plain
    kept = structs.replace(
        at.turn.unseal(action.mission, action.id, action.sealed),
        output=outcome.output,
        opaque=outcome.opaque,
    )
    result = Result(at, action, kept)
    judged = _judge(result)
    if judged.effect is Effect.HOLD:
        # What failed is not kept, so there is nothing that an approval could release later.
        judged = structs.replace(judged, effect=Effect.DENY)
    release = structs.replace(_release(result, judged), receipt=receipt)
    if judged.objected or judged.effect is not Effect.ALLOW or judged.shadow:
        _record(result, release, judged)
    return release


def redeem(at: Standing, action: ActionRow, hold: HoldRow) -> Release:
    """Release a stored result after its approval: judged again, now, with what that lifts."""
    stop = obstacle(at, action.tool) or _ungranted(at, action)
    if stop is not None:
        return refused(action.id, stop)
    void = hold.status == holds.VOID or holds.void_reason(at.turn, hold) is not None
    holds.close(at.turn, hold, holds.VOID if void else holds.USED)
    kept = at.turn.unseal(action.mission, action.id, action.sealed)
    # Without a valid approval the result is simply judged anew; what still objects holds it again.
    result = Result(at, action, kept, None if void else hold)
    judged = _judge(result)
    release = _release(result, judged)
    if judged.effect is Effect.ALLOW:
        release = structs.replace(release, output=kept.output)
    _keep(result, release)
    _read(result, release)
    receipt = _record(result, release, judged)
    return structs.replace(release, receipt=receipt)


def _ungranted(at: Standing, action: ActionRow) -> Reason | None:
    """Say why this session's grants do not reach what the result came of."""
    if not (at.session.grant or at.requester):
        return None
    kept = at.turn.unseal(action.mission, action.id, action.sealed)
    typed = at.engine.normalise(action.tool, kept.args)
    if isinstance(typed, Refusal):
        return Reason(typed.code, typed.text)
    return authority.permits(at, action.tool, typed) or deputies.permits(at, action.tool, typed)


def stored(at: Standing, action: ActionRow, outcome: Outcome) -> Release:
    """The same result reported twice gets the same answer; another one gets none."""
    if is_erased(action):
        return refused(action.id, ERASED)
    kept = at.turn.unseal(action.mission, action.id, action.sealed)
    if (outcome.output, outcome.opaque) != (kept.output, kept.opaque) and kept.release != "deny":
        text = "this attempt's result was reported before, and is another one"
        return refused(action.id, Reason(ReasonCode.NEEDS_HUMAN, text))
    effect = Effect(kept.release or Effect.ALLOW)
    return Release(
        action=action.id,
        effect=effect,
        reasons=tuple(holds.reason_of(r) for r in kept.reasons),
        output=kept.released or (kept.output if kept.judged else "") if effect.runs else "",
        approval=action.approval if effect is Effect.HOLD else "",
    )


def is_erased(action: ActionRow) -> bool:
    """Whether what an action was asked with, and what came of it, has been erased."""
    return not action.requested


def refused(action: str, reason: Reason) -> Release:
    """A result that is withheld, with the reason."""
    return Release(action=action, effect=Effect.DENY, reasons=(reason,))


def _judge(result: Result) -> Judgement:
    found = _judged(result)
    if isinstance(found, Judgement):
        return found
    reasons = (Reason(found.code, found.text),)
    return Judgement(effect=Effect.DENY, reasons=reasons, record=reasons)


def _judged(result: Result) -> Judgement | Refusal:
    at, action, kept = result.at, result.action, result.kept
    if len(kept.output.encode()) > at.bundle.manifest.limits.result_bytes:
        return Refusal(ReasonCode.LIMIT_EXCEEDED, "the result is larger than the bundle allows")
    if action.tool not in at.bundle.tools:
        return Refusal(ReasonCode.UNKNOWN_TOOL, "the bundle in force does not know this tool")
    if not at.engine.has_release_rules(action.tool):
        return Judgement(effect=Effect.ALLOW)
    if kept.opaque:
        text = "a release policy applies, and the result cannot be read"
        return Refusal(ReasonCode.RESULT_OPAQUE, text)
    typed = at.engine.normalise(action.tool, kept.args)
    if isinstance(typed, Refusal):
        return typed
    case = at.case(action.tool, typed, holds.waivers(result.approval))
    return at.engine.release(case, kept.output or "null")


def _release(result: Result, judged: Judgement) -> Release:
    approval = _hold(result, judged).id if judged.effect is Effect.HOLD else ""
    # INVARIANT: I3 — where a rule has judged the result, what was judged is what is released. The
    # object it was made from may say more than its JSON.
    judged_text = judged.typed.text if judged.effect.runs and judged.typed is not None else ""
    return Release(
        action=result.action.id,
        effect=judged.effect,
        reasons=judged.reasons,
        output=judged_text,
        approval=approval,
    )


def _hold(result: Result, judged: Judgement) -> HoldRow:
    at, action = result.at, result.action
    wanted = holds.Wanted(
        key=at.turn.core.keyed(f"{holds.RESULT}|{action.id}"),
        subject=holds.RESULT,
        action=action.id,
        tool=action.tool,
        digest=at.turn.core.keyed(f"{action.id}|{result.kept.output}"),
        judged=holds.together(judged, result.approval),
        sealed=at.turn.seal(action.mission, action.id, result.kept),
    )
    return holds.open_hold(at, wanted)


def _keep(result: Result, release: Release) -> None:
    turn, action = result.at.turn, result.action
    kept = structs.replace(
        result.kept,
        release=release.effect.value,
        released=release.output if release.effect is Effect.MODIFY else "",
        judged=bool(release.output),
        reasons=[structs.asdict(r) for r in release.reasons],
    )
    turn.tx.put(
        structs.replace(
            action,
            state=ActionState.OK,
            settled=True,
            lapses=0,
            approval=release.approval,
            sealed=turn.seal(action.mission, action.id, kept),
        )
    )


def _read(result: Result, release: Release) -> None:
    """Put on record what the agents of the mission are given, as it is given to them."""
    if release.effect.runs:
        text, at = release.output or result.kept.output, result.at
        opaque = result.kept.opaque and not release.output
        recording.returned(at.turn, result.action, text, opaque=opaque)


def _record(result: Result, release: Release, judged: Judgement) -> Receipt:
    more = {"action": result.action.id}
    approval = release.approval or (result.approval.id if result.approval is not None else "")
    if approval:
        more["approval"] = approval
    body: dict[str, Any] = {
        "tool": result.action.tool,
        "effect": release.effect,
        "codes": sorted({r.code for r in judged.record}),
        "policies": sorted({r.policy for r in judged.record if r.policy}),
    }
    if judged.shadow:
        body["shadow"] = [structs.asdict(s) for s in judged.shadow]
    written = result.at.turn.record(
        Entry(
            kind=LeafKind.RELEASE,
            chain=result.at.mission.id,
            ids=result.at.ids(**more),
            body=body,
            fields={"released": release.output},
        )
    )
    return Receipt(written.index, written.hash, result.at.turn.durability)
