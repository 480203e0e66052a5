"""The governor as a jail sees it: an agent's calls of one session, which is filled in here.

It holds the session's handle and key, and hands out neither. What is let through is named below;
every other call ends the connection, as one that no agent may make does at the governor itself.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from typing import Any

from msgspec import structs

from bridle.client.transport import wire
from bridle.client.transport.channel import Channel
from bridle.client.transport.frames import Frames
from bridle.jail.tally import Tally
from bridle.model.calls import (
    AgentCall,
    ApprovalOf,
    Beat,
    Begin,
    Call,
    CheckPlan,
    Decide,
    Failed,
    GrantOf,
    Judged,
    Observe,
    Offer,
    Performed,
    Redeem,
    Reply,
    RevokeGrant,
    ToolsOf,
    Vend,
)
from bridle.model.errors import BridleError, ProtocolError, UnreachableError
from bridle.model.outcome import Outcome, OutcomeKind

_log = logging.getLogger("bridle.jail")

_PASSED = (
    *(Decide, Begin, Beat, Observe, ApprovalOf, Redeem, ToolsOf, GrantOf, RevokeGrant),
    CheckPlan,
)
_PATIENCE = wire.FRAME_SECONDS
_LONGEST_POLL_MS = 20_000
# Seconds for what the governor's side carries out: it keeps the tool's own timeout.
_PERFORMING = 86_400.0


class GovernorService:
    """Serves the protocol of `bridle.client.transport.wire` for one session of an agent.

    `channel` proves the calls of `session`, `tally` counts what they are answered.
    """

    def __init__(self, channel: Channel, session: str, tally: Tally) -> None:
        self._channel = channel
        self._session = session
        self._tally = tally

    def __call__(self, connection: socket.socket) -> None:
        """Serve one connection until it ends."""
        frames = Frames(connection)
        try:
            _greet(frames, self._channel.store)
            _Served(frames, self._channel, self._session, self._tally).serve()
        except ProtocolError as problem:
            with contextlib.suppress(OSError, ProtocolError):
                _send(frames, Failed(code=problem.code, message=problem.message))
        except UnreachableError:
            # To hang up says what is known: nothing of what became of the call.
            return


class _Served:
    """One connection after its greeting."""

    def __init__(self, frames: Frames, channel: Channel, session: str, tally: Tally) -> None:
        self._frames = frames
        self._channel = channel
        self._session = session
        self._tally = tally
        self._unread = ""

    def serve(self) -> None:
        try:
            while self._frames.begins():
                # Whoever goes on, or hangs up without a reset, has read our last answer.
                self._unread = ""
                body = self._frames.rest(time.monotonic() + _PATIENCE)
                reply = self._answer(wire.decode_call(body, operator=False))
                self._note(reply)
                _send(self._frames, reply)
        except OSError:
            self._settle_unread()

    def _answer(self, call: Call) -> Reply:
        refusal = _refusal(call)
        if refusal is not None:
            return refusal
        assert isinstance(call, AgentCall)
        try:
            reply = self._channel.send(self._filled(call), timeout=_seconds(call))
        except UnreachableError:
            raise
        except BridleError as problem:
            return Failed(code=problem.code, message=problem.message, hint=problem.hint)
        except Exception:
            # INVARIANT: I2 — what fails here is no verdict.
            _log.exception("a call of the jail failed: %s", type(call).__name__)
            return Failed(code="internal", message="the call could not be passed on")
        if isinstance(call, Decide | Redeem) and isinstance(reply, Judged | Performed):
            self._tally.count(reply.verdict.effect.value)
        return reply

    def _filled(self, call: AgentCall) -> AgentCall:
        """Return the call as one of this session, which the channel proves."""
        changed: dict[str, Any] = {"session": self._session, "proof": None}
        if isinstance(call, ApprovalOf):
            changed["wait_ms"] = max(0, min(call.wait_ms, _LONGEST_POLL_MS))
        return structs.replace(call, **changed)

    def _note(self, reply: Reply) -> None:
        if isinstance(reply, Judged):
            self._unread = reply.verdict.attempt

    def _settle_unread(self) -> None:
        """An effect whose start nobody read was never reached, and is recorded so."""
        if self._unread:
            outcome = Outcome(OutcomeKind.NOT_STARTED)
            call = Observe(session=self._session, attempt=self._unread, outcome=outcome)
            with contextlib.suppress(BridleError):
                self._channel.send(call)


def _refusal(call: Call) -> Failed | None:
    """Say why a call is not passed on; None where it is."""
    if isinstance(call, Vend):
        # INVARIANT: no secret enters a jail, whoever carries the action out in it.
        return Failed(code="not_separated", message="a jail gets no credentials")
    if isinstance(call, Offer):
        return Failed(
            code="jail_refused",
            message="nothing can be handed on from inside a jail: its run's key is outside",
            hint="hand on from a process outside, and run the receiver in a jail of its own",
        )
    if not isinstance(call, _PASSED):
        raise ProtocolError("a jail asks as the agent of one session, and nothing else")
    if call.session:
        # INVARIANT: I9 — a jail acts in its own session only, whichever handles it has found.
        raise ProtocolError("calls from a jail name no session")
    return None


def _seconds(call: Call) -> float | None:
    performs = isinstance(call, Decide | Redeem) and call.perform
    return _PERFORMING if performs else None


def _greet(frames: Frames, store: str) -> None:
    from bridle import __version__

    body = frames.receive(time.monotonic() + _PATIENCE)
    if body is None:
        raise ConnectionResetError
    hello = wire.decode_hello(body)
    if hello.bridle != wire.VERSION:
        raise ProtocolError(
            f"this governor speaks version {wire.VERSION}, not {hello.bridle}",
            code="protocol_version",
        )
    if hello.role != "agent":
        raise ProtocolError("in a jail there is no operator")
    _send(frames, wire.Welcome(bridle=wire.VERSION, store=store, governor=__version__))


def _send(frames: Frames, message: Reply | wire.Welcome) -> None:
    try:
        body = wire.encode(message)
    except ProtocolError as problem:
        body = wire.encode(Failed(code=problem.code, message=problem.message))
    frames.send(body, time.monotonic() + _PATIENCE)
