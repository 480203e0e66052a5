"""Handing a task on: what one agent offers, and how another takes it up.

Both sides sign: the giver with the key of its run, the receiver with the key of the run that the
grant is bound to. Nothing that travels between them is a secret.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct, structs

from bridle.client.agent import Agent
from bridle.client.transport import runs
from bridle.client.transport.channel import ask
from bridle.model import calls
from bridle.model.errors import UsageError
from bridle.trust import context
from bridle.trust.context import Reference
from bridle.trust.grants.chain import Chain, read
from bridle.trust.grants.claims import DETAIL_TYPE, Detail, Predicate, ToolGrant
from bridle.trust.grants.issue import attenuate
from bridle.trust.holder import Holder

if TYPE_CHECKING:
    from bridle.client.agent import Session
    from bridle.client.bridle import Bridle
    from bridle.trust.credential import Credential

Tools = Mapping[str, Mapping[str, Predicate] | None] | Iterable[str]

_DURATION = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Offer(Struct, frozen=True):
    """What was offered. `reference` is for the receiver, and no secret; `grant` names the grant.

    `notes` say in words what of it can have no effect.
    """

    grant: str
    reference: str
    notes: tuple[str, ...] = ()


class Terms(Struct, frozen=True, kw_only=True):
    """What is handed on: see `Agent.delegate`."""

    tools: Tools
    expires: str | float
    task: str = ""
    domains: Iterable[str] | None = None
    effects: Iterable[str] | None = None
    budgets: Mapping[str, Any] | None = None
    labels: Iterable[str] | None = None
    max_depth: int | None = None


class Invitation:
    """A run of `agent` that waits for a grant. `public` is its key, which the giver needs.

    It stays in this process: what is offered to it can be taken up nowhere else.
    """

    def __init__(self, bridle: Bridle, agent: str, *, credential: Credential | None = None) -> None:
        self.agent = agent
        self._bridle = bridle
        self._credential = credential
        self._holder = Holder.generate()

    @property
    def public(self) -> str:
        """The public key that the grant is to be bound to."""
        return self._holder.public

    def accept(self, reference: str, *, executor: str = "") -> Agent:
        """Take up what was offered under this reference, and return the agent that may act.

        Raises `RefusedError` where the offer is not for this run, was taken up, or has ended.
        """
        from bridle.client.mission import certificate_of

        certificate = certificate_of(self._bridle, self._credential, self._holder)
        wanted = context.parse(reference)
        return taken_up(self._bridle, self._holder, wanted, executor, certificate=certificate)

    def __repr__(self) -> str:
        return f"<bridle.Invitation of {self.agent}>"


def taken_up(  # noqa: PLR0913 - the last two by name
    bridle: Bridle,
    holder: Holder,
    wanted: Reference,
    executor: str,
    *,
    certificate: str = "",
    steps_of: str = "",
) -> Agent:
    """Take up the grant of a reference that is bound to `holder`, and return who acts under it.

    `steps_of` is the task that its actions are steps of. Raises `RefusedError`.
    """
    # Kept until the answer is here: the channel proves the call with it.
    accepting = runs.accepting(wanted.leaf, holder)
    call = calls.Accept(
        grant=wanted.leaf,
        proof=runs.unproved(accepting),
        executor=executor,
        certificate=certificate,
    )
    opened = ask(bridle.agents, call, calls.Opened)
    del accepting
    return _acting(bridle, holder, opened, executor, steps_of)


def opened_run(bridle: Bridle, workload: str, call: calls.OpenRun) -> Agent:
    """Open a run of a pipeline with a key of its own. Raises `RefusedError`."""
    holder = Holder.generate()
    opened = ask(bridle.agents, structs.replace(call, holder=holder.public), calls.Opened)
    return _acting(bridle, holder, opened, workload)


def _acting(
    bridle: Bridle, holder: Holder, opened: calls.Opened, executor: str, steps_of: str = ""
) -> Agent:
    from bridle.client.mission import Mission, Session

    chain = read(opened.chain)
    run = runs.Run(opened.id, holder, opened.grant)
    session = Session(bridle, opened.mission, opened.agent, run=run, chain=chain)
    mission = Mission(bridle, opened.mission)
    return Agent(mission, opened.agent, executor, session, line=chain.line, steps_of=steps_of)


def offer(session: Session, agent: str, to: str, terms: Terms, *, workload: str = "") -> Offer:
    """Offer a grant below the session's own to `agent`, bound to the key `to`.

    With a `workload` it is dispatched to that, whose key `to` is. Raises `UsageError`, `GrantError`
    for what no link can say, and `RefusedError`.
    """
    link = _link(session, session.chain, agent, to, terms)
    call = calls.Offer(session=session.handle, link=link, workload=workload)
    offered = ask(session.channel, call, calls.Offered)
    return Offer(offered.grant, offered.reference, offered.notes)


def _link(session: Session, above: Chain, agent: str, to: str, terms: Terms) -> str:
    holder = session.run.holder
    if holder is None:
        raise UsageError("this session has no key, so it can hand nothing on")
    now = int(time.time())
    return attenuate(
        above,
        holder.private,
        agent=agent,
        holder=to,
        details=(_detail(terms),),
        issued=now,
        expires=max(now, above.leaf.claims.iat) + _seconds(terms.expires),
        task=terms.task,
        budgets={name: str(most) for name, most in (terms.budgets or {}).items()},
        labels=terms.labels,
        max_depth=terms.max_depth,
    )


def _detail(terms: Terms) -> Detail:
    if isinstance(terms.tools, str):
        raise UsageError("tools= is a list of names, or a mapping of names to conditions")
    tools: Mapping[str, Mapping[str, Predicate] | None]
    if isinstance(terms.tools, Mapping):
        tools = cast("Mapping[str, Mapping[str, Predicate] | None]", terms.tools)  # pyright: ignore[reportUnknownMemberType]
    else:
        tools = dict.fromkeys(terms.tools)
    return Detail(
        DETAIL_TYPE,
        {name: ToolGrant(None if args is None else dict(args)) for name, args in tools.items()},
        None if terms.domains is None else tuple(terms.domains),
        None if terms.effects is None else tuple(terms.effects),
    )


def _seconds(expires: str | float) -> int:
    """Return a duration in whole seconds, at least one."""
    if isinstance(expires, str):
        found = _DURATION.fullmatch(expires)
        if found is None:
            raise UsageError(f"{expires!r} is no duration", hint='write "15m", "2h", or seconds')
        return int(found[1]) * _SECONDS[found[2]]
    if not 1 <= expires < 10**9:
        raise UsageError("a grant lasts a second at least", hint='write "15m", "2h", or seconds')
    return int(expires)
