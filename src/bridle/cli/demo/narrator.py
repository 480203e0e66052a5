"""Tells what a governor is asked and what it answers: an entry for each action and each handover.

It stands between the client and the governor as a channel of its own, so that the agents' code
stays what a user would write.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from bridle.client.transport.channel import Channel
from bridle.model.calls import (
    Begin,
    Call,
    Decide,
    Explain,
    Judged,
    Listing,
    Observe,
    Offer,
    Offered,
    Opened,
    OpenSession,
    Redeem,
    Released,
    Reply,
)
from bridle.model.reason import Reason
from bridle.model.verdict import Effect
from bridle.trust.grants.chain import Link, link_of, split
from bridle.trust.grants.wording import caveats

_STEERING = ("to", "url")


class Told(Struct, kw_only=True):
    """One judgement. `of` is `action`, `result` or `handover`; `args` are what was asked for.

    Of a handover: `to` and `allows`. `notes` say what of it can have no effect; of a denied action,
    in which results it stands where that would go.
    """

    of: str
    action: str
    agent: str
    tool: str
    effect: Effect
    args: dict[str, Any]
    reasons: tuple[Reason, ...]
    executed: dict[str, Any] | None = None
    approval: str = ""
    again: bool = False
    notes: tuple[str, ...] = ()


class Narrator:
    """A channel that passes everything on and tells `listen` of each judgement."""

    def __init__(self, channel: Channel, listen: Callable[[Told], None]) -> None:
        self._channel = channel
        self._listen = listen
        self._agents: dict[str, str] = {}
        self._held: dict[str, Told] = {}
        self._decided: dict[str, Told] = {}
        self._running: dict[str, Told] = {}

    @property
    def store(self) -> str:
        """The id of the governor's store."""
        return self._channel.store

    def send(self, call: Call, *, timeout: float | None = None) -> Reply:
        """Pass a call on, tell of its answer, return it unchanged."""
        reply = self._channel.send(call, timeout=timeout)
        if isinstance(reply, Opened):
            self._agents[reply.id] = call.agent if isinstance(call, OpenSession) else reply.agent
        elif isinstance(call, Offer) and isinstance(reply, Offered):
            self._offered(call, reply)
        elif isinstance(call, Decide | Begin | Redeem) and isinstance(reply, Judged):
            self._judged(call, reply)
        elif isinstance(call, Observe) and isinstance(reply, Released):
            self._released(call, reply)
        return reply

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _judged(self, call: Decide | Begin | Redeem, reply: Judged) -> None:
        verdict = reply.verdict
        if isinstance(call, Decide):
            tool, args = call.tool, json.loads(call.args)
        else:
            known = self._decided if isinstance(call, Begin) else self._held
            asked = known[call.action if isinstance(call, Begin) else call.approval]
            tool, args = asked.tool, asked.args
        told = Told(
            of="action",
            action=verdict.action,
            agent=self._agents.get(call.session, ""),
            tool=tool,
            effect=verdict.effect,
            args=args,
            reasons=verdict.reasons,
            executed=json.loads(verdict.args) if verdict.effect.runs else None,
            approval=verdict.approval,
            again=not isinstance(call, Decide),
            notes=self._read(verdict.action) if verdict.effect is Effect.DENY else (),
        )
        self._decided[verdict.action] = told
        if verdict.approval:
            self._held[verdict.approval] = told
        if verdict.attempt:
            self._running[verdict.attempt] = told
        self._listen(told)

    def _read(self, action: str) -> tuple[str, ...]:
        """Say in which results stands where an action goes, unless a trusted source says it."""
        reply = self._channel.send(Explain(action=action))
        if not isinstance(reply, Listing):
            return ()
        found = [
            each for row in reply.rows for each in row["flow"] if each["argument"] in _STEERING
        ]
        return tuple(
            f"{each['argument']} stands in what {read['tool']} returned (record {read['record']})"
            for each in found
            if each["argument"] in _STEERING and not each["trusted"]
            for read in each["read"]
            if read["kind"] == "result"
        )

    def _offered(self, call: Offer, reply: Offered) -> None:
        link = _read(call.link)
        self._listen(
            Told(
                of="handover",
                action=reply.grant,
                agent=self._agents.get(call.session, ""),
                tool="delegate",
                effect=Effect.ALLOW,
                args={"to": link.claims.agent, "allows": list(caveats(link.claims))},
                reasons=(),
                notes=reply.notes,
            )
        )

    def _released(self, call: Observe, reply: Released) -> None:
        told, release = self._running.pop(call.attempt), reply.release
        if release.effect is not Effect.ALLOW:
            self._listen(
                Told(
                    of="result",
                    action=told.action,
                    agent=told.agent,
                    tool=told.tool,
                    effect=release.effect,
                    args=told.args,
                    reasons=release.reasons,
                )
            )


def _read(text: str) -> Link:
    return link_of(text, split(text, 0), 0)
