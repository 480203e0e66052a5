"""Runs a proxy between this process's own standard input and output and a server it starts."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Self

from bridle.client.access import Access
from bridle.gateway.calling.call import State
from bridle.gateway.catalogue import Catalogue
from bridle.gateway.proxy import Proxy, Rules
from bridle.gateway.wire import message
from bridle.gateway.wire.child import Child
from bridle.gateway.wire.lines import Crew, Job, LineReader, LineTooLongError, LineWriter

_CLIENT, _SERVER, _STOPPED = b"c", b"s", b"t"
# Seconds: for what is in flight when the client leaves, and for the server to end by itself.
_DRAIN = 1.0
_GRACE = 1.0
# Seconds for what only takes the governor's answer.
_OWN = 5.0
_MOST_THREADS = 128


def serve(  # noqa: PLR0913 - all but two by name
    access: Access,
    command: Sequence[str],
    *,
    system: str = "",
    rules: Rules,
    ready: Callable[[], None] = lambda: None,
    verbose: bool = False,
    quiet: bool = False,
) -> bool:
    """Run until the client or the server leaves, or a signal comes. Call from the main thread.

    `ready` is called once the server runs. Returns whether the server stayed as long as it was
    wanted. With `quiet` the server's standard error is dropped. Raises `UsageError` when nothing
    could be called, `ServerError` when nothing starts.
    """
    catalogue = Catalogue(system)
    catalogue.reach(access.tools())
    catalogue.require_any()
    with _Bell() as bell:
        child = Child(command, subprocess.DEVNULL if quiet else None)
        try:
            return _Run(access, catalogue, child, rules, bell, verbose=verbose).run(ready)
        finally:
            child.stop(_GRACE)


class _Run:
    """One client, one server, from the first line to the last."""

    def __init__(  # noqa: PLR0913 - made in one place
        self,
        access: Access,
        catalogue: Catalogue,
        child: Child,
        rules: Rules,
        bell: _Bell,
        *,
        verbose: bool,
    ) -> None:
        self._bell = bell
        self._verbose = verbose
        self._out = LineWriter(sys.stdout.fileno(), lambda: bell.ring(_CLIENT))
        self._proxy = Proxy(
            access,
            catalogue,
            client=self._out,
            server=LineWriter(child.stdin),
            rules=rules,
            tell=self._tell,
        )
        client = LineReader(sys.stdin.fileno(), message.LONGEST_FROM_CLIENT)
        server = LineReader(child.stdout, message.LONGEST_FROM_SERVER)
        self._crews = (
            Crew(
                "bridle-client",
                lambda: self._from_client(client),
                lambda: bell.ring(_CLIENT),
                most=_MOST_THREADS,
            ),
            Crew(
                "bridle-server",
                lambda: self._from_server(server),
                lambda: bell.ring(_SERVER),
                most=_MOST_THREADS,
            ),
        )

    def run(self, ready: Callable[[], None]) -> bool:
        for crew in self._crews:
            crew.start()
        ready()
        why = self._bell.wait()
        if why == _CLIENT:
            self._wind_down()
        # A client that does not read hears no more after that.
        clock = threading.Timer(_OWN, self._out.close)
        clock.daemon = True
        clock.start()
        self._proxy.server_ended("The server has ended")
        # Calls that were being judged find that they came too late, and say so to the governor.
        self._proxy.drained(_OWN)
        self._proxy.calls.close()
        return why != _SERVER

    def _wind_down(self) -> None:
        """The client has sent its last: let what it sent be done, as far as that takes no time."""
        if not self._proxy.drained(_DRAIN):
            self._proxy.drained(_OWN, State.JUDGING)
            self._proxy.drained(_DRAIN)

    def _from_client(self, reader: LineReader) -> Job | None:
        try:
            line = reader.next()
        except LineTooLongError as long:
            self._tell(f"a line of the client was refused: {long.message}")
            self._proxy.oversized(long.message)
            return None
        if line is None:
            raise EOFError
        return self._proxy.from_client(line) if line.strip() else None

    def _from_server(self, reader: LineReader) -> Job | None:
        try:
            line = reader.next()
        except LineTooLongError as long:
            # Nobody can say what it was the answer to, so nothing more is believed.
            self._tell(f"the server is cut off: {long.message}")
            raise EOFError from long
        if line is None:
            raise EOFError
        return self._proxy.from_server(line) if line.strip() else None

    def _tell(self, text: str) -> None:
        if self._verbose:
            sys.stderr.write(f"bridle mcp: {text}\n")
            sys.stderr.flush()


class _Bell:
    """What the main thread sleeps by: rung by whoever sees an end, and by SIGTERM and SIGINT."""

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        self._before = {number: signal.signal(number, self._signalled) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def ring(self, why: bytes) -> None:
        """Wake the main thread, saying why."""
        with suppress(BlockingIOError):
            os.write(self._write, why)

    def wait(self) -> bytes:
        """Sleep until it rings; return the first reason."""
        while True:
            select.select([self._read], [], [])
            why = os.read(self._read, 1)
            if why:
                return why

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.ring(_STOPPED)
