"""A mission: the bounded objective that all work happens in, and the sessions opened in it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from bridle.client.agent import Agent
from bridle.client.transport.channel import Channel, ask
from bridle.model.calls import AddPrompt, CloseSession, Done, MissionVerb, Opened, OpenSession
from bridle.model.errors import UsageError

if TYPE_CHECKING:
    from bridle.client.bridle import Bridle


class Mission:
    """One mission, named by `id`. Pickled, it is a reference to the bundle and this id."""

    def __init__(self, bridle: Bridle, mission: str) -> None:
        self.id = mission
        self.bridle = bridle

    def agent(self, name: str, *, executor: str = "") -> Agent:
        """Return the agent `name` of this mission, carried out by workload `executor`.

        Opens a session for it. Raises `NotFoundError` or `RefusedError` when the mission has no
        such agent or workload.
        """
        session = Session(self.bridle, self.id, name, executor)
        session.open()
        return Agent(self, name, executor, session)

    def session(self, name: str, *, executor: str = "") -> str:
        """Open a session and return its handle, for an agent's process that cannot open one itself.

        Whoever holds the handle acts as the agent: hand it over as the secret it is. The other
        side passes it to `Bridle.attach`.
        """
        return Session(self.bridle, self.id, name, executor).open()

    def suspend(self) -> None:
        """Stop the mission's actions until `resume`."""
        self._change("suspend")

    def resume(self) -> None:
        """Let a suspended mission act again."""
        self._change("resume")

    def close(self, *, anyway: bool = False) -> None:
        """End the mission for good.

        Raises `RefusedError` (`obligations_open`) where a policy says that something in it is still
        open; `anyway` ends it all the same, on record.
        """
        self.bridle.done(MissionVerb(mission=self.id, verb="close", anyway=anyway))

    def add_prompt(self, text: str, *, user: str) -> None:
        """Add what `user` said next."""
        self.bridle.done(AddPrompt(mission=self.id, user=user, prompt=text))

    def __repr__(self) -> str:
        return f"<bridle.Mission {self.id}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_revive, (self.bridle.reference, self.id))

    def _change(self, verb: str) -> None:
        self.bridle.done(MissionVerb(mission=self.id, verb=verb))


class Session:
    """A session of an agent; the handle is got when it is first needed, or was handed over."""

    def __init__(
        self, bridle: Bridle, mission: str, agent: str, executor: str = "", *, handle: str = ""
    ) -> None:
        self._bridle = bridle
        self._call = OpenSession(mission=mission, agent=agent, executor=executor)
        self._lock = threading.Lock()
        self._handle = handle
        self._closed = False

    @property
    def channel(self) -> Channel:
        """The way for an agent's calls."""
        return self._bridle.agents

    @property
    def handle(self) -> str:
        """The session's secret handle."""
        return self._handle or self.open()

    @property
    def is_open(self) -> bool:
        """Whether the handle is there already."""
        return bool(self._handle)

    def open(self) -> str:
        """Return the handle, asking the governor for one the first time."""
        with self._lock:
            if self._closed:
                raise UsageError("this agent's session has been closed")
            if not self._handle:
                self._handle = ask(self._bridle.operator, self._call, Opened).id
            return self._handle

    def close(self) -> None:
        """Make the handle worthless."""
        with self._lock:
            handle, self._handle, self._closed = self._handle, "", True
        if handle:
            ask(self._bridle.operator, CloseSession(session=handle), Done)


def revive(mission: Mission, name: str, executor: str) -> Agent:
    """Return an agent that was loaded from a pickle: its session opens at its first use."""
    return Agent(mission, name, executor, Session(mission.bridle, mission.id, name, executor))


def _revive(reference: str, mission: str) -> Mission:
    from bridle.client.opening import later

    return Mission(later(reference), mission)
