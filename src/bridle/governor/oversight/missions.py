"""Missions and the agent sessions in them: start, prompt, suspend, resume, close, expire."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from bridle.bundle.bundle import Bundle
from bridle.engine.case import GovernanceCase, MissionView
from bridle.governor.action import budgets
from bridle.governor.action.standing import in_scope
from bridle.governor.ground.core import Core
from bridle.governor.oversight import humans
from bridle.model.action import AttemptState
from bridle.model.calls import (
    AddPrompt,
    Caller,
    CloseSession,
    Missions,
    MissionVerb,
    OpenSession,
    StartMission,
)
from bridle.model.errors import NotFoundError, RefusedError
from bridle.model.identity import Status
from bridle.model.mission import MissionStatus, MissionTemplate
from bridle.model.record import LeafKind
from bridle.model.verdict import Effect
from bridle.store.base import Tx
from bridle.store.rows import AttemptRow, HoldRow, IdentityRow, MissionRow, SessionRow

_NEXT = {
    "suspend": (MissionStatus.ACTIVE, MissionStatus.SUSPENDED),
    "resume": (MissionStatus.SUSPENDED, MissionStatus.ACTIVE),
}


def start(core: Core, tx: Tx, caller: Caller, call: StartMission) -> MissionRow:
    """Start a mission on behalf of a user, if governance permits. The prompt is sealed in its record."""
    state = core.globals(tx)
    engine = core.engine(tx, state.active)
    template = _template(engine.bundle, call.template)
    user = humans.name(tx, engine.bundle, caller, call.user)
    now = core.clock.now()
    mission = MissionRow(
        id=core.id("mis"),
        template=template.id,
        user=user,
        status=MissionStatus.ACTIVE,
        started=now,
        expires=now + template.expires_ms,
        started_by=user,
        method=caller.method,
    )
    _governed(core, tx, "start_mission", mission, template, user)
    tx.put(mission)
    _record(
        core, tx, mission, caller, {"what": "start", "template": template.id}, user, call.prompt
    )
    return mission


def add_prompt(core: Core, tx: Tx, caller: Caller, call: AddPrompt) -> None:
    """Add what the user said next, authenticated as that user."""
    mission = get(tx, call.mission)
    engine = core.engine(tx, core.globals(tx).active)
    user = humans.name(tx, engine.bundle, caller, call.user)
    if mission.status != MissionStatus.ACTIVE:
        raise RefusedError(f"the mission is {mission.status}", code="mission_not_active")
    _governed(core, tx, "add_prompt", mission, _template(engine.bundle, mission.template), user)
    _record(core, tx, mission, caller, {"what": "prompt"}, user, call.prompt)


def change(core: Core, tx: Tx, caller: Caller, call: MissionVerb) -> MissionRow:
    """Suspend, resume or close a mission. Closing is final and closes its sessions."""
    mission = get(tx, call.mission)
    bundle = core.engine(tx, core.globals(tx).active).bundle
    who = humans.name(tx, bundle, caller, call.as_user or mission.user)
    if call.verb == "close":
        final = mission.status in (MissionStatus.CLOSED, MissionStatus.EXPIRED)
        target = None if final else MissionStatus.CLOSED
    else:
        before, after = _NEXT.get(call.verb, (None, None))
        target = after if mission.status == before else None
    if target is None:
        raise RefusedError(
            f"cannot {call.verb} a mission that is {mission.status}", code="mission_state"
        )
    now = core.clock.now()
    ended = now if target is MissionStatus.CLOSED else 0
    mission = structs.replace(mission, status=target, ended=ended)
    tx.put(mission)
    _record(core, tx, mission, caller, {"what": call.verb}, who)
    return mission


def expire(core: Core, tx: Tx, now: int) -> int:
    """Mark missions whose time is over. Decisions check the time themselves; this is for the record."""
    rows = tx.find(MissionRow, status=MissionStatus.ACTIVE, below=("expires", now + 1))
    for mission in rows:
        changed = structs.replace(mission, status=MissionStatus.EXPIRED, ended=now)
        tx.put(changed)
        core.recorder.write(
            tx,
            LeafKind.MISSION,
            mission.id,
            now,
            ids={"user": mission.user, "level": core.level},
            body={"what": "expire"},
        )
    return len(rows)


def open_session(core: Core, tx: Tx, caller: Caller, call: OpenSession) -> str:
    """Bind an agent to a mission. Returns the random handle; the store keeps its hash only."""
    mission = get(tx, call.mission)
    bundle = core.engine(tx, core.globals(tx).active).bundle
    humans.name(tx, bundle, caller, call.as_user or mission.user)
    template = _template(bundle, mission.template)
    if mission.status != MissionStatus.ACTIVE or mission.expires <= core.clock.now():
        raise RefusedError(f"the mission is {mission.status} or over", code="mission_not_active")
    if call.agent not in bundle.agents or call.agent not in template.agents:
        raise RefusedError(
            f"agent {call.agent!r} has no part in a {template.id!r} mission",
            code="out_of_mission",
            hint=f"its agents are: {', '.join(template.agents) or 'none'}",
        )
    if call.executor and call.executor not in bundle.workloads:
        raise RefusedError(f"workload {call.executor!r} is not declared", code="unknown_workload")
    _active(tx, "agent", call.agent)
    handle = "ses_" + core.chance.draw(32).hex()
    row = SessionRow(
        id=core.handle_hash(handle),
        mission=mission.id,
        agent=call.agent,
        executor=call.executor,
        opened=core.clock.now(),
        method=caller.method,
    )
    tx.put(row)
    body = {"what": "open_session", "agent": call.agent, "executor": call.executor}
    _record(core, tx, mission, caller, body, mission.user)
    return handle


def close_session(core: Core, tx: Tx, call: CloseSession) -> None:
    """Make a handle worthless. An unknown one already is."""
    row = tx.get(SessionRow, core.handle_hash(call.session))
    if row is not None and not row.closed:
        tx.put(structs.replace(row, closed=core.clock.now()))


def get(tx: Tx, mission: str) -> MissionRow:
    """Return a mission or say that there is none."""
    row = tx.get(MissionRow, mission)
    if row is None:
        raise NotFoundError(f"no mission {mission!r}", hint="`bridle missions list` shows them")
    return row


def listing(core: Core, tx: Tx, call: Missions) -> list[dict[str, Any]]:
    """Rows for humans: all missions, or one with what it spent and what is open in it."""
    if not call.mission:
        rows = tx.find(MissionRow, newest="started", limit=max(1, min(call.limit, 1000)))
        return [structs.asdict(row) for row in rows]
    mission = get(tx, call.mission)
    bundle = core.engine(tx, core.globals(tx).active).bundle
    template = bundle.missions.get(mission.template)
    sessions = tx.find(SessionRow, mission=mission.id)
    open_attempts = [
        a for a in tx.find(AttemptRow, state=AttemptState.STARTED) if a.mission == mission.id
    ]
    return [
        {
            **structs.asdict(mission),
            "budgets": budgets.spent(tx, mission, template, core.clock.now()) if template else [],
            "sessions": [
                {"agent": s.agent, "executor": s.executor, "opened": s.opened, "closed": s.closed}
                for s in sessions
            ],
            "started_attempts": [structs.asdict(a) for a in open_attempts],
            "pending_holds": tx.count(HoldRow, mission=mission.id, status="pending"),
        }
    ]


def tools(
    bundle: Bundle, template: MissionTemplate, release_rules: set[str]
) -> list[dict[str, Any]]:
    """The tools a mission of this template can ever use, as an agent may see them."""
    return [
        {
            "name": tool.name,
            "description": tool.description,
            "effect": tool.effect.value,
            "system": tool.system,
            "input": tool.input,
            "release_rules": tool.name in release_rules,
        }
        for tool in bundle.tools.values()
        if in_scope(bundle, template, tool)
    ]


def _template(bundle: Bundle, name: str) -> MissionTemplate:
    template = bundle.missions.get(name)
    if template is None:
        known = ", ".join(sorted(bundle.missions)) or "none"
        raise NotFoundError(f"no mission template {name!r}", hint=f"the bundle declares: {known}")
    return template


def _active(tx: Tx, kind: str, name: str) -> None:
    row = tx.get(IdentityRow, f"{kind}:{name}")
    if row is not None and row.status != Status.ACTIVE:
        raise RefusedError(f"{kind} {name!r} is {row.status}", code="suspended")


def _governed(
    core: Core, tx: Tx, action: str, mission: MissionRow, template: MissionTemplate, user: str
) -> None:
    engine = core.engine(tx, core.globals(tx).active)
    view = MissionView(mission.id, template.id, template.purpose, template.labels)
    judged = engine.governance(
        GovernanceCase(action=action, user=user, mission=view, now=core.clock.now())
    )
    if judged.effect is not Effect.ALLOW:
        text = "; ".join(r.text or r.code.value for r in judged.reasons) or "not permitted"
        raise RefusedError(
            f"governance refuses {action} for {user!r}: {text}",
            code="governance_denied",
            hint="see governance/ in the bundle",
        )


def _record(
    core: Core,
    tx: Tx,
    mission: MissionRow,
    caller: Caller,
    body: dict[str, Any],
    by: str,
    prompt: str = "",
) -> None:
    core.recorder.write(
        tx,
        LeafKind.MISSION,
        mission.id,
        core.clock.now(),
        ids={"user": mission.user, "by": by, "method": caller.method, "level": core.level},
        body=body,
        fields={"prompt": prompt},
    )
