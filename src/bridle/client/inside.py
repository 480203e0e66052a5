"""The agent of the jail that this process runs in. One job: to find it by the environment."""

from __future__ import annotations

import os
from pathlib import Path

from bridle.client.agent import Agent
from bridle.client.bridle import Bridle
from bridle.client.mission import Mission, Session
from bridle.client.transport.limited import NoOperator
from bridle.client.transport.runs import Run
from bridle.client.transport.unix import UnixChannel
from bridle.model.errors import UsageError

SERVICE = "governor"
"""The governor's name at the socket of a jail."""

_SOCKET, _MISSION, _AGENT, _EXECUTOR = (
    "BRIDLE_SOCKET",
    "BRIDLE_MISSION",
    "BRIDLE_AGENT",
    "BRIDLE_EXECUTOR",
)


def attach(*, timeout: float = 10.0) -> Agent:
    """Return the agent that this process is, in a jail that `bridle run` has made.

    It needs no handle: being in the jail is the authority. `timeout` is in seconds, for each call.
    Raises `UsageError` (`not_jailed`) outside, `UnreachableError` when the socket does not answer.
    """
    socket, mission, agent = (os.environ.get(name, "") for name in (_SOCKET, _MISSION, _AGENT))
    if not (socket and mission and agent):
        raise UsageError(
            "this process runs in no jail",
            code="not_jailed",
            hint="start it with `bridle run BUNDLE -- COMMAND`; outside, `bridle.open(BUNDLE)` and "
            "`Mission.agent` do, or `Bridle.attach` with a session that was handed over",
        )
    channel = UnixChannel(Path(socket), role="agent", timeout=timeout, service=SERVICE)
    channel.connect()
    bridle = Bridle(NoOperator(), agents=channel, reference=socket)
    # Whoever keeps the socket outside fills the session in.
    session = Session(bridle, mission, agent, run=Run(""))
    return Agent(Mission(bridle, mission), agent, os.environ.get(_EXECUTOR, ""), session)
