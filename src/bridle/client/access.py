"""The agent's session that a proxy or a jail acts in: opened by an operator, or handed over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from bridle.bundle.bundle import Defaults
from bridle.bundle.parse import manifest, toml
from bridle.bundle.parse.table import Findings
from bridle.client.agent import Agent
from bridle.client.bridle import Bridle
from bridle.client.mission import Mission, Session
from bridle.client.opening import connect, open_bundle
from bridle.client.transport import runs
from bridle.client.transport.channel import Channel, ask
from bridle.client.transport.runs import Run
from bridle.language.errors import LanguageError
from bridle.model.calls import CloseSession, Done, Listing, ToolsOf
from bridle.model.errors import BridleError, UsageError
from bridle.trust.credential import Credential


class Wanted(Struct, frozen=True, kw_only=True):
    """Whose session it is to be. `mission_id` names a mission that has been started already.

    `jailed` says, for policies, that the agent's process has no way out but its governor.
    """

    mission: str = ""
    mission_id: str = ""
    user: str = ""
    agent: str = ""
    executor: str = ""
    prompt: str = ""
    jailed: bool = False


class Access:
    """A session of an agent, and the way to its governor."""

    def __init__(
        self, bridle: Bridle, run: Run, wanted: Wanted, *, mission: str, own: bool
    ) -> None:
        self.session = run.handle
        # Kept for as long as it acts: the channel proves its calls.
        self._run = run
        self.mission = mission
        self.agent = wanted.agent
        self.executor = wanted.executor
        self._bridle = bridle
        self._own = own

    @property
    def channel(self) -> Channel:
        """The way for the agent's calls."""
        return self._bridle.agents

    def handed_over(self) -> str:
        """Return the session as one secret text, for another process that acts in it."""
        return self._run.text()

    def acting(self) -> Agent:
        """Return the agent that acts in this session."""
        session = Session(self._bridle, self.mission, self.agent, run=self._run)
        return Agent(Mission(self._bridle, self.mission), self.agent, self.executor, session)

    def tools(self) -> list[dict[str, Any]]:
        """The tools this session's mission can ever use. Raises `BridleError`."""
        return ask(self.channel, ToolsOf(session=self.session), Listing).rows

    def close(self) -> None:
        """Make the handle worthless, where it was made here. The mission goes on."""
        try:
            if self._own:
                ask(self._bridle.operator, CloseSession(session=self.session), Done)
        except BridleError:
            pass  # it ends with its mission
        finally:
            self._bridle.close()


def opened(
    bundle: Path,
    wanted: Wanted,
    *,
    human: Callable[[Bridle], Bridle] = lambda bridle: bridle,
    workload: Credential | None = None,
) -> Access:
    """Open a session as the operator of a bundle, starting a governor and a mission if need be.

    A folder of sockets does as well, where a governor serves them.
    `human` puts somebody in the way who can unlock a key, where the mission's user has one.
    `workload` proves, on the way for the agent's calls, which workload carries them out.
    """
    if not wanted.agent or not (wanted.mission_id or (wanted.mission and wanted.user)):
        raise UsageError(
            "it is not said which agent acts, in which mission, for whom",
            code="no_defaults",
            hint="give --agent, --mission and --user, or [defaults] in bridle.toml",
        )
    found = open_bundle(bundle) if (bundle / manifest.FILE).is_file() else connect(bundle)
    bridle = human(found)
    try:
        if workload is not None:
            agents = connect(bundle, role="agent", credential=workload).agents
            bridle = Bridle(bridle.operator, agents=agents, reference=bridle.reference)
        mission = (
            wanted.mission_id
            or bridle.start_mission(wanted.mission, user=wanted.user, prompt=wanted.prompt).id
        )
        session = Session(
            bridle, mission, wanted.agent, executor=wanted.executor, jailed=wanted.jailed
        )
        run = session.run
    except BaseException:
        bridle.close()
        raise
    return Access(bridle, run, wanted, mission=mission, own=True)


def attached(
    place: Path, handle: str, wanted: Wanted, *, workload: Credential | None = None
) -> Access:
    """Use a session that an operator has opened and handed over. Needs no operator's right.

    `workload` as in `opened`.
    """
    if not wanted.agent or not wanted.mission_id:
        raise UsageError(
            "a session that was handed over belongs to an agent in a mission",
            code="no_defaults",
            hint="give --agent and --mission-id as the operator said them",
        )
    run = runs.read(handle)
    bridle = connect(place, role="agent", credential=workload)
    return Access(bridle, run, wanted, mission=wanted.mission_id, own=False)


def defaults_of(bundle: Path) -> Defaults:
    """Return what a bundle on disk says for those who say nothing; nothing where there is none."""
    try:
        text = (bundle / manifest.FILE).read_text("utf-8")
        return manifest.read(toml.parse(manifest.FILE, text), Findings()).defaults
    except (OSError, UnicodeDecodeError, LanguageError):
        # A bundle that cannot be read is refused by its governor, with every finding.
        return Defaults()
