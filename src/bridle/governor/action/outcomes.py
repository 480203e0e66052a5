"""What came of an attempt: settle it, its action and its budgets (step 11)."""

from __future__ import annotations

from functools import partial

from msgspec import structs

from bridle.engine.case import Typed
from bridle.governor.action import attempts, budgets, holds, releases, repeats, rulings, use
from bridle.governor.action.standing import NotRelaxedError, Standing, find, may_relax
from bridle.governor.ground import clear, vault
from bridle.governor.ground.records import Entry
from bridle.governor.ground.turn import Turn
from bridle.governor.history import telling
from bridle.governor.identity import executors
from bridle.governor.provenance import recording
from bridle.model.action import ActionState, AttemptState
from bridle.model.calls import Observe
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.reason import Reason, ReasonCode
from bridle.model.record import LeafKind
from bridle.model.tool import Tool
from bridle.model.verdict import Effect, Receipt, Release
from bridle.store.rows import ActionRow, AttemptRow

_LONGEST_MESSAGE = 10_000


def observe(turn: Turn, call: Observe) -> Release:
    """Settle an attempt by its outcome, and judge the release of its result.

    Raises `NotRelaxedError` if the turn's commit is less than what the bundle in force demands.
    """
    at = find(turn, call.session)
    if isinstance(at, Reason):
        return releases.refused("", at)
    attempt = turn.tx.get(AttemptRow, call.attempt) if clear.is_text(call.attempt) else None
    action = turn.tx.get(ActionRow, attempt.action) if attempt is not None else None
    if attempt is None or action is None or not at.executes(attempt):
        text = "this attempt was not started in this session"
        return releases.refused("", Reason(ReasonCode.NOT_DECIDED, text))
    if turn.durability == "relaxed" and not may_relax(at.bundle, attempt.tool):
        raise NotRelaxedError
    if executors.unproven(turn, at.executor) is not None:
        call = _hearsay(call)
    at = at.serving(attempt.requester)
    outcome = _readable(at, call.outcome)
    if attempt.contradicted:
        return _contradicted(at, action, attempt, outcome)
    if attempt.state not in (AttemptState.STARTED, AttemptState.UNKNOWN):
        return _again(at, action, attempt, outcome)
    release = _settle(at, action, attempt, outcome, call.used)
    # Of a failure there is no more than whether it was reached.
    held_here = at.performing and outcome.kind is OutcomeKind.OK
    return _told(at, action, release) if held_here else release


def _told(at: Standing, action: ActionRow, release: Release) -> Release:
    """Withhold, for now, what the governor's side holds and an agent is not to hear any more."""
    # INVARIANT: I4, I5 — as for whoever asks again: a run that was revoked meanwhile is told
    # nothing. What came of it is kept, as it was judged.
    if not release.effect.runs:
        return release
    kept = at.turn.unseal(action.mission, action.id, action.sealed)
    typed = at.engine.normalise(action.tool, kept.args)
    stop = repeats.withheld(at, action.tool, typed if isinstance(typed, Typed) else None)
    if stop is None:
        return release
    return structs.replace(releases.refused(action.id, stop), receipt=release.receipt)


def _hearsay(call: Observe) -> Observe:
    """What somebody says who has not proved to be the workload that carried it out."""
    # INVARIANT: I9 — a stolen handle gives back no budget and has nothing run a second time.
    if call.outcome.kind is not OutcomeKind.OK:
        call = structs.replace(call, outcome=Outcome(OutcomeKind.UNKNOWN))
    return structs.replace(call, used={})


def _readable(at: Standing, outcome: Outcome) -> Outcome:
    """What is no text, or larger than any result may be, is a result that cannot be read."""
    limit = at.bundle.manifest.limits.result_bytes
    if not clear.is_text(outcome.output):
        return structs.replace(outcome, output="", opaque=True)
    # One character too many is kept, so that the release is refused for its size.
    return structs.replace(outcome, output=outcome.output[: limit + 1])


def _settle(
    at: Standing,
    action: ActionRow,
    attempt: AttemptRow,
    outcome: Outcome,
    reported: dict[str, str],
) -> Release:
    late = attempt.state == AttemptState.UNKNOWN or attempts.lapsed(at.turn, attempt)
    tool, before = at.bundle.tools.get(attempt.tool), action.charged
    attempt = _ended(at.turn, attempt, outcome, tool, late=late)
    action = _charged(at.turn, action, attempt, tool)
    action, told = use.counted(at, action, attempt, reported)
    amounts = {"returned": budgets.difference(before, action.charged)}
    if outcome.kind is not OutcomeKind.OK:
        recording.failed(at.turn, attempt, outcome)
    # Called once all rows are put, so that the record speaks for them.
    record = partial(_end, at, attempt, outcome, {"late": late, **told}, amounts)
    if action.attempt != attempt.id:
        reason = Reason(ReasonCode.ALREADY_STARTED, "a newer attempt has replaced this one")
        return structs.replace(releases.refused(action.id, reason), receipt=record())
    if outcome.kind is OutcomeKind.OK:
        return releases.first(at, action, outcome, record)
    _conclude(at.turn, action, attempt)
    return releases.of_failure(at, action, outcome, record())


def _ended(
    turn: Turn, attempt: AttemptRow, outcome: Outcome, tool: Tool | None, *, late: bool
) -> AttemptRow:
    attempt = structs.replace(
        attempt,
        state=outcome.kind.value,
        ended=turn.now,
        error=_code(outcome, tool),
        late=late,
        contradicted=False,
    )
    turn.tx.put(attempt)
    return attempt


def _code(outcome: Outcome, tool: Tool | None) -> str:
    """The error's code, as far as it is one: declared by the tool, or short and free of prose."""
    if tool is not None and outcome.error in tool.no_effect:
        return outcome.error
    return clear.token(outcome.error)


def _charged(turn: Turn, action: ActionRow, attempt: AttemptRow, tool: Tool | None) -> ActionRow:
    """What the end of an attempt means for what its action has paid."""
    if action.attempt != attempt.id:
        return _relieved(turn, action, tool)
    if not attempts.harmless(attempt, tool):
        return structs.replace(action, settled=True)
    # What an earlier attempt may have used up stays used up.
    settled = bool(attempts.in_doubt(turn, action, tool))
    return attempts.refund(turn, structs.replace(action, settled=settled))


def _relieved(turn: Turn, action: ActionRow, tool: Tool | None) -> ActionRow:
    relieved = attempts.relieve(turn, action, tool)
    if relieved != action:
        turn.tx.put(relieved)
    return relieved


def _conclude(turn: Turn, action: ActionRow, attempt: AttemptRow) -> None:
    """The last attempt of an action, whose books are settled, ended in something else than `ok`."""
    tool = turn.bundle.tools.get(attempt.tool)
    if attempts.harmless(attempt, tool) and action.state == ActionState.HELD:
        holds.withdraw(turn, action.approval)
        action = structs.replace(action, state=ActionState.ENDED)
    # A verdict that waits for its start was made without knowing this: it has to be made again.
    # What waits for a human, or was refused, stays so.
    if action.state == ActionState.DECIDED:
        attempts.never_started(turn, action, {})
    if action.state in (ActionState.STARTED, ActionState.DECIDED):
        action = structs.replace(action, state=ActionState.ENDED, lapses=0)
    turn.tx.put(structs.replace(action, last_error=attempt.error))


def _again(at: Standing, action: ActionRow, attempt: AttemptRow, outcome: Outcome) -> Release:
    """An outcome was reported before: the same gets the same answer, another is doubt."""
    if attempt.state != outcome.kind.value:
        return _contradicted(at, action, attempt, outcome)
    if outcome.kind is not OutcomeKind.OK:
        return releases.of_failure(at, action, outcome)
    if action.attempt != attempt.id or action.state != ActionState.OK:
        reason = Reason(ReasonCode.ALREADY_STARTED, "a newer attempt has replaced this one")
        return releases.refused(action.id, reason)
    return releases.stored(at, action, outcome)


def _contradicted(
    at: Standing, action: ActionRow, attempt: AttemptRow, outcome: Outcome
) -> Release:
    # INVARIANT: I2, I4 — two reports that differ are no proof of anything, and no third one is.
    # Nothing is released, and an attempt that was thought to have had no effect is in doubt until a
    # human says how it ended.
    charged: dict[str, int] = {}
    more: dict[str, object] = {"contradicts": attempt.state}
    if attempt.state != AttemptState.OK and not attempt.contradicted:
        at.turn.tx.put(
            structs.replace(attempt, state=AttemptState.UNKNOWN, late=True, contradicted=True)
        )
        if action.state == ActionState.DECIDED:
            # The verdict that waits for its start was made without this doubt.
            action = attempts.forget(at.turn, action)
        doubted = attempts.recharge(at.turn, action)
        charged = budgets.difference(doubted.charged, action.charged)
        doubted = structs.replace(doubted, requests=doubted.requests + 1)
        at.turn.tx.put(doubted)
        telling.counted_again(at.turn, doubted)
        more |= {"request": doubted.requests, "of": attempt.request}
    receipt = _record(at, attempt, outcome, more, {"charged": charged})
    reason = Reason(ReasonCode.NEEDS_HUMAN, "this attempt was reported before, and otherwise")
    return structs.replace(releases.refused(action.id, reason), receipt=receipt)


def settle_by_human(turn: Turn, attempt: AttemptRow, outcome: Outcome, ids: dict[str, str]) -> None:
    """A human says how an unknown attempt ended; no result is released by it."""
    tool = turn.bundle.tools.get(attempt.tool)
    # Before what it ran with is let go of.
    deed = telling.attempted(turn, attempt)
    attempt = _ended(turn, attempt, outcome, tool, late=True)
    action, returned = turn.tx.get(ActionRow, attempt.action), dict[str, int]()
    if action is not None:
        charged = _charged(turn, action, attempt, tool)
        returned = budgets.difference(action.charged, charged.charged)
        if action.attempt == attempt.id and outcome.kind is OutcomeKind.OK:
            _done_by_word(turn, charged)
        elif action.attempt == attempt.id:
            _conclude(turn, charged, attempt)
    telling.of_outcome(turn, deed, structs.replace(outcome, opaque=True), attempt.error)
    turn.record(
        Entry(
            kind=LeafKind.OUTCOME,
            chain=attempt.mission,
            ids={"action": attempt.action, "attempt": attempt.id, "agent": attempt.agent, **ids},
            body={
                "tool": attempt.tool,
                "kind": outcome.kind,
                "error": attempt.error,
                "by_human": True,
                "request": attempt.request,
            },
            fields={"message": rulings.bounded(outcome.message, _LONGEST_MESSAGE)},
            amounts={"returned": returned},
        )
    )


def _done_by_word(turn: Turn, action: ActionRow) -> None:
    reason = Reason(ReasonCode.RESULT_OPAQUE, "a human settled it; there is no result to show")
    kept = vault.Kept(release=Effect.DENY.value, reasons=[structs.asdict(reason)])
    if action.state == ActionState.HELD:
        holds.withdraw(turn, action.approval)
    sealed = turn.seal(action.mission, action.id, kept)
    turn.tx.put(structs.replace(action, state=ActionState.OK, settled=True, sealed=sealed))


def _end(
    at: Standing,
    attempt: AttemptRow,
    outcome: Outcome,
    more: dict[str, object],
    amounts: dict[str, dict[str, int]],
) -> Receipt:
    """Record how an attempt ended, in its mission's log and in history."""
    deed = telling.attempted(at.turn, attempt)
    telling.of_outcome(at.turn, deed, outcome, attempt.error)
    return _record(at, attempt, outcome, {"request": attempt.request, **more}, amounts)


def _record(
    at: Standing,
    attempt: AttemptRow,
    outcome: Outcome,
    more: dict[str, object],
    amounts: dict[str, dict[str, int]],
) -> Receipt:
    code = _code(outcome, at.bundle.tools.get(attempt.tool))
    fields = {
        "output": rulings.bounded(outcome.output),
        "message": rulings.bounded(outcome.message, _LONGEST_MESSAGE),
    }
    if code != outcome.error:
        fields["error"] = rulings.bounded(outcome.error, _LONGEST_MESSAGE)
    written = at.turn.record(
        Entry(
            kind=LeafKind.OUTCOME,
            chain=at.mission.id,
            ids=at.ids(action=attempt.action, attempt=attempt.id),
            body={
                "tool": attempt.tool,
                "kind": outcome.kind,
                "error": code,
                "opaque": outcome.opaque,
                "durability": at.turn.durability,
                **more,
            },
            fields=fields,
            amounts=amounts,
        )
    )
    return Receipt(written.index, written.hash, at.turn.durability)
