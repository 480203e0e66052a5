"""Keeps the one socket of a jail, outside of it. One job: who may connect, and to which service.

A connection begins with one line, the name of a service. Whoever reaches the socket is the agent;
what it may then ask is the service's matter. Everything that arrives here is hostile.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from typing import Protocol, Self

from bridle.client.transport.peer import peer_of, short_path
from bridle.jail.meeting_place import MeetingPlace

_log = logging.getLogger("bridle.jail")

MOST_CONNECTIONS = 64
"""Connections that one jail may have at a time."""

LONGEST_NAME = 80
"""Bytes of the line that names a service, its end included."""

_PATIENCE = 10.0
# Seconds for services to end once the jail is gone.
_GRACE = 2.0


READY = "ready"
"""What the relay asks before it starts the command: a jail without its warden starts nothing."""


class Service(Protocol):
    """What one connection is served by. It may close the connection, and need not."""

    def __call__(self, connection: socket.socket) -> None:
        """Serve until either side has had enough. Called in a thread of the connection's own."""
        ...


class Warden:
    """Listens for one jail: `with Warden(services, uid=…) as warden:`, its socket is `path`.

    `uid` is whom the jail's processes are outside; nobody else is served. `patience` is the
    seconds a connection has to name its service.
    """

    def __init__(
        self, services: Mapping[str, Service], *, uid: int, patience: float = _PATIENCE
    ) -> None:
        self._services = {READY: _be_there, **services}
        self._uid = uid
        self._patience = patience
        self._lock = threading.Lock()
        self._running: dict[socket.socket, threading.Thread] = {}
        self._closed = False
        self._place = MeetingPlace()
        # Nobody else can list the folder, so nobody else knows the name.
        self.path = self._place.folder / secrets.token_hex(16)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listen()
        except BaseException:
            self.close()
            raise

    def _listen(self) -> None:
        others = self._uid != os.geteuid()
        with short_path(self.path) as name:
            self._listener.bind(name)
        self.path.chmod(0o666 if others else 0o600)
        self._place.folder.chmod(0o711 if others else 0o700)
        self._listener.listen(MOST_CONNECTIONS)
        threading.Thread(target=self._accept, name="bridle-warden", daemon=True).start()

    def close(self) -> None:
        """Take no more connections, and end those that are there."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            running = dict(self._running)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in running:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + _GRACE
        for thread in running.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        self._place.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except ConnectionAbortedError:
                continue
            except OSError as problem:
                with self._lock:
                    if self._closed:
                        return
                _log.warning("no connection of the jail can be taken: %s", problem)
                time.sleep(0.1)
                continue
            if not self._admit(connection):
                connection.close()

    def _admit(self, connection: socket.socket) -> bool:
        try:
            if peer_of(connection).uid != self._uid:
                return False
        except OSError:
            return False
        thread = threading.Thread(
            target=self._serve, args=(connection,), name="bridle-jailed", daemon=True
        )
        with self._lock:
            if self._closed or len(self._running) >= MOST_CONNECTIONS:
                return False
            # Under the lock: whoever closes joins only what has been started.
            try:
                thread.start()
            except RuntimeError:
                return False
            self._running[connection] = thread
        return True

    def _serve(self, connection: socket.socket) -> None:
        try:
            service = self._services.get(self._named(connection))
            if service is not None:
                service(connection)
        except OSError:
            pass  # gone or too slow: there is nobody left to tell
        except Exception:
            _log.exception("a connection of the jail failed")
        finally:
            self._forget(connection)
            connection.close()

    def _forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._running.pop(connection, None)

    def _named(self, connection: socket.socket) -> str:
        """Return the service that the first line names; empty for what names none."""
        deadline = time.monotonic() + self._patience
        line = b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or len(line) >= LONGEST_NAME:
                return ""
            connection.settimeout(left)
            # What follows the line is the service's to read.
            byte = connection.recv(1)
            if not byte:
                return ""
            line += byte
        connection.settimeout(None)
        return line[:-1].decode("ascii", "replace")


def _be_there(connection: socket.socket) -> None:
    connection.sendall(b"ok\n")
