"""The channel over the governor's Unix socket: blocking, pooled, safe for threads and for fork.

One request at a time travels on a connection, and a connection on which anything went wrong is
closed, so a late answer can never be taken for the answer to another call.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from bridle.client.transport import runs, wire
from bridle.client.transport.channel import SILENT, error_of
from bridle.client.transport.frames import Frames
from bridle.client.transport.peer import folder_of, peer_of, short_path
from bridle.model.calls import (
    ApprovalOf,
    Approvals,
    Attempts,
    Beat,
    Begin,
    Call,
    CheckPlan,
    Decide,
    Failed,
    Missions,
    Observe,
    Redeem,
    Reply,
    Status,
    ToolsOf,
)
from bridle.model.errors import ProtocolError, UnreachableError, UsageError
from bridle.model.outcome import OutcomeKind
from bridle.trust.proof import Challenge

if TYPE_CHECKING:
    from bridle.trust.credential import Credential

# Sending these twice means the same as sending them once: the governor knows them by their action
# or attempt, or they only read.
_REPEATABLE = (
    Decide,
    Begin,
    CheckPlan,
    Beat,
    Observe,
    Redeem,
    ApprovalOf,
    ToolsOf,
    Missions,
    Approvals,
    Attempts,
    Status,
)
_MAX_IDLE = 32
_PAUSE = 0.05
_START = "start it with `bridle serve BUNDLE`, or use bridle.open(BUNDLE), which does"


class _LostError(Exception):
    """The connection broke. `sent`: the governor may have read the request."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__()
        self.sent = sent


class UnixChannel:
    """Connections to one of the governor's sockets.

    `role` is `agent` or `operator`, `timeout` the seconds one call may take from first to last.
    `credential` is proved on every connection that is made. `service` is what is asked for at a
    jail's socket, which whoever made the jail has put there.
    """

    def __init__(
        self,
        path: Path,
        *,
        role: str,
        timeout: float = 10.0,
        credential: Credential | None = None,
        service: str = "",
    ) -> None:
        self.path = path
        self._service = service
        self._credential = credential
        self.role = role
        self.timeout = timeout
        self.welcome: wire.Welcome | None = None
        self._lock = threading.Lock()
        self._idle: list[Frames] = []
        self._open: set[Frames] = set()
        self._closed = False
        _channels.add(self)

    def connect(self, *, timeout: float | None = None) -> wire.Welcome:
        """Make sure the governor is there and speaks our version; return its greeting."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        self._give_back(self._take(deadline))
        assert self.welcome is not None
        return self.welcome

    @property
    def store(self) -> str:
        """The id of the governor's store, as it greeted. Raises `UnreachableError`."""
        return (self.welcome or self.connect()).store

    def log_in(self, credential: Credential) -> None:
        """From here on, prove this credential; what connected before is used no more."""
        with self._lock:
            self._credential = credential
            idle, self._idle = self._idle, []
            # A connection in use is closed when it is given back.
            self._open.clear()
        for connection in idle:
            self._drop(connection)

    def send(self, call: Call, *, timeout: float | None = None) -> Reply:
        """See `Channel.send`. A long poll's own wait is added to the timeout."""
        # Refused before anything is sent, where it cannot be said at all.
        wire.encode(call)
        seconds = self.timeout if timeout is None else timeout
        if isinstance(call, ApprovalOf):
            seconds += call.wait_ms / 1000
        deadline = time.monotonic() + seconds
        # What an effect did must be told if there is any way to, so this waits for a governor
        # that is being restarted; that nobody knows it, the governor finds by itself.
        patient = isinstance(call, Observe) and call.outcome.kind is not OutcomeKind.UNKNOWN
        tries = 0
        while True:
            tries += 1
            in_time = patient and time.monotonic() + _PAUSE < deadline
            try:
                return self._exchange(call, deadline)
            except _LostError as lost:
                final = tries > 1 or (lost.sent and not _repeatable(call))
                if final and not in_time:
                    why = "the connection broke before the answer came"
                    raise self._unreachable(why, _silence(call, sent=lost.sent)) from lost
            except UnreachableError:
                if not in_time:
                    raise
            time.sleep(_PAUSE if tries > 1 else 0)

    def close(self) -> None:
        """Close idle connections; the others close when their call ends."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            self._drop(connection)

    def __del__(self) -> None:
        # Agents that were loaded from pickles have nobody who would close their channel.
        for connection in self._open:
            connection.close()

    def _exchange(self, call: Call, deadline: float) -> Reply:
        connection = self._take(deadline)
        sent = False
        try:
            # Each try has a proof of its own: the governor takes none twice.
            body = wire.encode(runs.proved(call, connection.instance))
            connection.send(body, deadline)
            sent = True
            reply = _received(connection, deadline)
        except TimeoutError as late:
            self._drop(connection)
            why = "the governor did not answer in time"
            raise self._unreachable(why, _silence(call, sent=sent)) from late
        except (OSError, ProtocolError) as broken:
            self._drop(connection)
            if not _hung_up(broken):
                raise
            # A restarted governor leaves every idle connection dead, not only this one.
            self._drop_idle()
            raise _LostError(sent=sent) from broken
        except BaseException:
            self._drop(connection)
            raise
        self._give_back(connection)
        return reply

    def _take(self, deadline: float) -> Frames:
        with self._lock:
            if self._closed:
                raise UsageError("this connection to the governor has been closed")
            if self._idle:
                return self._idle.pop()
        return self._connect(deadline)

    def _give_back(self, connection: Frames) -> None:
        with self._lock:
            keep = not self._closed and len(self._idle) < _MAX_IDLE and connection in self._open
            if keep:
                self._idle.append(connection)
        if not keep:
            self._drop(connection)

    def _drop(self, connection: Frames) -> None:
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def _drop_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            self._drop(connection)

    def _connect(self, deadline: float) -> Frames:
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection = Frames(plain)
        with self._lock:
            self._open.add(connection)
        try:
            self._reach(plain, deadline)
            if self._service:
                # In a jail the owner outside has no name.
                plain.sendall(f"{self._service}\n".encode())
            else:
                self._check_owner(plain)
            welcome = self._greet(connection, deadline)
            self._prove(connection, welcome, deadline)
        except BaseException as problem:
            self._drop(connection)
            if _hung_up(problem):
                why = problem.strerror if isinstance(problem, OSError) else ""
                raise self._unreachable(why or "it does not answer") from problem
            raise
        return connection

    def _reach(self, connection: socket.socket, deadline: float) -> None:
        while True:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                with short_path(self.path) as name:
                    connection.connect(name)
            except BlockingIOError:
                # The governor's queue of new connections is full (unix(7): EAGAIN).
                if time.monotonic() + _PAUSE >= deadline:
                    raise
                time.sleep(_PAUSE)
            else:
                connection.settimeout(None)
                return

    def _check_owner(self, connection: socket.socket) -> None:
        # Whoever owns the folder made the socket; anybody else only took its name.
        owner = self.path.parent.stat().st_uid
        uid = peer_of(connection).uid
        if uid not in (owner, 0):
            raise ProtocolError(
                f"the process at {self.path} runs as uid {uid}, but the folder belongs to {owner}",
                code="not_the_governor",
            )

    def _greet(self, connection: Frames, deadline: float) -> wire.Welcome:
        hello = wire.Hello(bridle=wire.VERSION, role=self.role)
        # A governor that turned us away has hung up by now; what it said is still there to read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.send(wire.encode(hello), deadline)
        body = connection.receive(deadline)
        if body is None:
            raise ConnectionResetError(104, "it hung up")
        greeting = wire.decode_greeting(body)
        if isinstance(greeting, Failed):
            raise self._refused(greeting)
        if greeting.bridle != wire.VERSION:
            raise ProtocolError(
                f"the governor speaks version {greeting.bridle}, this client {wire.VERSION}",
                code="protocol_version",
                hint="use the same release of Bridle on both sides",
            )
        self.welcome = greeting
        connection.instance = greeting.instance
        return greeting

    def _prove(self, connection: Frames, welcome: wire.Welcome, deadline: float) -> None:
        if self._credential is None:
            return
        # INVARIANT: I9 — the folder is the one that was connected to, not what a governor says.
        folder = folder_of(self.path)
        challenge = Challenge(welcome.store, welcome.nonce, self.role, folder)
        try:
            login = self._credential.login(challenge)
        except ValueError as odd:
            raise ProtocolError("the governor's greeting has no nonce") from odd
        connection.send(wire.encode(login), deadline)
        answer = _received(connection, deadline)
        if isinstance(answer, Failed):
            raise error_of(answer)

    def _refused(self, failed: Failed) -> UnreachableError | ProtocolError:
        kind = ProtocolError if failed.code.startswith("protocol") else UnreachableError
        return kind(failed.message, code=failed.code, hint=failed.hint)

    def _unreachable(self, why: str, code: str | None = None) -> UnreachableError:
        message = f"no governor answers at {self.path}: {why}"
        return UnreachableError(message, code=code, hint=_START)

    def forget(self) -> None:
        """After a fork: the parent's connections are the parent's."""
        self._lock = threading.Lock()
        for connection in self._open:
            connection.close()
        self._open, self._idle = set(), []


def _performs(call: Call) -> bool:
    return isinstance(call, Decide | Redeem) and call.perform


def _repeatable(call: Call) -> bool:
    # What is carried out over there goes on: only whoever asked can say whether to ask again.
    return isinstance(call, _REPEATABLE) and not _performs(call)


def _silence(call: Call, *, sent: bool) -> str | None:
    return SILENT if sent and _performs(call) else None


def _hung_up(problem: BaseException) -> bool:
    """Whether the connection ended, be it within a frame: a governor that was killed."""
    return isinstance(problem, OSError) or (
        isinstance(problem, ProtocolError) and problem.code == wire.TRUNCATED
    )


def _received(connection: Frames, deadline: float) -> Reply:
    answer = connection.receive(deadline)
    if answer is None:
        raise ConnectionResetError
    if connection.ahead:
        raise ProtocolError("the governor answered more than was asked")
    return wire.decode_reply(answer)


_channels: weakref.WeakSet[UnixChannel] = weakref.WeakSet()


def _after_fork() -> None:
    for channel in list(_channels):
        channel.forget()


os.register_at_fork(after_in_child=_after_fork)
