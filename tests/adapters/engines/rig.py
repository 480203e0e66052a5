"""A governor and an engine's worker as processes, killed with -9 at random and begun anew.

The worker is a program of the engine's tests: it takes the workload's key from its input, says when
it is up, runs what FOLDER/references names, and writes each effect into FOLDER/sink (`happen`).
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import bridle
from bridle.client.opening import connect
from bridle.client.worker import Worker
from bridle.model import calls
from bridle.model.errors import BridleError, RefusedError, UnreachableError
from bridle.trust.credential import Credential
from server.carrying import written
from server.test_dispatching import CHANGED, PLAIN, WORKER

# Seconds: how long a victim may live once it is up, and within which all has to end.
_LIFE, _END = 0.6, 90.0
_LEASE = "700ms"
_LOOK = f"""
[tools."page.look"]
system = "open"
effect = "read"
idempotent = true
timeout = "{_LEASE}"
input = {{ type = "object", required = ["id"], properties = {{ id = {{ type = "integer" }} }} }}
"""
IDS = [1, 66, 2, 3]
"""The pages of each task: each is got, which is not idempotent, and looked at, which is."""
_CALL = 10_000  # what a call costs, in the unit that budgets are kept in


def connected(folder: Path) -> Worker:
    """Connect as the workload, in the worker's process, once there is a governor."""
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(sys.stdin.readline()))
    proved = Credential("workload", "worker", private)
    while True:
        with suppress(UnreachableError):
            return bridle.worker(folder, credential=proved)


def happen(folder: Path, task: str, key: str, tool: str, number: int) -> str:
    """Have an effect, in the worker's process. Before and after there is time to die."""
    line = json.dumps({"task": task, "key": key, "tool": tool})
    time.sleep(0.02)
    with (folder / "sink").open("ab", buffering=0) as sink:
        sink.write(line.encode() + b"\n")
    time.sleep(0.02)  # it has happened, and nobody was told
    return f"page {number}"


class Rig:
    """`victim` is `worker` or `governor`: the other lives on."""

    def __init__(self, folder: Path, worker: list[str], victim: str) -> None:
        self.folder, self.worker, self.victim = folder, worker, victim
        self.dice = random.Random()
        systems = PLAIN.replace('timeout = "30s"', f'timeout = "{_LEASE}"') + _LOOK
        missions = CHANGED["missions.toml"] + "[missions.office.budgets.calls]\nlimit = 1000000\n"
        files = {**CHANGED, "missions.toml": missions}
        self.bundle = written(folder, "http://127.0.0.1:1", systems, files)
        self.state = folder / "state"
        self.state.mkdir(mode=0o700)
        self.parts: dict[str, subprocess.Popen[bytes]] = {}
        self.permits: Counter[str] = Counter()
        self._over = threading.Event()

    # --- lives and deaths -----------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Begin a process, and wait until it is up."""
        part = [sys.executable, *self.worker]
        if name == "governor":
            part = [sys.executable, "-P", "-m", "bridle", "serve", str(self.bundle), "--json"]
            part += ["--state", str(self.state), "--runtime", str(self.folder)]
        with (self.folder / "errors").open("ab") as errors:
            made = subprocess.Popen(
                part,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self.parts[name] = made
        assert made.stdin is not None
        assert made.stdout is not None
        if name == "worker":
            made.stdin.write(WORKER.sealed_by(lambda raw: raw).hex().encode() + b"\n")
            made.stdin.flush()
        assert made.stdout.readline(), (self.folder / "errors").read_text()[-4_000:]

    def kill(self, name: str) -> None:
        self.parts[name].kill()
        self.ended(name)

    def ended(self, name: str) -> int:
        """Wait for the end of a process; return its code."""
        code = self.parts[name].wait(_END)
        with self.parts.pop(name):
            return code

    def run(self, kills: int, tasks: int) -> None:
        """Have tasks dispatched; kill the victim that often, wherever it is; wait for the end."""
        self.start("governor")
        with connect(self.folder) as ana:
            self.mission = ana.start_mission("office", user="ana")
            clerk = self.mission.agent("clerk")
            tools = {tool: {"id": bridle.anything()} for tool in ("page.get", "page.look")}
            self.references = {
                f"task{number}": clerk.dispatch("worker", task=f"task{number}", tools=tools)
                for number in range(tasks)
            }
        (self.folder / "references").write_text(json.dumps(self.references))
        human = threading.Thread(target=self._human)
        human.start()
        try:
            self.start("worker")
            for _ in range(kills):
                time.sleep(self.dice.uniform(0, _LIFE))
                self.kill(self.victim)
                self.start(self.victim)
            assert self.ended("worker") == 0, (self.folder / "errors").read_text()[-4_000:]
        finally:
            self._over.set()
            human.join()

    def close(self) -> None:
        for name in list(self.parts):
            self.kill(name)

    def _human(self) -> None:
        """Approve whatever comes, and remember which doubts were answered, before it is done."""
        with connect(self.folder) as ana:
            while not self._over.wait(0.05):
                # The governor may be dead, or has moved on: look again.
                with suppress(BridleError):
                    for row in ana.rows(calls.Approvals()):
                        self._answer(ana, row)

    def _answer(self, ana: bridle.Bridle, row: dict[str, Any]) -> None:
        doubts = any(cause["kind"] == "attempt" for cause in row["causes"])
        self.permits[row["action"]] += doubts
        # What policy asks is for the lead to say, whether it happened is for operators.
        for user in ("ben", "ana"):
            with suppress(RefusedError):
                ana.approve(row["id"], as_user=user)

    # --- what there is to see afterwards --------------------------------------------------------

    def wrong(self) -> list[str]:
        """Return what should not be."""
        found: list[str] = []
        store = next(self.state.rglob("store.db"))
        with closing(sqlite3.connect(store)) as database:
            rows = {
                table: [
                    json.loads(doc) for (doc,) in database.execute(f'SELECT doc FROM "{table}"')
                ]
                for table in ("actions", "attempts", "budgets")
            }
        starts = Counter(row["action"] for row in rows["attempts"])
        lines = map(json.loads, (self.folder / "sink").read_text().splitlines())
        effects = Counter((line["task"], line["key"], line["tool"]) for line in lines)
        names = self._actions(effects)
        for (task, key, tool), times in effects.items():
            action = names[task, key]
            if times > starts[action]:
                found.append(f"{key}: {times} effects, {starts[action]} starts")
            if tool == "page.get" and times > 1 + self.permits[action]:
                found.append(f"{key}: {times} times, {self.permits[action]} permits")
        if len(effects) != 2 * len(IDS) * len(self.references):
            found.append(f"{len(effects)} steps took effect")
        if set(starts) != {row["id"] for row in rows["actions"]}:
            found.append("actions that did not start")
        (used,) = [r["used"] for r in rows["budgets"] if r["id"] == f"{self.mission.id}/0/calls"]
        if used != _CALL * len(effects):
            found.append(f"charged {used / _CALL} for {len(effects)}")
        return found

    def _actions(self, effects: Counter[Any]) -> dict[tuple[str, str], str]:
        """Name the action of each step, as the workload that takes it up would."""
        with Worker(connect(self.folder, role="agent", credential=WORKER), WORKER) as worker:
            taken = {task: worker.take(self.references[task]) for task, _, _ in effects}
            return {(task, key): taken[task].action_of(key) for task, key, _ in effects}
