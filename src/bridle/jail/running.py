"""A jail that runs. One job: bubblewrap as a process, with what its plan says, until it ends.

The jail's first process waits until its limits are set. Nothing is inherited but the three
standard descriptors, and of those none that could be opened anew as a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from contextlib import ExitStack
from typing import IO, Any, Self

from msgspec import Struct

from bridle.jail.bubblewrap import Arguments, Plan
from bridle.jail.errors import JailError, of_bubblewrap
from bridle.jail.limits import cgroup, kernel, watch
from bridle.jail.streams import Stream, Streams

__all__ = ["Ended", "Jail", "Stream", "program", "start"]

PATIENCE = 20
"""Seconds that bubblewrap has to make the jail."""

_FOLDERS = "/usr/bin:/bin:/usr/local/bin"


class Ended(Struct, frozen=True):
    """How a jail ended: the status of its first process (128 + n for a signal), and why.

    `excess` is the limit that ended it (memory, processes, entries, time, or uncountable where
    they could not be counted any more) or empty.
    """

    status: int
    excess: str = ""


def program() -> str:
    """Return where bubblewrap lies; empty when it is not installed."""
    return shutil.which("bwrap", path=_FOLDERS) or ""


class Jail:
    """A running jail. `pid` is its first process, as it is numbered outside.

    `stdin`, `stdout` and `stderr` are files where `subprocess.PIPE` was asked for. `exact` tells
    whether the kernel itself keeps the limit on memory, rather than `limits.watch`.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], pid: int, status: int, streams: Streams
    ) -> None:
        self.pid = pid
        self._process = process
        self._descriptor = os.pidfd_open(pid)
        self._status = status
        self._streams = streams
        self._group: cgroup.Group | None = None
        self._excess = ""
        self._killed = False
        self._ended: Ended | None = None
        self._failure: JailError | None = None
        self._over = threading.Lock()
        self._watcher: threading.Thread | None = None

    @property
    def stdin(self) -> IO[bytes] | None:
        """Where to write to what the command reads."""
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes] | None:
        """Where to read what the command writes."""
        return self._process.stdout

    @property
    def stderr(self) -> IO[bytes] | None:
        """Where to read what the command complains of."""
        return self._process.stderr

    @property
    def exact(self) -> bool:
        """Whether the kernel keeps the limit on memory."""
        return self._group is not None

    def __enter__(self) -> Self:
        """Return the jail itself, which ends with the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.wait()
        for file in (self.stdin, self.stdout, self.stderr):
            if file is not None:
                file.close()

    def signal(self, number: int) -> None:
        """Send a signal to the jail's first process; nothing happens when it is gone."""
        with self._over, contextlib.suppress(ProcessLookupError):
            if self._ended is None and self._failure is None:
                signal.pidfd_send_signal(self._descriptor, number)

    def kill(self) -> None:
        """End every process of the jail. Returns at once; `wait` tells when it is done."""
        self._killed = True
        # Everything in a PID namespace dies with its first process.
        self.signal(signal.SIGKILL)

    def abandon(self) -> None:
        """Kill a jail whose command has not begun, and forget it."""
        self.kill()
        os.close(self._descriptor)
        os.close(self._status)

    def wait(self, timeout: float | None = None) -> Ended:
        """Wait until all of the jail is gone and its output is written.

        Raises `TimeoutError` after `timeout` seconds, and `JailError` (jail_failed) when the
        command could not be started; what bubblewrap said of it stands in the jail's stderr.
        """
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"the jail is still there after {timeout} seconds") from None
        if self._watcher is not None:
            self._watcher.join()
        with self._over:
            if self._failure is not None:
                raise self._failure
            if self._ended is None:
                self._ended = self._end(code)
        return self._ended

    def _end(self, code: int) -> Ended:
        self._streams.finish()
        if self._group is not None:
            self._group.remove()
        told = _documents(self._status)
        os.close(self._descriptor)
        if "exit-code" not in told and code >= 0 and not self._killed:
            self._failure = JailError(
                f"the jail could not start its command (bubblewrap ended with {code})",
                code="jail_failed",
                hint="is the command's program seen inside? `bridle run --explain` lists what is",
            )
            raise self._failure
        # What was killed before it ran its command was killed all the same.
        status = told.get("exit-code", 128 + signal.SIGKILL)
        return Ended(int(status), self._excess)

    def limit(self, plan: Plan, ready: int) -> None:
        """Set the plan's limits on the first process, let it go on, and watch it."""
        kernel.set_on(self.pid, plan.limits, plan.user)
        watch.in_folders(self.pid)
        self._group = cgroup.place(self.pid, plan.limits, cgroup.beside_own())
        os.write(ready, b"1")
        watcher = threading.Thread(target=self._watch, args=(plan,), name="jail", daemon=True)
        self._watcher = watcher
        watcher.start()

    def _watch(self, plan: Plan) -> None:
        began = time.monotonic()
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while not poll.poll(watch.SECONDS * 1000):
            try:
                excess = watch.excess(self.pid, plan.limits, time.monotonic() - began)
            except Exception:
                # INVARIANT: what cannot be counted is too much.
                excess = "uncountable"
            if excess and not poll.poll(0):
                self._excess = excess
                self.kill()
                return


def start(
    plan: Plan, *, stdin: Stream = None, stdout: Stream = None, stderr: Stream = None
) -> Jail:
    """Start what a plan says, which nobody has checked. Raises `JailError`; then nothing runs."""
    streams = Streams(stdin, stdout, stderr)
    waiting, ready = os.pipe()
    try:
        process, told = _spawned(plan, streams, waiting)
        jail = _first(process, told, streams)
        try:
            jail.limit(plan, ready)
        except BaseException as problem:
            jail.abandon()
            raise _failed(process, f"its limits could not be set ({problem})") from problem
    except BaseException:
        streams.finish()
        raise
    finally:
        os.close(waiting)
        os.close(ready)
    return jail


def _spawned(plan: Plan, streams: Streams, waiting: int) -> tuple[subprocess.Popen[bytes], int]:
    """Start bubblewrap; return it, and where to read what it says of the jail."""
    told, telling = os.pipe()
    with ExitStack() as ours:
        ours.callback(streams.started)
        ours.callback(os.close, telling)
        try:
            words, needed = _words(plan, ours)
            words = ("--json-status-fd", str(telling), "--block-fd", str(waiting), *words)
            given = _holding("\0".join(words).encode() + b"\0", ours)
            process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - words of our own
                # Arguments that anybody on the machine can see name no folder and no variable.
                [program() or "bwrap", "--args", str(given), "--", *plan.command],
                pass_fds=(given, telling, waiting, *needed),
                cwd="/",
                env={"PATH": _FOLDERS},
                start_new_session=True,
                stdin=streams.given[0],
                stdout=streams.given[1],
                stderr=streams.given[2],
                user=plan.user.uid if plan.user else None,
                group=plan.user.gid if plan.user else None,
                # The user's other groups would open files of groups like docker's.
                extra_groups=() if plan.user else None,
            )
        except BaseException as problem:
            os.close(told)
            if isinstance(problem, OSError | ValueError):
                raise JailError(f"bubblewrap could not be started: {problem}") from problem
            raise
    return process, told


def _words(plan: Plan, ours: ExitStack) -> tuple[tuple[str, ...], list[int]]:
    """Return a plan's words for bubblewrap, and the descriptors that they name."""
    words: list[str] = []
    needed: list[int] = []
    whole: Arguments = plan.arguments
    if plan.filter:
        whole = (*whole, "--seccomp", plan.filter)
    for word in whole:
        if isinstance(word, str):
            words.append(word)
            continue
        needed.append(_holding(word, ours) if isinstance(word, bytes) else word)
        words.append(str(needed[-1]))
    if any("\0" in word for word in (*words, *plan.command)) or not plan.command:
        raise JailError("the jail has no command, or a word with a zero", code="jail_refused")
    return tuple(words), needed


def _holding(data: bytes, ours: ExitStack) -> int:
    descriptor = os.memfd_create("bridle-jail")
    ours.callback(os.close, descriptor)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _first(process: subprocess.Popen[bytes], told: int, streams: Streams) -> Jail:
    """Wait until bubblewrap names the jail's first process."""
    text = b""
    while b"\n" not in text:
        ready, _, _ = select.select([told], [], [], PATIENCE)
        part = os.read(told, 4096) if ready else b""
        if not part:
            os.close(told)
            raise _failed(process, "it ended before it was made, or did not end in time")
        text += part
    try:
        return Jail(process, int(json.loads(text.splitlines()[0])["child-pid"]), told, streams)
    except (ValueError, KeyError, OSError) as problem:
        os.close(told)
        raise _failed(process, f"its first process is not known ({problem})") from problem


def _failed(process: subprocess.Popen[bytes], why: str) -> JailError:
    """End what did not become a jail, and return what is known of it."""
    # INVARIANT: bubblewrap alone is not killed: its child would go on without limits.
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGSTOP)
        for pid in list(watch.processes(process.pid)):
            os.kill(pid, signal.SIGKILL)
    process.kill()
    said = process.stderr.read(65_536).decode("utf-8", "replace") if process.stderr else ""
    for file in (process.stdin, process.stdout, process.stderr):
        if file is not None:
            file.close()
    process.wait()
    return of_bubblewrap(said, why)


def _documents(descriptor: int) -> dict[str, Any]:
    """Return all that bubblewrap said of the jail since, and close the descriptor."""
    with open(descriptor, "rb") as file:
        lines = file.read(65_536).splitlines()
    found: dict[str, Any] = {}
    for line in lines:
        with contextlib.suppress(ValueError):
            found |= json.loads(line)
    return found
