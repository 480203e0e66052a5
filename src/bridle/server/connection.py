"""One connection: greeting, then request and answer in turn, until either side has had enough.

Every frame is hostile until decoded. Nothing a peer sends ends more than its own connection.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from pathlib import Path

from msgspec import Struct, structs

from bridle.client.transport import wire
from bridle.client.transport.embedded import Handler
from bridle.client.transport.frames import Frames
from bridle.client.transport.peer import folder_of
from bridle.model.calls import (
    Accept,
    AddPrompt,
    AgentCall,
    ApprovalOf,
    Begin,
    Call,
    Caller,
    Decide,
    Done,
    Failed,
    Judged,
    Login,
    Observe,
    Opened,
    OpenRun,
    Redeem,
    Reply,
    StartMission,
)
from bridle.model.errors import ProtocolError
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.server.performing import Performances
from bridle.trust.proof import NONCE_BYTES, Challenge

_log = logging.getLogger("bridle.server")

_LONGEST_POLL_MS = 20_000
_POLL_TURN_MS = 500
# Missions that one connection may have spoken for and still act as an agent.
_MOST_SPOKEN_FOR = 1_000


class Unread(Struct, frozen=True):
    """A start whose answer the peer may not have read."""

    session: str
    attempt: str


class Connection:
    """Serves one peer: `serve` blocks until it is over, `stop` ends it between two calls.

    `patience` is the seconds a peer has to say hello, to finish a frame, to take an answer,
    `path` the socket's, which a login is bound to. `performances` carries out what agents ask for.
    """

    def __init__(  # noqa: PLR0913 - settings by name
        self,
        connection: socket.socket,
        caller: Caller,
        handler: Handler,
        welcome: wire.Welcome,
        *,
        patience: float = wire.FRAME_SECONDS,
        path: Path | None = None,
        performances: Performances | None = None,
    ) -> None:
        self._frames = Frames(connection)
        self._performances = performances or Performances(handler)
        self._caller = caller
        self._handler = handler
        self._welcome = structs.replace(welcome, nonce=os.urandom(NONCE_BYTES).hex())
        self._patience = patience
        self._path = path
        self._unread: Unread | None = None
        self._begun = False
        self._spoken_for: set[str] = set()
        self._stopping = threading.Event()

    def serve(self) -> None:
        """Answer until the peer leaves, errs, or `stop` is called."""
        try:
            if self._greet():
                while self._one():
                    pass
        except ProtocolError as problem:
            self._refuse(problem.code, problem.message)
        except OSError:
            # Gone, too slow, or closed by `stop`: there is nobody left to tell.
            self._settle_unread()
        except Exception:
            _log.exception("a connection failed")
        finally:
            self._frames.close()

    def stop(self) -> None:
        """Let the call under way finish and take no other."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._frames.stop()

    def _greet(self) -> bool:
        body = self._frames.receive(time.monotonic() + self._patience)
        if body is None:
            return False
        hello = wire.decode_hello(body)
        if hello.bridle != wire.VERSION:
            raise ProtocolError(
                f"this governor speaks version {wire.VERSION}, not {hello.bridle}",
                code="protocol_version",
            )
        if hello.role != ("operator" if self._caller.operator else "agent"):
            raise ProtocolError("this is not the socket for that role")
        self._send(wire.encode(self._welcome))
        return True

    def _one(self) -> bool:
        another = self._frames.begins()
        # Whoever goes on, or hangs up without a reset, has read our last answer.
        self._unread = None
        if not another:
            return False
        body = self._frames.rest(time.monotonic() + self._patience)
        call = wire.decode_call(
            body, operator=self._caller.operator, asserting=bool(self._caller.workload)
        )
        first, self._begun = not self._begun, True
        if isinstance(call, Login):
            return self._log_in(call, first=first)
        if isinstance(call, AgentCall | Accept | OpenRun):
            self._act()
        reply = self._handle(call)
        self._note(call, reply)
        self._unread = _start_in(call, reply)
        self._send(_body(reply))
        return True

    def _log_in(self, call: Login, *, first: bool) -> bool:
        """Take a proof, once. Whoever fails is hung up on: each try costs a connection."""
        if not first:
            raise ProtocolError("a login is the first call of a connection", code="protocol_login")
        role = "operator" if self._caller.operator else "agent"
        folder = folder_of(self._path) if self._path is not None else ""
        challenge = Challenge(self._welcome.store, self._welcome.nonce, role, folder)
        found = self._handler.login(self._caller, call, challenge)
        if isinstance(found, Failed):
            self._send(wire.encode(found))
            return False
        self._caller = found
        self._send(wire.encode(Done(note=found.method)))
        return True

    def _act(self) -> None:
        """Note that this connection acts as an agent, which what it said for users now suffers."""
        if self._caller.acted:
            return
        if len(self._spoken_for) > _MOST_SPOKEN_FOR:
            raise ProtocolError(
                "this connection has spoken for too many users to act as an agent",
                code="protocol_acting",
            )
        # INVARIANT: words that a workload passed on count as a user's own only while their
        # connection never carries an agent's call, before or after.
        if self._spoken_for:
            self._handler.distrust(self._caller, tuple(sorted(self._spoken_for)))
        self._caller = structs.replace(self._caller, acted=True)

    def _note(self, call: Call, reply: Reply) -> None:
        """Remember for which missions a workload speaks over this connection."""
        if not self._caller.workload or len(self._spoken_for) > _MOST_SPOKEN_FOR:
            return
        if isinstance(call, StartMission) and isinstance(reply, Opened):
            self._spoken_for.add(reply.id)
        elif isinstance(call, AddPrompt) and isinstance(reply, Done):
            self._spoken_for.add(call.mission)

    def _handle(self, call: Call) -> Reply:
        try:
            if isinstance(call, ApprovalOf):
                return self._poll(call)
            if isinstance(call, Decide | Redeem) and call.perform:
                return self._performances.answer(self._caller, call)
            return self._handler.handle(self._caller, call)
        except Exception:
            # INVARIANT: I2 — an answer that fails is a refusal.
            _log.exception("a call failed: %s", type(call).__name__)
            return Failed(code="internal", message="the governor failed; its log says how")

    def _poll(self, call: ApprovalOf) -> Reply:
        """Wait in short turns, so that a server that stops need not wait for the longest poll."""
        left = min(call.wait_ms, _LONGEST_POLL_MS)
        while True:
            turn = max(0, min(left, _POLL_TURN_MS))
            began = time.monotonic()
            reply = self._handler.handle(self._caller, structs.replace(call, wait_ms=turn))
            waited = (time.monotonic() - began) * 1000
            left -= _POLL_TURN_MS
            # An answer before its turn is over is news, whatever it says.
            if left <= 0 or waited < turn or self._stopping.is_set():
                return reply

    def _send(self, body: bytes) -> None:
        self._frames.send(body, time.monotonic() + self._patience)

    def _refuse(self, code: str, message: str) -> None:
        with contextlib.suppress(OSError, ProtocolError):
            self._send(wire.encode(Failed(code=code, message=message)))

    def _settle_unread(self) -> None:
        """An effect whose start was answered to nobody was never reached, and is recorded so.

        A peer that hung up with our answer unread shows as a reset (unix(7)), one that read it
        first as an ordinary end.
        """
        if self._unread is None:
            return
        outcome = Outcome(OutcomeKind.NOT_STARTED)
        self._handle(
            Observe(session=self._unread.session, attempt=self._unread.attempt, outcome=outcome)
        )


def _start_in(call: Call, reply: Reply) -> Unread | None:
    if not isinstance(call, Decide | Begin | Redeem) or not isinstance(reply, Judged):
        return None
    attempt = reply.verdict.attempt
    return Unread(call.session, attempt) if attempt else None


def _body(reply: Reply) -> bytes:
    try:
        return wire.encode(reply)
    except ProtocolError as problem:
        hint = "ask for less at a time: pass a smaller limit"
        return wire.encode(Failed(code=problem.code, message=problem.message, hint=hint))
