"""Revocations over the socket against processes that act: what comes after is on the list.

The sink is a file that every effect appends to: its order is that in which effects happened.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import bridle
from bridle.model.action import action_id
from client.desk import copied, environment, serving

THREADS = 3

CLIENT = """
import os, sys, threading
import bridle

bundle, mission, sink, trials = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
world = os.open(sink, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

def effect(id, body):
    os.write(world, (body + chr(10)).encode())
    return body

with bridle.connect(bundle, timeout=60) as governor:
    for trial in range(trials):
        agent = governor.mission(mission).agent("triage", executor="worker-1")

        def work(name):
            for n in range(100_000):
                key = f"{trial}-{name}-{n}"
                args = {"id": 1, "body": key}
                answer = agent.call(
                    "desk.comment", args, effect=effect, key=key, on_denied="return"
                )
                if not isinstance(answer, str):
                    assert answer.code == "revoked", answer
                    return

        threads = [threading.Thread(target=work, args=(n,)) for n in range(THREADS)]
        for thread in threads: thread.start()
        print(agent.grant, flush=True)
        for thread in threads: thread.join()
        print("stopped", flush=True)
""".replace("THREADS", str(THREADS))


def raced(tmp_path: Path, trials: int) -> tuple[int, int]:
    """Run so many trials. Returns how many effects came before, and how many after."""
    bundle = copied(tmp_path)
    missions = bundle / "missions.toml"
    text = missions.read_text().replace("limit = 200", "limit = 10000000")
    missions.write_text(text.replace("limit = 50\n", "limit = 10000000\n"))
    sink = tmp_path / "sink"
    sink.touch()
    before = late = 0
    with serving(bundle), bridle.connect(bundle) as governor:
        mission = governor.start_mission("ticket-desk", user="ana")
        command = [sys.executable, "-c", CLIENT, str(bundle), mission.id, str(sink), str(trials)]
        with subprocess.Popen(
            command, env=environment(), stdout=subprocess.PIPE, text=True
        ) as client:
            try:
                assert client.stdout is not None
                for trial in range(trials):
                    grant = client.stdout.readline().strip()
                    begun = lines(sink)
                    while len(lines(sink)) < len(begun) + trial % 4:
                        assert client.poll() is None
                    fenced = governor.revoke(grant, as_user="ana")
                    seen = lines(sink)
                    assert client.stdout.readline() == "stopped\n"
                    # The client is at the next trial already.
                    after = [key for key in lines(sink)[len(seen) :] if key.startswith(f"{trial}-")]
                    listed = {row["action"] for row in fenced.running}
                    ids = {action_id(mission.id, "triage", "python", key) for key in after}
                    assert ids <= listed
                    before, late = before + len(seen) - len(begun), late + len(after)
                assert client.wait() == 0
            finally:
                client.kill()
    return before, late


def lines(sink: Path) -> list[str]:
    return sink.read_text().splitlines()


def test_processes_start_nothing_after_a_revocation_returned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    before, _ = raced(tmp_path, 10)
    assert before


@pytest.mark.slow
def test_processes_start_nothing_after_a_revocation_returned_in_many_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: Callable[[int, int], int]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    before, late = raced(tmp_path, count(500, 2_000))
    assert before
    assert late
