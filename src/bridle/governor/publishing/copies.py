"""One copy of the checkpoint, on a disk that may hang, where others may write too.

What a disk does that does not answer is not up to us: each copy is read and written by threads of
its own, one at a time, and nobody waits for them longer than `PATIENCE_S`.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bridle.ledger.note import MOST_BYTES
from bridle.model.errors import StoreError
from bridle.store import folders

_log = logging.getLogger("bridle.governor")

# Anyone may read a copy: it says how many records there are, and a hash.
_PUBLIC = 0o644

PATIENCE_S = 2.0
"""How long signing waits for copies. One that does not answer is not waited for again."""


FIRST_PATIENCE_S = 30.0
"""How long opening a store waits for a copy to be read: it may have to be mounted first."""


class Copy:
    """A file that gets each checkpoint. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.holds = b""
        # What this governor found or put there, or has tried to.
        self._own: set[bytes] = set()
        self._asked: bytes | None = None
        self._strange = b""
        self._said = ""
        self._thread: threading.Thread | None = None

    def found(self) -> bytes | None:
        """Return what it holds, None where there is none. Raises `StoreError`."""
        answers: list[bytes | StoreError | None] = []

        def look() -> None:
            try:
                answers.append(read(self.path))
            except StoreError as problem:
                answers.append(problem)

        if (thread := _started(look)) is not None:
            thread.join(FIRST_PATIENCE_S)
        answer = answers[0] if answers else _unusable(self.path, "its disk does not answer")
        if isinstance(answer, StoreError):
            raise answer
        return answer

    def known(self, data: bytes) -> None:
        """Count what it holds as part of this log: it may be replaced."""
        self.holds, self._own, self._strange = data, {data}, b""

    def strange(self) -> bytes:
        """Return what was found in it that this governor did not put there; empty: nothing."""
        return b"" if self.busy else self._strange

    @property
    def busy(self) -> bool:
        """Whether the disk has not answered yet."""
        return self._thread is not None and self._thread.is_alive()

    def ask(self, note: bytes | None) -> None:
        """Have it read, and with a note replaced, unless the disk still owes an earlier answer."""
        if self.busy:
            return
        self._asked = note
        self._thread = _started(self._run)

    def wait(self, until: float) -> None:
        """Wait for the answer, until this time of the monotonic clock at most."""
        if self._thread is not None:
            self._thread.join(max(0.0, until - time.monotonic()))
        if self.busy:
            self._say("its disk does not answer")

    def _run(self) -> None:
        try:
            held = read(self.path) or b""
            self._strange = b"" if held in {b"", self._asked, *self._own} else held
            self.holds = b"" if self._strange else held
            if self._strange and self._asked is not None:
                self._say("it holds what this governor did not put there, and is left as it is")
            elif self._asked is not None:
                self._put(self._asked)
        except StoreError as problem:
            self._say(problem.message)
        except OSError as problem:
            self._say(problem.strerror or str(problem))

    def _put(self, note: bytes) -> None:
        self.holds = b""
        self._own.add(note)  # it may lie there even if what follows fails
        folders.replace(self.path, note, mode=_PUBLIC)
        self.known(note)
        if self._said:
            _log.warning("the checkpoint is put at %s again", self.path)
        self._said = ""

    def _say(self, why: str) -> None:
        if why != self._said:
            _log.error("the checkpoint cannot be put at %s: %s", self.path, why)
        self._said = why


def _started(job: Callable[[], None]) -> threading.Thread | None:
    """Start a thread that does this; where there can be none any more, do it here."""
    thread = threading.Thread(target=job, name="bridle-checkpoint-copy", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter ends
        job()
        return None
    return thread


def each_of(copies: Sequence[Copy], ask: Callable[[Copy], None]) -> None:
    """Ask all at once, and wait for those that answer in time."""
    asked = [copy for copy in copies if not copy.busy]
    for copy in asked:
        ask(copy)
    until = time.monotonic() + PATIENCE_S
    for copy in asked:
        copy.wait(until)


def read(path: Path) -> bytes | None:
    """Return what a file holds, None where there is none. Raises `StoreError`."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise _unusable(path, problem.strerror or str(problem)) from problem
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _unusable(path, "it is no plain file")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as problem:
        raise _unusable(path, problem.strerror or str(problem)) from problem
    finally:
        os.close(descriptor)


def _unusable(path: Path, why: str) -> StoreError:
    return StoreError(
        f"the checkpoint at {path} cannot be read: {why}",
        code="checkpoint_unreadable",
        hint="Mend it, or name another file with --checkpoint-copy.",
    )
