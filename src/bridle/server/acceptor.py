"""Takes connections in, a thread for each, as many as a door allows, and ends them in order."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections.abc import Iterable, Sequence

from bridle.client.transport import wire
from bridle.client.transport.embedded import TICK_SECONDS, Handler
from bridle.client.transport.frames import Frames
from bridle.client.transport.peer import Peer, peer_of
from bridle.model.calls import Caller, Failed
from bridle.model.errors import ProtocolError
from bridle.server.connection import Connection
from bridle.server.listening import Door, Listener, listen, remove
from bridle.server.performing import Performances

_log = logging.getLogger("bridle.server")

# Seconds that calls under way have to finish once the server stops.
_GRACE = 10.0
# Seconds that those have to record their end that were stopped then.
_LAST_WORDS = 2.0
# Seconds to leave new connections waiting when the process has no file or thread left for them.
_BREATHER = 0.1


class Server:
    """Serves a handler (a governor) at its doors until `stop`.

    `idle_exit` ends it once nobody has been connected for so many seconds; `patience` is the
    seconds a peer has for each of its frames.
    """

    def __init__(  # noqa: PLR0913 - settings by name
        self,
        handler: Handler,
        doors: tuple[Door, ...],
        *,
        store: str,
        version: str,
        idle_exit: float | None = None,
        patience: float = wire.FRAME_SECONDS,
    ) -> None:
        self._handler = handler
        self._doors = doors
        self._welcome = wire.Welcome(
            bridle=wire.VERSION, store=store, governor=version, instance=handler.instance
        )
        self._performances = Performances(handler)
        self._idle_exit = idle_exit
        self._patience = patience
        self._lock = threading.Lock()
        self._running: dict[Connection, threading.Thread] = {}
        self._held: dict[str, int] = {door.name: 0 for door in doors}
        self._last = time.monotonic()
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_in.setblocking(False)
        self._stopping = threading.Event()
        self._listeners: list[Listener] = []

    def listen(self, opened: Sequence[Listener] = ()) -> None:
        """Open the doors (but those `opened` before): clients can connect. Raises `OSError`."""
        known = dict(opened)
        for door in self._doors:
            self._listeners.append((door, known.get(door) or listen(door)))

    def run(self) -> None:
        """Take connections until told to stop; then finish the calls under way."""
        ticker = threading.Thread(target=self._tick, name="bridle-tick", daemon=True)
        ticker.start()
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._wake_out, selectors.EVENT_READ)
                for door, listener in self._listeners:
                    selector.register(listener, selectors.EVENT_READ, door)
                while not self._stopping.is_set() and not self._idle():
                    for key, _ in selector.select(TICK_SECONDS):
                        if isinstance(key.data, Door):
                            self._accept(key.data, key.fileobj)
        finally:
            self._end(ticker)

    def stop(self) -> None:
        """Have `run` return. Safe in a signal handler and from any thread."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._wake_in.send(b"x")

    def _tick(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            try:
                self._handler.tick()
            except Exception:
                # It will be tried again; until then everything not settled is refused anyway.
                _log.exception("housekeeping failed")

    def _idle(self) -> bool:
        if self._idle_exit is None:
            return False
        with self._lock:
            if self._running:
                self._last = time.monotonic()
            return time.monotonic() - self._last >= self._idle_exit

    def _accept(self, door: Door, listener: object) -> None:
        assert isinstance(listener, socket.socket)
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as problem:
            _log.warning("no connection can be taken: %s", problem)
            self._stopping.wait(_BREATHER)
            return
        try:
            refusal = self._admit(door, connection)
        except OSError:
            connection.close()
            return
        if refusal is not None:
            _turn_away(connection, refusal)

    def _admit(self, door: Door, connection: socket.socket) -> Failed | None:
        peer = peer_of(connection)
        if door.uids is not None and peer.uid not in door.uids:
            _log.warning("uid %d was refused at the %s socket", peer.uid, door.name)
            return Failed(code="operator_only", message="this socket is for an operator only")
        with self._lock:
            if self._held[door.name] >= door.limit:
                return Failed(
                    code="too_many_connections",
                    message=f"{door.limit} connections are open at the {door.name} socket",
                    hint="close agents and governors that are no longer used",
                )
            self._held[door.name] += 1
        return self._start(door, connection, peer)

    def _start(self, door: Door, connection: socket.socket, peer: Peer) -> Failed | None:
        caller = Caller(
            operator=door.operator,
            method=f"peer:{peer.uid}",
            uid=peer.uid,
        )
        served = Connection(
            connection,
            caller,
            self._handler,
            self._welcome,
            patience=self._patience,
            path=door.path,
            performances=self._performances,
        )
        thread = threading.Thread(
            target=self._serve, args=(served, door), name=f"bridle-{door.name}", daemon=True
        )
        with self._lock:
            self._running[served] = thread
        try:
            thread.start()
        except RuntimeError:
            self._forget(served, door)
            return Failed(code="too_many_connections", message="no thread can be started")
        return None

    def _serve(self, served: Connection, door: Door) -> None:
        try:
            served.serve()
        finally:
            self._forget(served, door)

    def _forget(self, served: Connection, door: Door) -> None:
        with self._lock:
            del self._running[served]
            self._held[door.name] -= 1
            self._last = time.monotonic()

    def _end(self, ticker: threading.Thread) -> None:
        self._stopping.set()
        for door, listener in self._listeners:
            remove(door, listener)
        with self._lock:
            running = dict(self._running)
        for served in running:
            served.stop()
        _join((*running.values(), ticker), _GRACE)
        # What takes longer is given up, and recorded so.
        self._performances.end()
        _join(running.values(), _LAST_WORDS)
        self._wake_in.close()
        self._wake_out.close()


def _join(threads: Iterable[threading.Thread], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def _turn_away(connection: socket.socket, refusal: Failed) -> None:
    """Say why, if it fits into the socket's buffer at once, and hang up."""
    with connection, contextlib.suppress(OSError, ProtocolError):
        Frames(connection).send(wire.encode(refusal), time.monotonic() + _BREATHER)
