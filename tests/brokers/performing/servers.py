"""Servers on loopback that answer a script byte by byte, and keep what reached them."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Script = bytes | Callable[[socket.socket, bytes], None]

OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Sink:
    """One server: `requests` are what it was sent, `ended` is set when a peer hung up on it."""

    def __init__(self, script: Script, context: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self.arrived = threading.Event()
        self.ended = threading.Event()
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://localhost:{self.port}"

    def close(self) -> None:
        # A thread that waits in `accept` learns of it by a shutdown, not by a close.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(peer,), daemon=True).start()

    def _one(self, peer: socket.socket) -> None:
        with suppress(OSError):
            if self._context is not None:
                peer = self._context.wrap_socket(peer, server_side=True)
            with peer:
                request = received(peer)
                self.requests.append(request)
                self.arrived.set()
                if callable(self.script):
                    self.script(peer, request)
                else:
                    peer.sendall(self.script)
        self.ended.set()


def received(peer: socket.socket) -> bytes:
    """One whole request."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = peer.recv(65_536)
        if not part:
            return data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    while len(body) < sum(lengths):
        body += peer.recv(65_536)
    return head + b"\r\n\r\n" + body


@contextmanager
def serving(script: Script, context: ssl.SSLContext | None = None) -> Iterator[Sink]:
    sink = Sink(script, context)
    try:
        yield sink
    finally:
        sink.close()


def hang(peer: socket.socket, request: bytes) -> None:
    """Answer nothing until the peer hangs up."""
    del request
    while peer.recv(1):
        pass
