"""A mission: the bounded objective that all work happens in, and the sessions opened in it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from msgspec import structs

from bridle.client.agent import Agent
from bridle.client.transport import runs
from bridle.client.transport.channel import Channel, ask
from bridle.model.calls import (
    AddPrompt,
    CloseSession,
    Done,
    GrantOf,
    Listing,
    MissionVerb,
    Opened,
    OpenSession,
)
from bridle.model.errors import UsageError
from bridle.trust.holder import Holder

if TYPE_CHECKING:
    from bridle.client.bridle import Bridle
    from bridle.trust.credential import Credential
    from bridle.trust.grants.chain import Chain


class Mission:
    """One mission, named by `id`. Pickled, it is a reference to the bundle and this id."""

    def __init__(self, bridle: Bridle, mission: str) -> None:
        self.id = mission
        self.bridle = bridle

    def agent(
        self, name: str, *, executor: str = "", credential: Credential | None = None
    ) -> Agent:
        """Return the agent `name` of this mission, carried out by workload `executor`.

        Opens a session for it, which is a run of the agent with a key of its own. `credential` is
        the agent's (`bridle.unlock`), where it has keys. Raises `NotFoundError` or `RefusedError`
        when the mission has no such agent or workload, or the agent's key is needed.
        """
        session = Session(self.bridle, self.id, name, executor=executor, credential=credential)
        session.open()
        return Agent(self, name, executor, session)

    def session(
        self, name: str, *, executor: str = "", credential: Credential | None = None
    ) -> str:
        """Open a session for an agent's process that cannot open one itself; return its secret.

        Whoever holds this text (the handle and the key of the run) acts as the agent. The other
        side passes it to `Bridle.attach`.
        """
        session = Session(self.bridle, self.id, name, executor=executor, credential=credential)
        return session.run.text()

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
    """A session of an agent: it opens when it is first needed, or `run` says which one it is.

    Each that is opened is a run of the agent with a key of its own, which this process keeps.
    `credential` is the agent's, where it has keys: it certifies the run's. `jailed` says that the
    process it is for has no way out but its governor.
    """

    def __init__(  # noqa: PLR0913 - all but three by name
        self,
        bridle: Bridle,
        mission: str,
        agent: str,
        *,
        executor: str = "",
        run: runs.Run | None = None,
        chain: Chain | None = None,
        credential: Credential | None = None,
        as_user: str = "",
        jailed: bool = False,
    ) -> None:
        self._bridle = bridle
        self._call = OpenSession(
            mission=mission, agent=agent, executor=executor, as_user=as_user, jailed=jailed
        )
        self._credential = credential
        self._lock = threading.Lock()
        self._run = run
        self._chain = chain
        self._closed = False

    @property
    def channel(self) -> Channel:
        """The way for an agent's calls."""
        return self._bridle.agents

    @property
    def handle(self) -> str:
        """The session's secret handle."""
        return self.run.handle

    @property
    def is_open(self) -> bool:
        """Whether the handle is there already."""
        return self._run is not None

    @property
    def run(self) -> runs.Run:
        """Handle, key and grant, asking the governor for them the first time."""
        with self._lock:
            if self._closed:
                raise UsageError("this agent's session has been closed")
            if self._run is None:
                self._run = self._opened()
            return self._run

    @property
    def chain(self) -> Chain:
        """The chain of its grant. Raises `UsageError` for a session without a key."""
        from bridle.trust.grants.chain import read

        if self._chain is None:
            run = self.run
            if run.holder is None or not run.grant:
                raise UsageError("this session has no key, so it has no grant")
            rows = ask(self.channel, GrantOf(session=run.handle), Listing).rows
            self._chain = read(rows[0]["chain"])
        return self._chain

    def open(self) -> str:
        """Return the handle, asking the governor for one the first time."""
        return self.handle

    def close(self) -> None:
        """Make the handle worthless."""
        with self._lock:
            run, self._run, self._closed = self._run, None, True
        if run is not None:
            ask(self._bridle.operator, CloseSession(session=run.handle), Done)

    def _opened(self) -> runs.Run:
        from bridle.trust.grants.chain import read

        holder = Holder.generate()
        call = structs.replace(
            self._call,
            holder=holder.public,
            certificate=certificate_of(self._bridle, self._credential, holder),
        )
        opened = ask(self._bridle.operator, call, Opened)
        if opened.chain:
            self._chain = read(opened.chain)
        return runs.Run(opened.id, holder, opened.grant)


def certificate_of(bridle: Bridle, credential: Credential | None, holder: Holder) -> str:
    """Return what the agent's credential says of a run's key; empty without one."""
    if credential is None:
        return ""
    return credential.certify(bridle.agents.store, holder.public)


def revive(mission: Mission, name: str, executor: str) -> Agent:
    """Return an agent that was loaded from a pickle: its session opens at its first use."""
    return Agent(
        mission, name, executor, Session(mission.bridle, mission.id, name, executor=executor)
    )


def _revive(reference: str, mission: str) -> Mission:
    from bridle.client.opening import later

    return Mission(later(reference), mission)
