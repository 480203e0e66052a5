"""Four processes and one governor: what missions share is spent to the last, and no further."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import bridle
from bridle.model.calls import Agents
from client.desk import copied, serving
from server.test_crowd import together, verified

PROCESSES, THREADS = 4, 16

BUDGETS = """
[users.ana.budgets.writes]
limit = {limit}
[agents.triage.budgets.writes]
limit = 1000000
[agents.triage.budgets.searches]
limit = {searches}
measure = {{ "desk.search" = 1 }}
"""

CLIENT = """
import json, sys, threading
import bridle

bundle, mission, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
ran, codes = [], []

def write(id, body):
    ran.append(body)

def search(query):
    ran.append(query)
    # What was charged for every second one comes back: it says that it used nothing.
    return bridle.Used({"query": query}, {"searches": int(query.split("-")[1]) % 2})

with bridle.connect(bundle, timeout=120) as governor:
    agent = governor.mission(mission).agent("triage", executor="worker-1")
    sys.stdin.readline()

    def work(number):
        for n in range(steps):
            name = f"{mission}-{n}-{number}"
            args = {"id": n + 1, "body": name}
            found = agent.call("desk.comment", args, effect=write, key=name, on_denied="return")
            if isinstance(found, bridle.Denied):
                codes.append(found.code)
            agent.call("desk.search", {"query": f"{number}-{n}"}, effect=search, key=f"s{name}")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
print(json.dumps({"ran": ran, "codes": codes}))
"""


def test_64_callers_in_four_processes_spend_exactly_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(tmp_path, monkeypatch, 2)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_64_callers_in_four_processes_spend_exactly_what_there_is_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: Callable[[int, int], int]
) -> None:
    check(tmp_path, monkeypatch, count(10, 60))


def check(folder: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    asked = PROCESSES * THREADS * steps
    bundle = desk_of(folder, limit=asked // 2, searches=asked)
    with serving(bundle), bridle.connect(bundle) as governor:
        missions = [governor.start_mission("ticket-desk", user="ana").id for _ in range(PROCESSES)]
        done = crowd(bundle, missions, steps)
        [user] = governor.rows(Agents(kind="user", id="ana"))
        [agent] = governor.rows(Agents(kind="agent", id="triage"))
    ran = Counter(body for one in done for body in one["ran"] if body.startswith("mis_"))
    refused = Counter(code for one in done for code in one["codes"])
    assert set(ran.values()) == {1}
    assert len(ran) == asked // 2
    assert refused == {"budget_exhausted": asked - asked // 2}
    spent = {row["budget"]: row["used"] for row in (*user["budgets"], *agent["budgets"])}
    assert spent == {"writes": str(asked // 2), "searches": str(asked // 2)}
    verified(bundle)


def desk_of(folder: Path, *, limit: int, searches: int) -> Path:
    bundle = copied(folder)
    missions, agents = bundle / "missions.toml", bundle / "agents.toml"
    text = missions.read_text("utf-8").replace("limit = 200", "limit = 1000000")
    missions.write_text(text.replace("limit = 50\n", "limit = 1000000\n"), "utf-8")
    text = agents.read_text("utf-8") + BUDGETS.format(limit=limit, searches=searches)
    trusted = '"payments.refund"]\nreports_use = true\n'
    text = text.replace('"payments.refund"]\n', trusted)
    assert trusted in text
    agents.write_text(text, "utf-8")
    return bundle


def crowd(bundle: Path, missions: list[str], steps: int) -> list[dict[str, list[str]]]:
    return together(CLIENT, [(str(bundle), mission, str(steps)) for mission in missions], 900)
