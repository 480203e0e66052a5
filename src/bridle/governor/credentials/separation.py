"""Whether an action may start where it would, given what its system's credential is for.

A credential never comes into the process of the agent that decides. So what needs one starts where
the governor's side carries it out, or at a workload that is declared and proven to be elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridle.engine.case import GovernanceCase, Vending
from bridle.governor.identity import executors
from bridle.governor.provenance import seeing
from bridle.model.credential import Use
from bridle.model.identity import GOVERNOR
from bridle.model.reason import Reason, ReasonCode
from bridle.model.tool import System, Tool
from bridle.model.verdict import Effect

if TYPE_CHECKING:
    from bridle.governor.action.standing import Standing

_OFFLINE = "offline"


def refusal(at: Standing, name: str, *, perform: bool = False) -> Reason | None:
    """Say why this session may not start an action of a tool from here, if so.

    `perform` says that the governor's side was asked to carry it out. Where nothing runs (offline)
    there is nothing to separate.
    """
    # INVARIANT: I9 — asked of every verdict and at every gate: what needs authority that no agent
    # holds starts nowhere that an agent's process could be.
    tool = at.bundle.tools.get(name)
    if tool is None or (at.turn.core.level == _OFFLINE and not perform):
        return None
    system = at.bundle.systems[tool.system]
    if perform and not at.performing:
        return _not(_nobody_performs(at))
    if at.performing:
        return _performed(at, tool, system)
    if tool.performed is not None:
        return _not("the governor's side carries this tool out itself: ask it to (`perform`)")
    return _elsewhere(at, system)


def denied(at: Standing, name: str) -> Reason | None:
    """Say why governance does not let this session's action be given its system's credential."""
    tool = at.bundle.tools.get(name)
    if tool is None or at.bundle.systems[tool.system].credential is None:
        return None
    wanted = Vending(
        agent=at.session.agent,
        system=tool.system,
        tool=tool.name,
        effect=tool.effect.value,
        executor=GOVERNOR if tool.performed is not None else at.executor,
        chain=(*at.ancestors, *at.requesters),
    )
    case = GovernanceCase(
        action="vend_credential",
        user=at.mission.user,
        mission=seeing.view(at.bundle, at.mission),
        now=at.now,
        vending=wanted,
    )
    judged = at.engine.governance(case)
    if judged.effect is Effect.ALLOW:
        return None
    text = f"governance does not permit the credential of {tool.system!r} for this"
    return Reason(ReasonCode.CREDENTIAL_DENIED, text)


def _performed(at: Standing, tool: Tool, system: System) -> Reason | None:
    if tool.performed is None:
        return _not("nothing says how the governor's side would carry this tool out")
    credential = system.credential
    if credential is not None and credential.use is not Use.GOVERNOR:
        return _not("this system's credential is not for what the governor's side carries out")
    if credential is not None and at.turn.core.brokers is None:
        return _not("this governor makes no credentials")
    return None


def _elsewhere(at: Standing, system: System) -> Reason | None:
    """Whether somebody who is not the agent is there to be given the credential, if one is."""
    if system.credential is None:
        return None
    if system.credential.use is Use.GOVERNOR:
        return _not("this system's credential is for what the governor's side carries out itself")
    if at.turn.core.brokers is None or executors.within(at.turn):
        return _not("a governor within the agent's own process gives out no credentials")
    workload = at.bundle.workloads.get(at.executor)
    if workload is None or not workload.separate:
        return _not("no separate workload carries this out, and an agent is given no credential")
    # INVARIANT: I9 — by its key, on this very connection: a workload that proves nothing is
    # whoever holds the session's handle.
    caller = at.turn.caller
    if caller is None or caller.workload != workload.id:
        return _not("this connection has not proved to be the separate workload of this session")
    return None


def _nobody_performs(at: Standing) -> str:
    if at.turn.core.level in ("embedded", _OFFLINE):
        return "a governor within the agent's own process carries nothing out for it"
    return "nothing is carried out over this connection"


def _not(text: str) -> Reason:
    return Reason(ReasonCode.NOT_SEPARATED, text)
