"""A program outside as a service: one for each connection, with that as input and output."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence

# Seconds for programs to end once they are told to.
_GRACE = 5.0


class CommandService:
    """Starts `command` for each connection, with `environ` as its whole environment.

    It runs outside the jail, as whoever runs this. What it complains of goes to our standard error.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._command = tuple(command)
        self._environ = dict(environ)
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()

    def __call__(self, connection: socket.socket) -> None:
        """Serve one connection: until the program ends, which the end of its input is to bring."""
        with subprocess.Popen(  # noqa: S603 - the operator's own command
            self._command,
            stdin=connection.fileno(),
            stdout=connection.fileno(),
            env=self._environ,
            start_new_session=True,
        ) as process:
            with self._lock:
                self._running.add(process)
            try:
                process.wait()
            finally:
                with self._lock:
                    self._running.discard(process)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the programs that are still there: kindly, then not."""
        with self._lock:
            running = tuple(self._running)
        for process in running:
            process.terminate()
        deadline = time.monotonic() + _GRACE
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
