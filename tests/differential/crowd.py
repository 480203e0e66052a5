"""Rounds beside one another in processes of their own: the reference may be slow, or go down."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait

import msgspec

from differential import comparing
from differential.comparing import Round

PATIENCE = {"reference": 30.0, "ours": 120.0, "shrinking": 180.0}
"""Seconds in each phase after which a process is given up."""


class Result(msgspec.Struct):
    """What all rounds came to."""

    tally: Counter[str]
    differences: list[str]

    def report(self) -> str:
        """Print what was met, the most frequent first."""
        return "\n".join(f"{count:8} {name}" for name, count in self.tally.most_common())


def play(
    seeds: Iterable[int], *, processes: int = 0, enough: Callable[[Counter[str]], bool]
) -> Result:
    """Play rounds until there are enough of them, or until one shows a difference."""
    result = Result(Counter(), [])
    crowd = [_Player() for _ in range(processes or os.cpu_count() or 1)]
    todo = iter(seeds)
    try:
        for player in crowd:
            player.begin(next(todo))
        while not (result.differences or enough(result.tally)):
            for player in _ready(crowd):
                _collect(player, result)
                player.begin(next(todo))
    finally:
        for player in crowd:
            player.stop()
    return result


def _ready(crowd: list[_Player]) -> Iterator[_Player]:
    by_pipe = {player.pipe: player for player in crowd}
    for pipe in wait(list(by_pipe), timeout=0.5):
        assert isinstance(pipe, Connection)
        if by_pipe[pipe].hear():
            yield by_pipe[pipe]
    yield from (player for player in crowd if player.overdue() and not player.done)


def _collect(player: _Player, result: Result) -> None:
    if player.done is not None:
        result.tally.update(player.done.tally)
        result.differences += player.done.differences
    elif player.phase == "reference":
        result.tally["discarded: the reference took too long or went down"] += 1
        player.restart()
    else:
        result.differences.append(f"seed {player.seed}: {player.phase} did not come to an end")
        player.restart()


class _Player:
    """A process, what it was asked, and what it was last heard to be doing."""

    def __init__(self) -> None:
        self.restart(first=True)

    def restart(self, *, first: bool = False) -> None:
        if not first:
            self.stop()
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other,), daemon=True)
        self.process.start()
        other.close()
        self.done: Round | None = None
        self.phase = "ours"

    def begin(self, seed: int) -> None:
        self.seed, self.done, self.phase = seed, None, "ours"
        self.heard = time.monotonic()
        self.pipe.send(seed)

    def hear(self) -> bool:
        """Take in what the process says; True once it is done or gone."""
        try:
            while self.pipe.poll():
                said = self.pipe.recv()
                self.heard = time.monotonic()
                if isinstance(said, Round):
                    self.done = said
                    return True
                self.phase = said
        except (EOFError, ConnectionResetError):
            return True
        return False

    def overdue(self) -> bool:
        return time.monotonic() - self.heard > PATIENCE[self.phase]

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe: Connection) -> None:
    while True:
        try:
            seed = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        pipe.send(comparing.play(seed, pipe.send))
