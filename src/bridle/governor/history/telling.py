"""Tells history what became of an action: requested, held, denied, answered, failed.

Each of these is told of by a record, right before it is written; the record names the request, so
that the same events can be read back from the ledger (see `backfill`).
"""

from __future__ import annotations

from msgspec import Struct

from bridle.engine.case import Case, MissionView, Typed
from bridle.engine.temporal.event import Event
from bridle.engine.temporal.occurrence import NAMESPACE
from bridle.governor.delegation import lineage
from bridle.governor.ground.turn import Turn
from bridle.governor.history import asking, entries
from bridle.governor.history.whose import Whose
from bridle.model.event import EventKind
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.reason import Reason, ReasonCode
from bridle.model.verdict import Effect
from bridle.store.rows import ActionRow, AttemptRow, MissionRow

DENIED, NOT_STARTED, CONTRADICTED, ERROR = "denied", "not_started", "contradicted", "error"

_OWN = (DENIED, NOT_STARTED, CONTRADICTED, OutcomeKind.UNKNOWN.value)

NOTHING = Typed(text="{}", value={}, digest="")
"""Arguments that cannot be read any more, or were erased."""


class Deed(Struct, frozen=True, kw_only=True):
    """One request of an action: which, by whom, with which final arguments.

    `line` are the agents that the task came through, `requesters` those on whose behalf it is done.
    """

    action: str
    request: int
    tool: str
    agent: str
    mission: MissionRow
    typed: Typed
    executor: str = ""
    line: str = ""
    requesters: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """What events of this request have in common."""
        return request_id(self.action, self.request)

    @property
    def whose(self) -> Whose:
        """Whose history its events enter."""
        # INVARIANT: I5 — what an agent has others do for it counts as its own as well.
        agents = lineage.agents(self.line, self.agent)
        return Whose(self.mission.id, self.mission.user, (*self.requesters, *agents))


def request_id(action: str, request: int) -> str:
    """Return the `requestId` of an action's events.

    An action that is asked for again once it has ended is another request: what ended as
    `not_started` or `denied` would otherwise be subtracted from what then runs.
    """
    return f"{action}.{request}" if action else ""


def has_history(turn: Turn) -> bool:
    """Whether any policy in force looks back."""
    return bool(turn.engine.programs)


def admission(turn: Turn, deed: Deed) -> Reason | None:
    """Say why an action is not judged: its mission has used up its share of some history."""
    if not has_history(turn):
        return None
    event = event_of(turn, deed, EventKind.REQUEST)
    # INVARIANT: nothing is ever forgotten to make room. Whoever fills a history denies itself.
    if asking.has_room(turn, event, deed.whose):
        return None
    text = "this mission has used up its share of the history that rules look back on"
    return Reason(ReasonCode.LIMIT_EXCEEDED, text)


def of_verdict(turn: Turn, deed: Deed, effect: Effect) -> dict[str, int]:
    """Add what a verdict is in history. Returns where the request (or hold) came to stand."""
    if not has_history(turn):
        return {}
    kind = EventKind.HELD if effect is Effect.HOLD else EventKind.REQUEST
    at = entries.add(turn, event_of(turn, deed, kind), deed.whose)
    if effect is Effect.DENY:
        failed(turn, deed, DENIED)
    return at


def failed(turn: Turn, deed: Deed, code: str) -> None:
    """Add the error that a request ended in."""
    entries.add(turn, event_of(turn, deed, EventKind.ERROR, error=code), deed.whose)


def attempted(turn: Turn, attempt: AttemptRow) -> Deed | None:
    """Return the request that an attempt is a start of, if anybody looks back on it."""
    if not has_history(turn):
        return None
    return _of_row(turn, attempt, attempt.action, attempt.request)


def of_outcome(turn: Turn, deed: Deed | None, outcome: Outcome, code: str) -> None:
    """Add how an attempt ended. `code` is that of its error, as the record has it."""
    if deed is None:
        return
    if outcome.kind is OutcomeKind.OK:
        result = output_of(turn, deed.tool, outcome)
        event = event_of(turn, deed, EventKind.RESPONSE, output=result)
        entries.add(turn, event, deed.whose)
    else:
        failed(turn, deed, code_of(outcome.kind, code))


def never_started(turn: Turn, action: ActionRow) -> None:
    """Add that what was decided was not started."""
    _ended(turn, action, action.id, action.requests, NOT_STARTED)


def unknown(turn: Turn, attempt: AttemptRow) -> None:
    """Add that nobody knows how an attempt ended."""
    _ended(turn, attempt, attempt.action, attempt.request, OutcomeKind.UNKNOWN)


def counted_again(turn: Turn, action: ActionRow) -> None:
    """Add a request once more whose end was reported in two ways, so that it counts."""
    # INVARIANT: I2 — who takes back that nothing happened gains nothing by having said so.
    deed = _of_row(turn, action, action.id, action.requests) if has_history(turn) else None
    if deed is not None:
        entries.add(turn, event_of(turn, deed, EventKind.REQUEST), deed.whose)
        failed(turn, deed, CONTRADICTED)


def code_of(kind: str, error: str) -> str:
    """Return the `error.code` of an attempt that did not end `ok`."""
    if kind in (OutcomeKind.NOT_STARTED, OutcomeKind.UNKNOWN):
        return str(kind)
    # INVARIANT: limits count what these codes do not name, so nobody reports one of them: what
    # ended in an error may have had its effect.
    return ERROR if error in _OWN else error or ERROR


def event_of(
    turn: Turn, deed: Deed, kind: EventKind, *, output: Typed | None = None, error: str = ""
) -> Event:
    """Return an event of a request, as policies see it."""
    return event_in(turn, case_of(turn, deed), kind, output=output, error=error)


def event_in(
    turn: Turn, case: Case, kind: EventKind, *, output: Typed | None = None, error: str = ""
) -> Event:
    """Return an event of an action, as the bundle in force describes its tool."""
    if case.tool not in turn.engine.bundle.tools:
        return _bare(turn, case, kind, error)
    return turn.engine.event(case, kind, turn.core.atoms, output=output, error=error)


def case_of(turn: Turn, deed: Deed) -> Case:
    """Return what the engine needs to know of a request."""
    return Case(
        tool=deed.tool,
        typed=deed.typed,
        agent=deed.agent,
        user=deed.mission.user,
        mission=MissionView(deed.mission.id, deed.mission.template),
        now=turn.now,
        executor=deed.executor,
        chain=lineage.agents(deed.line, deed.agent)[:-1],
        requesters=deed.requesters,
        id=deed.id,
    )


def output_of(turn: Turn, tool: str, outcome: Outcome) -> Typed | None:
    """Return a result as far as policies can see it."""
    if outcome.opaque or tool not in turn.engine.bundle.tools:
        return None
    # INVARIANT: I2 — a result that does not fit its schema reaches the agent all the same, so what
    # rules look for in it is seen.
    return turn.engine.result_parts(tool, outcome.output or "null")


def _bare(turn: Turn, case: Case, kind: EventKind, error: str) -> Event:
    """Return an event of a tool that is gone: only `previous`, and who asked, can still see it."""
    atoms = turn.core.atoms
    fields = {
        "requestId": atoms.text(case.id),
        "callerPrincipal": atoms.entity("Agent", case.agent),
    }
    if kind is EventKind.ERROR:
        fields["error.code"] = atoms.text(error)
    return Event(case.now, (NAMESPACE, case.tool), kind.value, fields, case.mission.id)


def _ended(turn: Turn, row: ActionRow | AttemptRow, action: str, request: int, code: str) -> None:
    deed = _of_row(turn, row, action, request) if has_history(turn) else None
    if deed is not None:
        failed(turn, deed, code)


def _of_row(turn: Turn, row: ActionRow | AttemptRow, action: str, request: int) -> Deed | None:
    mission = turn.tx.get(MissionRow, row.mission)
    if mission is None:
        return None
    return Deed(
        action=action,
        request=request,
        tool=row.tool,
        agent=row.agent,
        mission=mission,
        typed=_executed(turn, row, action),
        executor=row.executor,
        line=row.line,
        requesters=lineage.served(turn, row.requester),
    )


def _executed(turn: Turn, row: ActionRow | AttemptRow, action: str) -> Typed:
    """Return the arguments that an action was let run with."""
    found = row if isinstance(row, ActionRow) else turn.tx.get(ActionRow, action)
    if found is None or row.tool not in turn.engine.bundle.tools:
        return NOTHING
    args = turn.unseal(found.mission, found.id, found.sealed).args
    typed = turn.engine.normalise(row.tool, args) if args else NOTHING
    return typed if isinstance(typed, Typed) else NOTHING
