"""From a revocation in one process to the first denial in another, beside one durable commit.

A `bridle serve`, an operator's process (this one) and an agent's: it asks over its own socket for
one decision after another, each proved, and says when it was denied first. Run as a program it is
that agent. Both read the same clock of the machine. C is taken while the agent asks, too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from bench import front, harness, rules, workload
from bench.calls import WorkloadError
from bench.load import Log
from bridle.client.opening import connect

MILLISECONDS = 2.0
_C = "C: one durable commit of a row"
_RETURNED, _DENIED = "revoke, until it returns", "revoke, until another process is denied"
_ROW = 500  # bytes


def measure(report: harness.Report, folder: Path, *, trials: int) -> None:
    """Revoke a grant in use so many times; add rows and the claim."""
    root = rules.write_bundle(folder / "fencing", 1)
    taken: harness.Samples = {_C: [], _RETURNED: [], _DENIED: []}
    with ExitStack() as stack:
        sockets = stack.enter_context(front.governor(folder, root))
        bridle = stack.enter_context(connect(sockets))
        log = stack.enter_context(closing(Log(folder / "commits.db")))
        agent = stack.enter_context(_agent(sockets))
        mission = bridle.start_mission(workload.MISSION, user=rules.READ.user)
        for _ in range(trials):
            handle = mission.session(rules.READ.agent, executor=rules.READ.executor)
            grant = agent.begin(handle, mission.id)
            began = time.monotonic_ns()
            log.append(b"x" * _ROW)
            taken[_C].append((time.monotonic_ns() - began) / 1_000)
            began = time.monotonic_ns()
            bridle.revoke(grant, as_user=rules.READ.user)
            returned = time.monotonic_ns()
            taken[_RETURNED].append((returned - began) / 1_000)
            taken[_DENIED].append((agent.denied() - began) / 1_000)
    p50 = {name: harness.percentile(samples, 0.5) for name, samples in taken.items()}
    for name, samples in taken.items():
        over = None if name == _C else ("C", p50[_C])
        report.add(name, "p50", p50[name], "us", over)
        report.add(name, "p99", harness.percentile(samples, 0.99), "us")
    claim = "revoke until another process is denied, less C, ms"
    figure = (p50[_DENIED] - p50[_C]) / 1_000
    # Time of a machine, not a ratio: what else runs there moves it, so it ends no run.
    report.claims.append(harness.Claim(claim, MILLISECONDS, figure, goal=True))


class Asking:
    """The agent's process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def begin(self, handle: str, mission: str) -> str:
        """Have it act on a session; returns the grant once it has been allowed something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"handle": handle, "mission": mission}) + "\n")
        self._process.stdin.flush()
        return str(self._told()["grant"])

    def denied(self) -> int:
        """When it was told `revoked`, in nanoseconds of the machine's clock."""
        told = self._told()
        if told["code"] != "revoked":
            raise WorkloadError(str(told))
        return int(told["at"])

    def _told(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told


@contextmanager
def _agent(sockets: Path) -> Iterator[Asking]:
    command = [sys.executable, "-P", __file__, str(sockets)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        env={**front.environment(sockets), "PYTHONPATH": str(Path(__file__).parents[1])},
    ) as process:
        try:
            yield Asking(process)
        finally:
            process.terminate()


def main() -> None:
    """Act on one session after another until there are no more."""
    keys = count()
    args = json.loads(rules.READ.args)
    with connect(sys.argv[1], role="agent") as bridle:
        for line in sys.stdin:
            asked = json.loads(line)
            agent = bridle.attach(asked["handle"], mission=asked["mission"], agent=rules.READ.agent)
            first = True
            while True:
                verdict = agent.decide(rules.READ.tool, args, key=f"k{next(keys)}")
                at = time.monotonic_ns()
                if not verdict.effect.runs:
                    print(json.dumps({"code": verdict.reasons[0].code, "at": at}), flush=True)
                    break
                if first:
                    print(json.dumps({"grant": agent.grant}), flush=True)
                    first = False


if __name__ == "__main__":
    main()
