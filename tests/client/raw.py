"""Peers that do not behave: each speaks on a real Unix socket in place of a governor."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bridle.client.transport import wire
from bridle.client.transport.peer import short_path

WELCOME = wire.encode(wire.Welcome(bridle=wire.VERSION, store="s", governor="0"))

Behaviour = Callable[[socket.socket], None]


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def read_frame(connection: socket.socket) -> bytes:
    head = connection.recv(4, socket.MSG_WAITALL)
    if len(head) < 4:
        raise ConnectionResetError
    return connection.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL)


def hello(role: str = "agent", version: int = wire.VERSION) -> bytes:
    return frame(msgspec.json.encode({"bridle": version, "role": role}))


class Peer:
    """Counts who connected and what they asked."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.over = threading.Event()

    def greet(self, connection: socket.socket) -> None:
        read_frame(connection)
        connection.sendall(frame(WELCOME))

    def asked(self, connection: socket.socket) -> bytes:
        request = read_frame(connection)
        self.requests.append(request)
        return request


@contextmanager
def listening(folder: Path, behave: Callable[[Peer, socket.socket], None]) -> Iterator[Peer]:
    """Listen at agents.sock; each connection is handled by `behave` in its own thread."""
    peer = Peer()
    path = folder / "agents.sock"
    listener = socket.socket(socket.AF_UNIX)
    with short_path(path) as name:
        listener.bind(name)
    listener.listen(64)
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection:
            try:
                behave(peer, connection)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            peer.connections += 1
            thread = threading.Thread(target=one, args=(connection,), name="test-peer")
            threads.append(thread)
            thread.start()

    accepting = threading.Thread(target=accept, name="test-accept")
    accepting.start()
    try:
        yield peer
    finally:
        peer.over.set()
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join(30)
        listener.close()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()


def connected(folder: Path, name: str = "agents.sock") -> socket.socket:
    """Connect with nothing but a socket."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    with short_path(folder / name) as short:
        connection.connect(short)
    return connection
