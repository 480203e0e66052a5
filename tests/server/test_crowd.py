"""Many threads and processes, one governor: nothing lost, nothing doubled, the ledger verifies."""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.model.calls import Attempts
from client.desk import copied, environment, serving

THREADS = 16

CLIENT = """
import json, sys, threading
import bridle

bundle, mission, name, keys = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
ran, answers = [], []

def effect(id, body):
    ran.append(body)
    return body

with bridle.connect(bundle, timeout=60) as governor:
    agent = governor.mission(mission).agent("triage", executor="worker-1")
    sys.stdin.readline()

    def work(shared):
        for n in range(keys):
            key = f"shared-{n}" if shared else f"{name}-{threading.get_ident()}-{n}"
            args = {"id": n + 1, "body": key}
            answer = agent.call("desk.comment", args, effect=effect, key=key, on_denied="return")
            answers.append(answer if isinstance(answer, str) else answer.code)

    threads = [threading.Thread(target=work, args=(i % 2 == 0,)) for i in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
print(json.dumps({"ran": ran, "answers": answers}))
"""


def test_sixteen_threads_in_four_processes_start_each_step_exactly_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: Callable[[int, int], int]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    keys = count(4, 50)
    bundle = copied(tmp_path)
    missions = bundle / "missions.toml"
    missions.write_text(missions.read_text().replace("limit = 200", "limit = 100000"))
    missions.write_text(missions.read_text().replace("limit = 50\n", "limit = 100000\n"))
    with serving(bundle), bridle.connect(bundle) as governor:
        mission = governor.start_mission("ticket-desk", user="ana")
        done = crowd(bundle, mission.id, keys)
        ended = governor.rows(Attempts(state="ok", limit=1000))
        status = governor.status()
    ran = Counter(body for one in done for body in one["ran"])
    # 8 threads share their steps, 8 have steps of their own.
    assert len(ran) == keys + 8 * keys
    assert set(ran.values()) == {1}
    assert sum(len(one["answers"]) for one in done) == THREADS * keys
    odd = {a for one in done for a in one["answers"]} - set(ran)
    # Whoever meets a step that is under way in another thread is told so, and does not run it.
    assert odd <= {"already_started"}
    assert len(ended) == len(ran)
    assert (status["unknown_attempts"], status["running_attempts"]) == (0, 0)
    verified(bundle)


def crowd(bundle: Path, mission: str, keys: int) -> list[dict[str, list[str]]]:
    names = [f"client-{n}" for n in range(THREADS // 4)]
    return together(CLIENT, [(str(bundle), mission, name, str(keys)) for name in names], 300)


def together(script: str, clients: list[tuple[str, ...]], seconds: int) -> list[dict[str, Any]]:
    """Start a process for each client's arguments, let all go at once, return what they said."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        for arguments in clients
    ]
    outputs = ["{}"] * len(running)

    def go(number: int) -> None:
        outputs[number], _ = running[number].communicate("go\n", timeout=seconds)

    try:
        waiting = [threading.Thread(target=go, args=(n,)) for n in range(len(running))]
        for thread in waiting:
            thread.start()
        for thread in waiting:
            thread.join()
    finally:
        for client in running:
            client.kill()
            client.wait()
    return [json.loads(output) for output in outputs]


def verified(bundle: Path) -> None:
    """The offline check of the ledger, by the command that users have for it."""
    done = subprocess.run(
        [sys.executable, "-m", "bridle", "audit", "verify", str(bundle), "--json"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_sixteen_threads_of_one_process_share_a_connection_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    bundle = copied(tmp_path)
    ran: list[int] = []
    wrong: list[object] = []
    with serving(bundle), bridle.connect(bundle, timeout=60) as governor:
        agent = governor.start_mission("ticket-desk", user="ana").agent("triage")

        def work(number: int) -> None:
            for n in range(5):
                id = number * 5 + n + 1  # noqa: A001 - an argument's name
                got = agent.call("desk.search", {"query": str(id)}, effect=search)
                if got != {"query": str(id)}:
                    wrong.append(got)

        def search(query: str) -> dict[str, str]:
            ran.append(int(query))
            return {"query": query}

        threads = [threading.Thread(target=work, args=(n,)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert wrong == []
    assert sorted(ran) == list(range(1, THREADS * 5 + 1))
