"""What an agent can do with its grant: hand part of it on, serve others under it, take it back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from bridle.client.transport.channel import ask
from bridle.model.calls import Fenced, Listing, RevokeGrant, WorkloadOf

if TYPE_CHECKING:
    from bridle.client.agent import Agent, Session
    from bridle.client.delegating import Offer, Tools
    from bridle.client.mission import Mission
    from bridle.client.revoking import Revocation
    from bridle.trust.credential import Credential


class Giver:
    """The part of an agent that deals with grants."""

    mission: Mission
    name: str
    executor: str
    _session: Session
    _line: str

    @property
    def grant(self) -> str:
        """The digest of the grant it acts under. Raises `UsageError` for a run without a key."""
        return self._session.chain.digest

    def delegate(  # noqa: PLR0913 - all but one by name
        self,
        agent: str,
        *,
        tools: Tools,
        expires: str | float = "15m",
        task: str = "",
        domains: Iterable[str] | None = None,
        effects: Iterable[str] | None = None,
        budgets: Mapping[str, Any] | None = None,
        labels: Iterable[str] | None = None,
        max_depth: int | None = None,
        executor: str = "",
        credential: Credential | None = None,
    ) -> Agent:
        """Hand part of this agent's task on to `agent`, in this process, and return it.

        `tools` names what it may use: a list, or a mapping of each to conditions on its arguments
        (`bridle.prefix("https://docs.example/")`, …; None: any). Whatever is granted here, nothing
        goes beyond what this agent may do itself. `expires` is a duration (`"15m"`, or seconds),
        `budgets` are the most of each budget of the mission, `labels` the most that its tools may
        carry, `max_depth` how deep it may be handed on, counted from the mission (None: as this
        one). `executor` and `credential` as in `Mission.agent`. Raises `RefusedError` where
        governance does not permit it, `GrantError` for what no grant can say.
        """
        from bridle.client.delegating import Invitation

        invited = Invitation(self.mission.bridle, agent, credential=credential)
        made = self.offer(
            agent,
            to=invited.public,
            tools=tools,
            expires=expires,
            task=task,
            domains=domains,
            effects=effects,
            budgets=budgets,
            labels=labels,
            max_depth=max_depth,
        )
        return invited.accept(made.reference, executor=executor)

    def offer(  # noqa: PLR0913 - all but one by name
        self,
        agent: str,
        *,
        to: str,
        tools: Tools,
        expires: str | float = "15m",
        task: str = "",
        domains: Iterable[str] | None = None,
        effects: Iterable[str] | None = None,
        budgets: Mapping[str, Any] | None = None,
        labels: Iterable[str] | None = None,
        max_depth: int | None = None,
    ) -> Offer:
        """Offer a grant to `agent` in another process, bound to the key `to` of its run there.

        `to` is `Invitation.public`; the other side takes up `Offer.reference`. The rest as in
        `delegate`.
        """
        from bridle.client import delegating

        terms = delegating.Terms(
            tools=tools,
            expires=expires,
            task=task,
            domains=domains,
            effects=effects,
            budgets=budgets,
            labels=labels,
            max_depth=max_depth,
        )
        return delegating.offer(self._session, agent, to, terms)

    def dispatch(
        self,
        workload: str,
        *,
        task: str,
        tools: Tools,
        expires: str | float = "1h",
        budgets: Mapping[str, Any] | None = None,
    ) -> str:
        """Have a workload in another process carry out a task, and return a reference to it.

        It stays this agent's decision: `workload`, which has proved its key, takes the reference up
        (`bridle.worker`), as often as the task is delivered to it, and can do what `tools` say and
        nothing else. Conditions are mostly `bridle.exactly(arguments)`. `task` names this piece of
        work among the agent's. The reference is no secret. Raises as `delegate`.
        """
        from bridle.client import delegating

        row = ask(
            self._session.channel,
            WorkloadOf(session=self._session.handle, workload=workload),
            Listing,
        ).rows[0]
        terms = delegating.Terms(
            tools=tools,
            expires=expires,
            task=task,
            budgets=budgets,
            max_depth=self._session.chain.leaf.claims.del_depth + 1,
        )
        session = self._session
        made = delegating.offer(session, self.name, str(row["key"]), terms, workload=workload)
        return made.reference

    def serving(self, reference: str) -> Agent:
        """Return this agent as the deputy of another, whose `context` this is.

        What it then does has to be allowed to both.
        """
        from bridle.client.agent import Agent
        from bridle.trust import context

        return Agent(
            self.mission,
            self.name,
            self.executor,
            self._session,
            line=self._line,
            requester=context.parse(reference).leaf,
        )

    @property
    def context(self) -> str:
        """A reference to this agent's grant, as `Bridle-Context` carries it: no secret."""
        from bridle.trust import context

        chain = self._session.chain
        claims = chain.leaf.claims
        return context.format(context.Reference(claims.mis, claims.task, chain.digest))

    def revoke(self, grant: str | Agent, *, reason: str = "") -> Revocation:
        """Revoke a grant that came from this agent, however far down, or its own.

        Nothing it covers starts from here on: see `Bridle.revoke`.
        """
        from bridle.client import revoking

        name = revoking.name_of(grant)
        call = RevokeGrant(session=self._session.handle, grant=name, reason=reason)
        reply = ask(self._session.channel, call, Fenced)
        return revoking.fenced("grant", name, reply, self.mission.bridle)
