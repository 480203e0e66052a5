"""Tells what a governor is asked and what it answers: one entry for each action.

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
    Call,
    Decide,
    Judged,
    Observe,
    Opened,
    OpenSession,
    Redeem,
    Released,
    Reply,
)
from bridle.model.reason import Reason
from bridle.model.verdict import Effect


class Told(Struct, kw_only=True):
    """One judgement. `of` is `action` or `result`; `args` are the arguments that were asked for."""

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


class Narrator:
    """A channel that passes everything on and tells `listen` of each judgement."""

    def __init__(self, channel: Channel, listen: Callable[[Told], None]) -> None:
        self._channel = channel
        self._listen = listen
        self._agents: dict[str, str] = {}
        self._held: dict[str, Told] = {}
        self._running: dict[str, Told] = {}

    def send(self, call: Call, *, timeout: float | None = None) -> Reply:
        """Pass a call on, tell of its answer, return it unchanged."""
        reply = self._channel.send(call, timeout=timeout)
        if isinstance(call, OpenSession) and isinstance(reply, Opened):
            self._agents[reply.id] = call.agent
        elif isinstance(call, Decide | Redeem) and isinstance(reply, Judged):
            self._judged(call, reply)
        elif isinstance(call, Observe) and isinstance(reply, Released):
            self._released(call, reply)
        return reply

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _judged(self, call: Decide | Redeem, reply: Judged) -> None:
        verdict = reply.verdict
        if isinstance(call, Decide):
            tool, args, again = call.tool, json.loads(call.args), False
        else:
            held = self._held[call.approval]
            tool, args, again = held.tool, held.args, True
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
            again=again,
        )
        if verdict.approval:
            self._held[verdict.approval] = told
        if verdict.attempt:
            self._running[verdict.attempt] = told
        self._listen(told)

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
