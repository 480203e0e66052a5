"""Lines in and out of pipes, and the threads that take turns at reading them.

Whoever has read a line passes the reading on before it does anything slow, so that one call never
waits for another; what must stay in order is done before that.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress

from bridle.model.errors import BridleError

_CHUNK = 65_536
# POSIX: a pipe that is ready for writing takes so many bytes without waiting.
_AT_ONCE = select.PIPE_BUF

Job = Callable[[], None]


class LineTooLongError(BridleError):
    """A line beyond its bound. It has been skipped, its bytes are gone."""

    code = "limit_exceeded"


class BrokenPipe(BridleError):  # noqa: N818 - the name everybody knows it by
    """The reader at the other end is gone. `begun`: it may have got a part of the line."""

    code = "broken_pipe"

    def __init__(self, *, begun: bool) -> None:
        super().__init__("nobody reads this any more")
        self.begun = begun


class LineReader:
    """Reads lines from a file descriptor, none longer than `longest` bytes."""

    def __init__(self, descriptor: int, longest: int) -> None:
        self._descriptor = descriptor
        self._longest = longest
        self._buffer = bytearray()
        self._searched = 0

    def next(self) -> bytes | None:
        """Return the next line without its end, None at the end of the stream.

        What follows the last line end is no line: its writer died before it was whole. Raises
        `LineTooLongError` once the whole of a longer line has been skipped.
        """
        skipping = False
        while True:
            end = self._buffer.find(b"\n", self._searched)
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                self._searched = 0
                if skipping or len(line) > self._longest:
                    raise LineTooLongError(f"a line has more than {self._longest:,} bytes")
                return line[:-1] if line.endswith(b"\r") else line
            self._searched = len(self._buffer)
            if self._searched > self._longest:
                skipping = True
                self._buffer.clear()
                self._searched = 0
            if not self._fill():
                return None

    def _fill(self) -> bool:
        try:
            data = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            select.select([self._descriptor], [], [])
            return True
        except OSError:
            return False
        self._buffer += data
        return bool(data)


class LineWriter:
    """Writes whole lines to a file descriptor, from any thread.

    `broken` is called whenever a line finds nobody to read it.
    """

    def __init__(self, descriptor: int, broken: Callable[[], None] = lambda: None) -> None:
        self._descriptor = descriptor
        self._broken = broken
        self._lock = threading.Lock()
        self._over, self._end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._ready = select.poll()
        self._ready.register(descriptor, select.POLLOUT)
        self._ready.register(self._over, select.POLLIN)

    def write(self, line: bytes) -> None:
        """Write a line and its end. Raises `BrokenPipe`."""
        rest = memoryview(line + b"\n")
        begun = False
        with self._lock:
            while rest:
                try:
                    rest = rest[self._some(rest) :]
                    begun = True
                except BlockingIOError:
                    continue
                except OSError:
                    self._broken()
                    raise BrokenPipe(begun=begun) from None

    def close(self) -> None:
        """Write no more. Whoever waits for a reader that does not read finds that it is gone."""
        with suppress(BlockingIOError):
            os.write(self._end, b"x")

    def _some(self, rest: memoryview) -> int:
        """Write what can be written without waiting, once anything can. Raises `OSError`."""
        if any(descriptor == self._over for descriptor, _ in self._ready.poll()):
            raise BrokenPipeError
        return os.write(self._descriptor, rest[:_AT_ONCE])


class Crew:
    """Threads that take turns at `take`, which reads one line and does what must stay in order.

    What `take` returns is run after the turn has been passed on; None: nothing is left to do.
    `EOFError` (or whatever else it raises) ends the crew: then `ended` is called, once, by the last
    to have had a turn.
    """

    def __init__(
        self, name: str, take: Callable[[], Job | None], ended: Callable[[], None], *, most: int
    ) -> None:
        self._name = name
        self._take = take
        self._ended = ended
        self._most = most
        self._turn = threading.Lock()
        self._count = threading.Lock()
        self._threads = 0
        self._waiting = 0
        self._over = False

    def start(self) -> None:
        """Begin to read."""
        with self._count:
            self._threads += 1
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._count:
                self._waiting += 1
            with self._turn:
                with self._count:
                    self._waiting -= 1
                job = self._one()
            if job is None:
                return
            self._succeeded()
            try:
                job()
            except BaseException:
                with self._count:
                    self._threads -= 1
                raise

    def _one(self) -> Job | None:
        """Read until there is something to do out of turn; None when it is over."""
        while not self._over:
            try:
                job = self._take()
            except BaseException as problem:
                # INVARIANT: I2 — where reading fails for whatever reason, nothing more is read.
                self._over = True
                self._ended()
                if isinstance(problem, EOFError):
                    return None
                raise
            if job is not None:
                return job
        return None

    def _succeeded(self) -> None:
        """See to it that somebody reads on while this thread is busy."""
        with self._count:
            more = self._waiting == 0 and self._threads < self._most and not self._over
            self._threads += more
        if more:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
