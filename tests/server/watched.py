"""An agent in a process of its own whose traffic is copied, and which is looked into as it runs."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import bridle
from client.desk import environment
from server.carrying import Tap


class Watched(NamedTuple):
    """Its process, what it has told in one line, and its traffic."""

    pid: int
    told: str
    tap: Tap


@contextmanager
def watched(folder: Path, mission: bridle.Mission, program: str, *given: str) -> Iterator[Watched]:
    """Run a program as the clerk and yield once it has told something; it ends with the block.

    It is given a folder with the agents' socket and the mission, and a session on its first line
    of input. It tells one line, and ends when there is a second.
    """
    tap = Tap(folder / "tap", folder / "agents.sock")
    handed = mission.session("clerk", executor="worker")
    command = [sys.executable, "-c", program, str(tap.folder), mission.id, *given]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), text=True
    ) as agent:
        try:
            assert agent.stdin is not None
            assert agent.stdout is not None
            agent.stdin.write(f"{handed}\n")
            agent.stdin.flush()
            told = agent.stdout.readline()
            assert told, "the agent's process has ended early: its standard error says why"
            yield Watched(agent.pid, told, tap)
            agent.stdin.write("\n")
            agent.stdin.flush()
            assert agent.wait(20) == 0
        finally:
            agent.kill()
            tap.close()
