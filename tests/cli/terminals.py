"""A command at a terminal of its own, and one that has none."""

import contextlib
import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path

# Seconds that anything may take before the test gives up.
_PATIENCE = 50


class AtTerminal:
    """`bridle …` with a controlling terminal; `answer` waits for a question and types a line."""

    def __init__(
        self, environ: Mapping[str, str], *args: str | Path, stdin: str = "terminal"
    ) -> None:
        self.shown = b""
        self._master, slave = pty.openpty()

        def control() -> None:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [sys.executable, "-m", "bridle", *map(str, args)],
            stdin=slave if stdin == "terminal" else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environ),
            pass_fds=(slave,),
            preexec_fn=control,  # noqa: PLW1509 - it calls the kernel and nothing else
        )
        os.close(slave)

    def answer(self, question: str, line: str) -> None:
        """Wait until `question` is shown, then type `line`."""
        self._read_until(question.encode())
        os.write(self._master, line.encode() + b"\n")

    def end(self) -> int:
        """Wait for the end; return the exit code. `out`, `err` and `shown` hold what was said."""
        out, err = self.process.communicate(timeout=_PATIENCE)
        self.out, self.err = out.decode(), err.decode()
        while self._ready(0) and self._take():
            pass
        os.close(self._master)
        assert "Traceback" not in self.err, self.err
        return self.process.returncode

    def _read_until(self, wanted: bytes) -> None:
        end = time.monotonic() + _PATIENCE
        while wanted not in self.shown:
            assert time.monotonic() < end, self.shown
            if self._ready(1) and not self._take():
                _, err = self.process.communicate(timeout=_PATIENCE)
                raise AssertionError(f"{wanted!r} was not asked: {self.shown!r} {err!r}")
        # The next question has to be a new one.
        self.shown = self.shown[self.shown.index(wanted) + len(wanted) :]

    def _ready(self, seconds: float) -> bool:
        return bool(select.select([self._master], [], [], seconds)[0])

    def _take(self) -> bytes:
        try:
            part = os.read(self._master, 4096)
        except OSError:
            # EIO: nobody has the other end open any more.
            part = b""
        self.shown += part
        return part


def alone(
    environ: Mapping[str, str], *args: str | Path, stdin: str = "", fd_text: str | None = None
) -> subprocess.CompletedProcess[str]:
    """`bridle …` without any terminal. `fd_text` is what it finds at `{fd}` in its arguments."""
    read, write = os.pipe()
    try:
        os.write(write, (fd_text or "").encode())
        os.close(write)
        words = [str(each).replace("{fd}", str(read)) for each in args]
        done = subprocess.run(
            [sys.executable, "-m", "bridle", *words],
            input=stdin,
            capture_output=True,
            text=True,
            env=dict(environ),
            pass_fds=(read,),
            start_new_session=True,
            timeout=_PATIENCE,
            check=False,
        )
    finally:
        with contextlib.suppress(OSError):
            os.close(read)
    assert "Traceback" not in done.stderr, done.stderr
    return done
