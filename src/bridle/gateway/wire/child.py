"""The server's process: started with pipes, ended with everything it has started itself."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import IO

from bridle.model.errors import BridleError

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_PAUSE = 0.01
_KILLED_WITHIN = 2.0

_libc = ctypes.CDLL(None, use_errno=True)


class ServerError(BridleError):
    """The server's command could not be started."""

    code = "server_failed"


class Child:
    """A running MCP server. Start it from the thread that lives longest: it dies with that one.

    `errors` (a file, or `subprocess.DEVNULL`) gets what it says on standard error, in place of this
    process's own. It cannot look
    into this process, and gets no variable of Bridle's.
    """

    def __init__(self, command: Sequence[str], errors: IO[bytes] | int | None = None) -> None:
        _conceal()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the operator's own command
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=_environment(),
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, no lock
                bufsize=0,
            )
        except (OSError, ValueError) as problem:
            why = problem.strerror if isinstance(problem, OSError) else str(problem)
            raise ServerError(
                f"{command[0]} cannot be started: {why or problem}",
                hint="what stands after -- is the server's command",
            ) from problem
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.stdin = self._process.stdin.fileno()
        self.stdout = self._process.stdout.fileno()

    @property
    def pid(self) -> int:
        """The process id, which is that of its group as well."""
        return self._process.pid

    def ended(self, within: float) -> bool:
        """Whether the process ends within so many seconds. Leaves its exit status where it is."""
        until = time.monotonic() + within
        while True:
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
                return True
            if time.monotonic() >= until:
                return False
            time.sleep(_PAUSE)

    def stop(self, grace: float) -> int:
        """End the server: its input ends, then SIGTERM, then SIGKILL. Return its exit code.

        `grace` is in seconds, for each of the first two. Nothing outlives it that it started and
        that has not left its session.
        """
        # Its number stays taken: a thread that still writes reaches nobody else by it.
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, self.stdin, inheritable=False)
        os.close(nowhere)
        if not self.ended(grace):
            self._signal(signal.SIGTERM)
            self.ended(grace)
        # Until its status is taken the id stays its own, so this reaches nobody else.
        self.kill()
        self.ended(_KILLED_WITHIN)
        return self._process.wait()

    def kill(self) -> None:
        """End the server and what it started at once."""
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        """Let go of the pipes, once nobody reads or writes them any more."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return


def _conceal() -> None:
    """Let nothing of this process be read by others of its user, such as the server it starts.

    Memory, environment and open files are root's alone from here on (prctl(2), proc(5)).
    """
    # INVARIANT: I9 — handles and passphrases do not reach the server by way of /proc either.
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _environment() -> dict[str, str]:
    """What the server may see of ours: all but what concerns Bridle, the session's handle first."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BRIDLE_")}


def _die_with_parent() -> None:
    # Where this process is killed, nobody is left who could end the server.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
