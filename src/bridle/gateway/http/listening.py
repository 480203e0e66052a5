"""Takes HTTP connections in, a thread for each, up to a limit, and ends them in order."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time

from bridle.gateway.http.connection import Connection, Handler

_log = logging.getLogger("bridle.http")

# Seconds: for a request to arrive and an answer to leave, for a connection without one, and at
# the end for what is under way.
_PATIENCE, _IDLE, _GRACE = 10.0, 60.0, 10.0
_MOST = 128
_BACKLOG = 128
# Seconds to leave connections waiting when the process has no file or thread left for them.
_BREATHER = 0.1


class HttpServer:
    """Serves a handler at an address until `stop`. Raises `OSError` where it is taken."""

    def __init__(
        self,
        handler: Handler,
        address: tuple[str, int],
        *,
        patience: float = _PATIENCE,
        idle: float = _IDLE,
        most: int = _MOST,
    ) -> None:
        self._handler = handler
        self._patience, self._idle, self._most = patience, idle, most
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._listener = socket.create_server(address, family=family, backlog=_BACKLOG)
        self._listener.setblocking(False)
        self._wake_out, self._wake_in = socket.socketpair()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._running: dict[Connection, threading.Thread] = {}

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: host and port."""
        found = self._listener.getsockname()
        return found[0], found[1]

    def run(self) -> None:
        """Take connections until told to stop; then finish the requests under way."""
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._wake_out, selectors.EVENT_READ)
                selector.register(self._listener, selectors.EVENT_READ)
                while not self._stopping.is_set():
                    selector.select()
                    self._accept()
        finally:
            self._end()

    def stop(self) -> None:
        """Have `run` return. Safe in a signal handler and from any thread."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._wake_in.send(b"x")

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as problem:
            _log.warning("no connection can be taken: %s", problem)
            self._stopping.wait(_BREATHER)
            return
        with self._lock:
            full = len(self._running) >= self._most
        if full or not self._start(connection):
            # Whoever asks finds nobody, which is a refusal everywhere.
            connection.close()

    def _start(self, connection: socket.socket) -> bool:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        served = Connection(connection, self._handler, patience=self._patience, idle=self._idle)
        thread = threading.Thread(
            target=self._serve, args=(served,), name="bridle-http", daemon=True
        )
        with self._lock:
            self._running[served] = thread
        try:
            thread.start()
        except RuntimeError:
            self._forget(served)
            return False
        return True

    def _serve(self, served: Connection) -> None:
        try:
            served.serve()
        finally:
            self._forget(served)

    def _forget(self, served: Connection) -> None:
        with self._lock:
            del self._running[served]

    def _end(self) -> None:
        self._listener.close()
        with self._lock:
            running = dict(self._running)
        for served in running:
            served.stop()
        deadline = time.monotonic() + _GRACE
        for thread in running.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        self._wake_in.close()
        self._wake_out.close()
