"""Jails to be timed: their start, and calls through their one socket.

A jail is started as `bridle run` does it: checked, tried with another command first, with limits
and a watcher; "untried" leaves out what comes before. As root it runs as the agent's user.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from bench import openings  # noqa: F401 - puts the tests where they can be imported
from bridle.jail.launch import launch
from bridle.jail.running import Jail, start
from bridle.jail.warden import Warden
from jail.booth import Booth
from jail.yard import Yard, missing


class Program(Struct, frozen=True):
    """What is started; `bound` is the claim on its start in a jail over its start without one."""

    words: tuple[str, ...]
    bound: float


PROGRAMS = {
    "/bin/true": Program(("/bin/true",), 25.0),
    "python": Program(("{python}", "-I", "-c", "pass"), 8.0),
}

# What a client does with a socket that gives back what it gets; prints the median in microseconds.
_ECHO = """
import os, socket, statistics, sys, time
path, name, rounds = sys.argv[1], sys.argv[2].encode(), int(sys.argv[3])
near = socket.socket(socket.AF_UNIX)
near.connect(path)
near.sendall(name + b"\\n")
taken = []
for done in range(rounds + 20):
    began = time.perf_counter_ns()
    near.sendall(b"x" * 512)
    left = 512
    while left:
        left -= len(near.recv(left))
    taken.append((time.perf_counter_ns() - began) / 1000)
print(statistics.median(taken[20:]))
"""
# A decision, asked for by the client library; where it runs tells which way it goes.
_DECIDE = """
import statistics, sys, time
import bridle
agent = bridle.attach() if sys.argv[1] == "inside" else None
if agent is None:
    governor = bridle.open(sys.argv[3])
    mission = governor.start_mission("desk", user="ana")
    agent = mission.agent("clerk", executor="local")
taken = []
for done in range(int(sys.argv[2]) + 20):
    began = time.perf_counter_ns()
    agent.decide("note.write", {"text": "a note"})
    taken.append((time.perf_counter_ns() - began) / 1000)
print(statistics.median(taken[20:]))
"""
# A page by plain HTTP, one connection each: through the proxy that the environment names, or not.
_FETCH = """
import statistics, sys, time, urllib.request
taken = []
for done in range(int(sys.argv[2]) + 5):
    began = time.perf_counter_ns()
    with urllib.request.urlopen(sys.argv[1]) as answer:
        answer.read()
    taken.append((time.perf_counter_ns() - began) / 1000)
print(statistics.median(taken[5:]))
"""


class Place:
    """A yard with jails to be timed."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.python = yard.python

    def starts(self) -> dict[str, Callable[[], object]]:
        """Return calls that start a program and wait for its end, by case."""
        cases: dict[str, Callable[[], object]] = {}
        for name, program in PROGRAMS.items():
            words = tuple(word.format(python=self.python) for word in program.words)
            cases[f"{name}: bare"] = lambda words=words: self._bare(words)
            cases[f"{name}: jailed, untried"] = lambda words=words: self._untried(words)
            cases[f"{name}: jailed"] = lambda words=words: self._jailed(words)
        return cases

    def _bare(self, words: tuple[str, ...]) -> None:
        user = self.yard.user
        subprocess.run(
            words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd="/", env={"PATH": "/usr/bin:/bin", **self.yard.environ},
            user=user.uid if user else None, group=user.gid if user else None,
            extra_groups=() if user else None, start_new_session=True,
        )  # fmt: skip

    def _untried(self, words: tuple[str, ...]) -> None:
        with self.yard.plan(*words) as plan:
            none = subprocess.DEVNULL
            _end(start(plan, stdin=none, stdout=none, stderr=none))

    def _jailed(self, words: tuple[str, ...]) -> None:
        none = subprocess.DEVNULL
        _end(launch(self.yard.profile(*words), stdin=none, stdout=none, stderr=none))

    def echoed(self, rounds: int) -> tuple[float, float]:
        """Return the medians of a message there and back: from a jail, and from outside."""
        yard = self.yard
        uid = yard.user.uid if yard.user else os.getuid()
        with (
            Warden({"echo": _echo}, uid=uid) as inner,
            Warden({"echo": _echo}, uid=os.getuid()) as own,
        ):
            _, out, errors = yard.run(
                self.python, "-I", "-S", "-c", _ECHO, "/run/bridle/socket", "echo", str(rounds),
                socket=inner.path,
            )  # fmt: skip
            if not out:
                raise RuntimeError(errors)
            words = [sys.executable, "-I", "-S", "-c", _ECHO, str(own.path), "echo", str(rounds)]
            bare = subprocess.run(words, check=True, capture_output=True, text=True)
        return float(out), float(bare.stdout)

    def governed(self, folder: Path, rounds: int) -> Iterator[tuple[str, str, float, float]]:
        """Yield case, what it is compared with, and both medians, of calls through `bridle run`."""
        booth = Booth(self.yard, folder)
        try:
            inside = _number(booth.code(_DECIDE, "inside", str(rounds)))
            outside = _number(_outside(booth, _DECIDE, "outside", str(rounds), str(booth.bundle)))
            yield "a decision", "outside", inside, outside
            few, url = max(10, rounds // 10), booth.web.url
            inside = _number(booth.code(_FETCH, url + "/page", str(few)))
            direct = _number(_outside(booth, _FETCH, url + "/page", str(few)))
            yield "a page over the governed proxy", "direct, ungoverned", inside, direct
        finally:
            booth.close()


def _outside(booth: Booth, code: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [booth.python, "-c", code, *words], check=False, capture_output=True, text=True,
        env=booth.environ, cwd="/",
    )  # fmt: skip


def _number(ran: subprocess.CompletedProcess[str]) -> float:
    if ran.returncode:
        raise RuntimeError(ran.stderr[-2_000:])
    return float(ran.stdout)


def _echo(connection: socket.socket) -> None:
    while data := connection.recv(65_536):
        connection.sendall(data)


def _end(jail: Jail) -> None:
    ended = jail.wait(30)
    if ended.status:
        raise RuntimeError(f"the jail ended with {ended}")


@contextmanager
def place() -> Iterator[Place | str]:
    """Yield a place for jails; where none can be had, why not."""
    if why := missing():
        yield why
        return
    yard = Yard()
    try:
        yield Place(yard)
    finally:
        yard.clear()
