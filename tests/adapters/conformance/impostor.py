"""What a worker meets in place of its governor: at the same socket, in the same folder."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

RUBBISH = b"\x00\x00\x00\x10" + b"\xff{]not an answer"


class Impostor:
    """Takes connections, and answers with `noise`, or with nothing and never."""

    def __init__(self, path: Path, noise: bytes) -> None:
        self.asked = 0
        self._noise = noise
        self._kept: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                self.asked += 1
                self._kept.append(peer)
                if self._noise:
                    peer.sendall(self._noise)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        for each in (self._listener, *self._kept):
            each.close()


@contextmanager
def impostor(folder: Path, noise: bytes = b"") -> Iterator[Impostor]:
    """Stand where the agents' socket of this folder was."""
    path = folder / "agents.sock"
    end = time.monotonic() + 10
    while path.exists() and time.monotonic() < end:  # a governor takes its socket away as it ends
        time.sleep(0.02)
    made = Impostor(path, noise)
    try:
        yield made
    finally:
        made.close()
