"""Missions and the agent sessions in them: start, prompt, suspend, resume, close, expire."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, structs

from bridle.engine.case import GovernanceCase
from bridle.governor.approval import ending
from bridle.governor.delegation import offering
from bridle.governor.ground.records import Entry
from bridle.governor.ground.turn import Turn
from bridle.governor.history import closing
from bridle.governor.identity import identities, registrations
from bridle.governor.oversight import humans
from bridle.governor.oversight.humans import Speaker
from bridle.governor.provenance import recording, seeing
from bridle.model.calls import (
    AddPrompt,
    Caller,
    CloseSession,
    MissionVerb,
    Opened,
    OpenSession,
    StartMission,
)
from bridle.model.errors import NotFoundError, RefusedError
from bridle.model.identity import Status
from bridle.model.mission import MissionStatus, MissionTemplate
from bridle.model.record import LeafKind
from bridle.model.verdict import Effect
from bridle.store.rows import MissionRow, RegistrationRow, SessionRow

_NEXT = {
    "suspend": (MissionStatus.ACTIVE, MissionStatus.SUSPENDED),
    "resume": (MissionStatus.SUSPENDED, MissionStatus.ACTIVE),
}


# What only takes authority away.
_LOWERING = ("suspend", "close")


class Act(Struct, frozen=True):
    """One human's act on a mission, for its record."""

    mission: MissionRow
    by: str
    method: str
    trusted: bool = True


def start(turn: Turn, caller: Caller, call: StartMission) -> MissionRow:
    """Start a mission on behalf of a user, if governance permits. The prompt is sealed."""
    said = humans.speaker(turn, caller, call.user)
    return begun(turn, said, call.template, call.prompt)


def begun(
    turn: Turn, said: Speaker, of: str, prompt: str, registration: RegistrationRow | None = None
) -> MissionRow:
    """Start a mission from a template: with a `registration` it is a run of that definition."""
    template = _template(turn, of)
    mission = MissionRow(
        id=turn.id("mis"),
        template=template.id,
        user=said.user,
        status=MissionStatus.ACTIVE,
        started=turn.now,
        expires=turn.now + template.expires_ms,
        started_by=said.user,
        method=said.method,
        prompt_trusted=said.trusted,
        labelled=True,
        vouched=said.trusted,
        imprinted=turn.engine.traces,
        registration=registration.id if registration is not None else "",
    )
    act = Act(mission, said.user, said.method, said.trusted)
    _governed(turn, "start_mission", act)
    turn.tx.put(mission)
    recording.began(turn, mission, template, prompt)
    body = _said(act, {"what": "start", "template": template.id})
    if registration is not None:
        body |= {"pipeline": registration.pipeline, "definition": registration.digest}
    _record(turn, act, body, prompt)
    return mission


def add_prompt(turn: Turn, caller: Caller, call: AddPrompt) -> None:
    """Add what the user said next, authenticated as that user."""
    mission = get(turn, call.mission)
    said = humans.speaker(turn, caller, call.user)
    _assert_running(turn, mission)
    # INVARIANT: a prompt is its user's word only where that very user said all of it. Governance
    # may let others speak, whose word it then is.
    trusted = said.trusted and said.user == mission.user
    act = Act(mission, said.user, said.method, trusted)
    _template(turn, mission.template)  # one that is gone has no governance
    _governed(turn, "add_prompt", act)
    if mission.prompt_trusted and not trusted:
        turn.tx.put(structs.replace(mission, prompt_trusted=False))
    recording.prompted(turn, mission.id, call.prompt, trusted=trusted)
    _record(turn, act, _said(act, {"what": "prompt"}), call.prompt)


def distrust(turn: Turn, caller: Caller, spoken_for: tuple[str, ...]) -> None:
    """Count no longer as the user's own what a workload said in missions: it acts as an agent now.

    Its connection is the one over which it spoke for their users.
    """
    for id_ in spoken_for:
        mission = turn.tx.get(MissionRow, id_)
        if mission is None:
            continue
        # One word that was not its user's own says nothing of the others.
        if recording.distrusted(turn, mission):
            act = Act(mission, "", f"workload:{caller.workload}", trusted=False)
            _record(turn, act, _said(act, {"what": "distrust"}))


def change(turn: Turn, caller: Caller, call: MissionVerb) -> MissionRow:
    """Suspend, resume or close a mission. Closing is final; its sessions only report outcomes.

    Raises `RefusedError` for who may not, and `obligations_open` where something has to be done
    before a mission closes.
    """
    mission = get(turn, call.mission)
    # To leave undone what a policy wants done takes a human's authority, unlike mere stopping.
    lowers = call.verb in _LOWERING and not call.anyway
    who = humans.owner_or_operator(turn, caller, call.as_user, mission, lowers=lowers)
    if call.verb == "close":
        final = mission.status in (MissionStatus.CLOSED, MissionStatus.EXPIRED)
        target = None if final else MissionStatus.CLOSED
    else:
        before, after = _NEXT.get(call.verb, (None, None))
        target = after if mission.status == before else None
    if target is None:
        raise RefusedError(
            f"cannot {call.verb!r} a mission that is {mission.status}", code="mission_state"
        )
    if target is MissionStatus.CLOSED:
        return _close(turn, Act(mission, who, caller.method), anyway=call.anyway)
    mission = structs.replace(mission, status=target, ended=0)
    turn.tx.put(mission)
    _record(turn, Act(mission, who, caller.method), {"what": call.verb})
    return mission


def _close(turn: Turn, act: Act, *, anyway: bool) -> MissionRow:
    found = closing.objections(turn, act.mission)
    if not anyway:
        closing.require_closed(found)
    mission = structs.replace(act.mission, status=MissionStatus.CLOSED, ended=turn.now)
    turn.tx.put(mission)
    _record(turn, structs.replace(act, mission=mission), {"what": "close", **closing.told(found)})
    ending.by_mission(turn, mission.id)
    return mission


def expire(turn: Turn) -> int:
    """Mark missions whose time is over. Decisions check the time themselves; this is on record."""
    rows = [
        row
        for status in (MissionStatus.ACTIVE, MissionStatus.SUSPENDED)
        for row in turn.tx.find(MissionRow, status=status, below=("expires", turn.now + 1))
    ]
    for mission in rows:
        # Time waits for nobody: what is open is put on record.
        found = closing.objections(turn, mission)
        changed = structs.replace(mission, status=MissionStatus.EXPIRED, ended=turn.now)
        turn.tx.put(changed)
        turn.record(
            Entry(
                kind=LeafKind.MISSION,
                chain=mission.id,
                ids={"user": mission.user, "level": turn.level},
                body={"what": "expire", **closing.told(found)},
            )
        )
        ending.by_mission(turn, mission.id)
    return len(rows)


def open_session(turn: Turn, caller: Caller, call: OpenSession) -> Opened:
    """Bind an agent to a mission. Answers the random handle; the store keeps its hash only.

    A session with a key gets the mission's root grant. Raises `RefusedError`, `UsageError`.
    """
    mission = get(turn, call.mission)
    opener = humans.opener(turn, caller, call.as_user, mission)
    if registrations.needs_run(turn, call.agent):
        raise RefusedError(
            f"{call.agent!r} is a pipeline: it decides in runs of its registered definitions only",
            code="definition_unknown",
            hint="the workload that runs it opens them: `Worker.pipeline`",
        )
    return opened(turn, mission, call, opener)


def opened(turn: Turn, mission: MissionRow, call: OpenSession, opener: Speaker) -> Opened:
    """Open a session in a mission, by who may. Raises `RefusedError`, `UsageError`."""
    bundle, template = turn.bundle, _template(turn, mission.template)
    _assert_running(turn, mission)
    if call.agent not in bundle.agents or call.agent not in template.agents:
        raise RefusedError(
            f"agent {call.agent!r} has no part in a {template.id!r} mission",
            code="out_of_mission",
            hint=f"its agents are: {', '.join(template.agents) or 'none'}",
        )
    if call.executor and call.executor not in bundle.workloads:
        raise RefusedError(f"workload {call.executor!r} is not declared", code="unknown_workload")
    assert_active(turn, "agent", call.agent)
    if call.executor:
        assert_active(turn, "workload", call.executor)
    certified = identities.certified(turn, call.agent, call.holder, call.certificate)
    handle = turn.core.handle()
    row = SessionRow(
        id=turn.core.handle_hash(handle),
        mission=mission.id,
        agent=call.agent,
        executor=call.executor,
        opened=turn.now,
        method=opener.method,
        holder=call.holder,
        epoch=turn.globals.epoch,
        jailed=call.jailed,
    )
    if call.holder:
        row = offering.root(turn, row, certified)
    turn.tx.put(row)
    _record(turn, Act(mission, opener.user, opener.method), _of(row, "open_session"))
    return offering.opened(handle, row, turn.core.chains.get(row.grant) if row.grant else None)


def close_session(turn: Turn, caller: Caller, call: CloseSession) -> None:
    """Make a handle worthless. An unknown one already is."""
    row = turn.tx.get(SessionRow, turn.core.handle_hash(call.session))
    if row is None or row.closed:
        return
    # Whoever holds the handle may end it: that takes authority away and gives none. A name that
    # somebody gives for it has to be theirs all the same.
    who = call.as_user or caller.user
    by = humans.name(turn, caller, who, lowers=True) if who else ""
    turn.tx.put(structs.replace(row, closed=turn.now))
    act = Act(get(turn, row.mission), by, caller.method)
    _record(turn, act, _of(row, "close_session"))


def get(turn: Turn, mission: str) -> MissionRow:
    """Return a mission or say that there is none."""
    row = turn.tx.get(MissionRow, mission)
    if row is None:
        raise NotFoundError(f"no mission {mission!r}", hint="`bridle missions list` shows them")
    return row


def _said(act: Act, body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "trusted": act.trusted}


def _of(row: SessionRow, what: str) -> dict[str, Any]:
    jailed = {"jailed": True} if row.jailed else {}
    return {
        "what": what,
        "agent": row.agent,
        "executor": row.executor,
        "session": row.id[:16],
        **jailed,
    }


def _template(turn: Turn, name: str) -> MissionTemplate:
    templates = turn.bundle.missions
    template = templates.get(name)
    if template is None:
        known = ", ".join(sorted(templates)) or "none"
        raise NotFoundError(f"no mission template {name!r}", hint=f"the bundle declares: {known}")
    return template


def _assert_running(turn: Turn, mission: MissionRow) -> None:
    if mission.status != MissionStatus.ACTIVE or mission.expires <= turn.now:
        status = mission.status if mission.status != MissionStatus.ACTIVE else "over"
        raise RefusedError(f"the mission is {status}", code="mission_not_active")


def assert_active(turn: Turn, kind: str, name: str) -> None:
    """Refuse an identity that is suspended or retired."""
    status = turn.status(kind, name)
    if status is not Status.ACTIVE:
        raise RefusedError(f"{kind} {name!r} is {status}", code="suspended")


def _governed(turn: Turn, action: str, act: Act) -> None:
    view = seeing.view(turn.bundle, act.mission)
    case = GovernanceCase(action=action, user=act.by, mission=view, now=turn.now)
    judged = turn.engine.governance(case)
    if judged.effect is not Effect.ALLOW:
        text = "; ".join(r.text or r.code.value for r in judged.reasons) or "not permitted"
        raise RefusedError(
            f"governance refuses {action} for {act.by!r}: {text}",
            code="governance_denied",
            hint="see governance/ in the bundle",
        )


def _record(turn: Turn, act: Act, body: dict[str, Any], prompt: str = "") -> None:
    turn.record(
        Entry(
            kind=LeafKind.MISSION,
            chain=act.mission.id,
            ids={
                "user": act.mission.user,
                "by": act.by,
                "method": act.method,
                "level": turn.level,
            },
            body=body,
            fields={"prompt": prompt},
        )
    )
