"""Through whom a task came: the agents and the links of grants that stand above whoever acts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from bridle.bundle.bundle import Bundle
from bridle.store.rows import GrantRow, MissionRow, SessionRow

if TYPE_CHECKING:
    from bridle.governor.ground.turn import Turn

# More links than any chain has: whoever walks further walks in a circle.
_MOST = 64

# What stands between the agents of a line; no agent's name has it.
ARROW = ">"


class Acted(Protocol):
    """A row of something that was judged or started: an action, an attempt."""

    @property
    def mission(self) -> str:
        """Return the mission's id."""
        ...

    @property
    def agent(self) -> str:
        """Return the deciding agent."""
        ...

    @property
    def tool(self) -> str:
        """Return the tool's name."""
        ...

    @property
    def executor(self) -> str:
        """Return the workload, empty where the agent acts itself."""
        ...

    @property
    def line(self) -> str:
        """Return the agents that the task came through."""
        ...

    @property
    def grant(self) -> str:
        """Return the digest of the chain's last link, empty where there is none."""
        ...

    @property
    def requester(self) -> str:
        """Return the grant of whom it serves, empty where it serves nobody."""
        ...


class Party(Struct, frozen=True):
    """One side of an action: who acts, or is served, with everybody above.

    `agents` are those that the task came through, the actor last. `grant` is the last link, empty
    for a session without a key: then `epoch` and `opened` say since when it is there. `executor` is
    empty where the agent acts itself.
    """

    mission: str
    user: str
    agents: tuple[str, ...]
    grant: str = ""
    executor: str = ""
    epoch: int = 0
    opened: int = 0


def agents(line: str, agent: str) -> tuple[str, ...]:
    """Return the agents that a task came through, the actor last."""
    return tuple(line.split(ARROW)) if line else (agent,)


def take_part(bundle: Bundle, mission: MissionRow, agents: Iterable[str]) -> bool:
    """Whether each of these agents has a part in a mission, by the bundle in force."""
    template = bundle.missions.get(mission.template)
    return template is not None and all(
        name in template.agents and name in bundle.agents for name in agents
    )


def of_session(session: SessionRow, mission: MissionRow) -> Party:
    """Return the party that a session is."""
    return Party(
        mission.id,
        mission.user,
        agents(session.line, session.agent),
        session.grant,
        session.executor,
        session.epoch,
        session.opened,
    )


def of_acted(turn: Turn, acted: Acted) -> Party:
    """Return the party that an action or attempt is of."""
    mission = turn.tx.get(MissionRow, acted.mission)
    return Party(
        acted.mission,
        mission.user if mission is not None else "",
        agents(acted.line, acted.agent),
        acted.grant,
        acted.executor,
    )


def served(turn: Turn, requester: str) -> tuple[str, ...]:
    """Return the agents on whose behalf something is done: the requester's chain, itself last."""
    party = of_grant(turn, requester) if requester else None
    return party.agents if party is not None else ()


def of_grant(turn: Turn, grant: str) -> Party | None:
    """Return the party that a grant was given to. None where the store does not know it."""
    row = turn.tx.get(GrantRow, grant)
    mission = turn.tx.get(MissionRow, row.mission) if row is not None else None
    if row is None or mission is None:
        return None
    return Party(mission.id, mission.user, agents(row.line, row.agent), row.id)


def chain(turn: Turn, grant: str) -> tuple[GrantRow, ...]:
    """Return the links of a grant as they were put on record, root first.

    Empty where the store does not know all of them: then nothing may be taken to be allowed by it.
    """
    found: list[GrantRow] = []
    while grant and len(found) < _MOST:
        row = turn.tx.get(GrantRow, grant)
        if row is None:
            return ()
        found.append(row)
        grant = row.parent
    return () if grant else tuple(reversed(found))
