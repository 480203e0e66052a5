"""Jails to be timed: their start, and calls through their one socket.

A jail is started as `bridle run` does it: checked, tried with another command first, with limits
and a watcher; "untried" leaves out what comes before. As root it runs as the agent's user.
"""

from __future__ import annotations

import os
import socket
import statistics
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
from bridle.model.calls import SecretVerb
from jail import booth as booths
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

DECISION, JAILED_DECISION = "a decision: outside", "a decision: from the jail"
DIRECT_PAGE = "a page: direct, ungoverned, secret in the program"
GOVERNED_PAGE = "a page, carried out by the governor's side: outside"
BROKERED_PAGE = "a page, carried out with a brokered header: outside"
JAILED_PAGE = "a page, carried out by the governor's side: from the jail"
PROXIED_PAGE = "a page, by plain HTTP over the jail's proxy"

TURNS = 3

_SEALED = """[systems.web.credential]
broker = "header"
secret = "page"
lease = "30s"
[systems.pipes]"""
_VENDING = """
@id("vend") permit (principal, action == Action::"vend_credential", resource);
"""

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
# Calls of the client library; where it runs tells which way they go.
_AGENT = """
import statistics, sys, time
import bridle
bundle, rounds, url = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if bundle == "inside":
    agent = bridle.attach()
else:
    agent = bridle.open(bundle).start_mission("desk", user="ana").agent("clerk", executor="local")
taken = []
for done in range(rounds + 5):
    began = time.perf_counter_ns()
    CALL
    taken.append((time.perf_counter_ns() - began) / 1000)
print(statistics.median(taken[5:]))
"""
_DECIDE = _AGENT.replace("CALL", 'agent.decide("note.write", {"text": "a note"})')
_PAGE = _AGENT.replace("CALL", 'agent.call("web.read", {"method": "GET", "url": url})')
# A page by plain HTTP, one connection each: through the proxy that the environment names, or not.
_FETCH = """
import statistics, sys, time, urllib.request
taken = []
for done in range(int(sys.argv[2]) + 5):
    began = time.perf_counter_ns()
    with urllib.request.urlopen(sys.argv[3]) as answer:
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

    def governed(self, folder: Path, rounds: int) -> dict[str, float]:
        """Return the medians of calls through `bridle run` and beside it, by case."""
        few = max(10, rounds // 10)
        with (
            _booth(self.yard, folder / "plain") as plain,
            _booth(self.yard, folder / "brokered", credential=True) as brokered,
        ):
            page = plain.web.url + "/page"
            words = (str(plain.bundle), str(few), page)
            inside = ("inside", str(few), page)
            cases: dict[str, Callable[[], subprocess.CompletedProcess[str]]] = {
                DECISION: lambda: _outside(plain, _DECIDE, str(plain.bundle), str(rounds), page),
                JAILED_DECISION: lambda: plain.code(_DECIDE, "inside", str(rounds), page),
                DIRECT_PAGE: lambda: _outside(plain, _FETCH, *words),
                GOVERNED_PAGE: lambda: _outside(plain, _PAGE, *words),
                JAILED_PAGE: lambda: plain.code(_PAGE, *inside),
                PROXIED_PAGE: lambda: plain.code(_FETCH, *inside),
                BROKERED_PAGE: lambda: _outside(
                    brokered, _PAGE, str(brokered.bundle), str(few), brokered.web.url + "/page"
                ),
            }
            # In turn, so that whatever else the machine does falls on all of them.
            taken: dict[str, list[float]] = {name: [] for name in cases}
            for _ in range(TURNS):
                for name, ask in cases.items():
                    taken[name].append(_number(ask()))
            if not all("Authorization" in headers for _, _, headers, _ in brokered.web.seen):
                raise RuntimeError("a page was asked for without its credential")
        return {name: statistics.median(values) for name, values in taken.items()}


@contextmanager
def _booth(yard: Yard, folder: Path, *, credential: bool = False) -> Iterator[Booth]:
    """Yield a bundle with its governor; with a credential for its web site, sealed."""
    folder.mkdir()
    texts = dict(booths.BUNDLE)
    if credential:
        booths.BUNDLE["systems.toml"] = texts["systems.toml"].replace("[systems.pipes]", _SEALED, 1)
        booths.BUNDLE["governance/missions.dw"] = texts["governance/missions.dw"] + _VENDING
    try:
        booth = Booth(yard, folder)
    finally:
        booths.BUNDLE.update(texts)
    try:
        if credential:
            booth.governor.rows(SecretVerb(verb="set", name="page", value="s3cret", as_user="ana"))
        yield booth
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
