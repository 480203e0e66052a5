"""What is Node-RED's own: flows that decide as their author, and the ways that messages take."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bridle
from adapters.conformance.bench import Came
from adapters.conformance.sink import Sink
from adapters.conformance.trial import FILED, SYSTEMS, until
from adapters.engines.nodered_ import server
from adapters.engines.nodered_.bench import FLOWS, PLACED, Bench
from bridle.adapters import node_red
from bridle.client.opening import connect
from bridle.model import calls
from bridle.trust import credential
from server.carrying import Site, serving
from server.test_dispatching import WORKER

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(not server.RED.exists(), reason="not run: `make nodered` brings Node-RED"),
]

DORA = credential.generate("user", "dora")
FILES = {
    **FILED,
    "agents.toml": FILED["agents.toml"]
    + f'[users.dora]\nkey = "{DORA.public}"\n'
    + '[pipelines.flows]\nauthor = "dora"\nworkloads = ["worker"]\n',
    "missions.toml": FILED["missions.toml"].replace("agents = [", 'agents = ["flows", '),
}
Start = Callable[..., Bench]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path, "http://127.0.0.1:1", systems=SYSTEMS, files=FILES, sealed={}) as found:
        yield found


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as found:
        yield found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "red").mkdir()
    return Bench(tmp_path / "red")


@pytest.fixture
def carrier(site: Site, tmp_path: Path) -> Iterator[bridle.Worker]:
    with bridle.worker(tmp_path, credential=WORKER, timeout=2.0) as found:
        yield found


def registered(folder: Path, bench: Bench, verb: str = "register") -> str:
    """Have dora register the flows that lie in the user directory; return their digest."""
    digest = bridle.definition("flows.json", "settings.js", root=bench.user)
    with connect(folder, credential=DORA) as dora:
        dora.rows(calls.PipelineVerb(verb=verb, pipeline="flows", digest=digest))
    return digest


def sent(bench: Bench, number: int, *, within: float = 20.0, **more: Any) -> Came:
    """Send a message that names no agent."""
    return bench.sent({"tool": "page.get", "number": number, **more}, within=within)


ENVIRON = {"BENCH_PIPELINE": "flows", "BENCH_MISSION": "office"}


def test_flows_decide_as_their_author_until_they_are_changed(
    site: Site, sink: Sink, bench: Bench, carrier: bridle.Worker, tmp_path: Path
) -> None:
    digest = registered(tmp_path, bench)
    with bench.running(carrier, **ENVIRON):
        assert sent(bench, 7).kind == "done"
        assert sent(bench, 13).kind == "refused"
    (attempt,) = site.ana.rows(calls.Attempts(state="ok"))
    (row,) = site.ana.rows(calls.Explain(action=attempt["action"]))
    found = [row[name] for name in ("author", "agent", "executor", "definition")]
    assert found == ["dora", "flows", "worker", digest]

    flows = [*FLOWS, {"id": "more1", "type": "comment", "name": "changed", **PLACED}]
    server.installed(bench.user, flows)
    with bench.running(carrier, **ENVIRON):
        came = sent(bench, 8)
    assert (came.kind, "definition_unknown" in came.text) == ("refused", True)
    assert [number for _, number in sink.seen()] == [7]


def test_flows_that_are_taken_back_stop(
    site: Site, sink: Sink, bench: Bench, carrier: bridle.Worker, tmp_path: Path
) -> None:
    registered(tmp_path, bench)
    with bench.running(carrier, **ENVIRON):
        assert sent(bench, 7).kind == "done"
        registered(tmp_path, bench, "withdraw")
        assert sent(bench, 8).kind == "refused"
    assert [number for _, number in sink.seen()] == [7]


def test_a_run_is_a_message_and_its_mission(
    site: Site, sink: Sink, bench: Bench, carrier: bridle.Worker, tmp_path: Path
) -> None:
    registered(tmp_path, bench)
    with bench.running(carrier, **ENVIRON):
        for number in (7, 8):
            assert sent(bench, number).kind == "done"
    assert len(site.ana.rows(calls.Missions())) == 2


def test_an_agents_message_is_the_agents_and_not_the_authors(
    site: Site, sink: Sink, bench: Bench, carrier: bridle.Worker, tmp_path: Path
) -> None:
    registered(tmp_path, bench)
    clerk = site.ana.start_mission("office", user="ana").agent("clerk")
    reference = clerk.dispatch("worker", task="t", tools={"page.get": bridle.exactly({"id": 7})})
    with bench.running(carrier, **ENVIRON):
        assert sent(bench, 7, bridle=reference).kind == "done"
        # The author's flows may, and what the agent handed on may not.
        assert sent(bench, 8, bridle=reference).kind == "refused"
        assert sent(bench, 9, bridle="").kind == "refused"
    (attempt,) = site.ana.rows(calls.Attempts(state="ok"))
    assert attempt["agent"] == "clerk"
    assert [number for _, number in sink.seen()] == [7]


def around(kind: str, **more: Any) -> list[dict[str, Any]]:
    """Return the bench's flows with another node in the page's place."""
    other = {"id": "page1", "type": kind, "wires": [["out1"]], **PLACED, **more}
    return [other if each["id"] == "page1" else each for each in FLOWS]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("exec", {"command": "touch", "addpay": "", "append": "happened", "oldrc": False}),
        ("file", {"filename": "happened", "filenameType": "str", "overwriteFile": "true"}),
        ("tcp request", {"server": "127.0.0.1", "port": "9", "out": "sit"}),
    ],
)
def test_a_node_that_nobody_described_does_not_run(
    *,
    kind: str,
    more: dict[str, Any],
    site: Site,
    sink: Sink,
    bench: Bench,
    carrier: bridle.Worker,
    tmp_path: Path,
) -> None:
    server.installed(bench.user, around(kind, **more))
    registered(tmp_path, bench)
    with bench.running(carrier, **ENVIRON):
        came = sent(bench, 7, payload="x")
    assert (came.kind, "not_governed" in came.text) == ("refused", True)
    assert not (bench.user / "happened").exists()


def test_a_node_inside_of_a_subflow_is_governed(
    site: Site, sink: Sink, bench: Bench, carrier: bridle.Worker, tmp_path: Path
) -> None:
    inner = {"id": "deep1", "type": "http request", "method": "GET", "ret": "obj", "wires": [[]]}
    subflow = {
        "id": "sub1",
        "type": "subflow",
        "name": "page",
        "in": [{"x": 50, "y": 50, "wires": [{"id": "deep1"}]}],
        "out": [{"x": 300, "y": 50, "wires": [{"id": "deep1", "port": 0}]}],
    }
    placed = {**inner, "z": "sub1", "x": 100, "y": 100}
    server.installed(bench.user, [subflow, placed, *around("subflow:sub1")])
    registered(tmp_path, bench)
    with bench.running(carrier, **ENVIRON):
        assert sent(bench, 7).kind == "done"
        assert sent(bench, 13).kind == "refused"
    assert [number for _, number in sink.seen()] == [7]


def test_a_second_answer_of_one_action_does_not_go_on(
    site: Site, sink: Sink, bench: Bench, carrier: bridle.Worker, tmp_path: Path
) -> None:
    server.installed(bench.user, around("twin"))
    registered(tmp_path, bench)
    with bench.running(carrier, **ENVIRON):
        name = bench.put({"tool": "page.get", "number": 7})
        assert until(lambda: bench.came_of(name, 0.1).kind == "refused")
    assert "result_opaque" in bench.came_of(name, 1.0).text


def test_a_change_that_the_node_would_not_make_is_no_change(
    site: Site, sink: Sink, bench: Bench, carrier: bridle.Worker, tmp_path: Path
) -> None:
    text = (bench.user / "settings.js").read_text()
    line = next(line for line in text.splitlines() if "apply:" in line)
    (bench.user / "settings.js").write_text(text.replace(line, "apply: () => {},"))
    registered(tmp_path, bench)
    with bench.running(carrier, **ENVIRON):
        came = sent(bench, 900)
    assert (came.kind, "not_applied" in came.text) == ("refused", True)
    assert sink.seen() == []


def test_a_message_that_is_changed_while_it_waits_does_not_pass(
    site: Site, sink: Sink, bench: Bench, carrier: bridle.Worker, tmp_path: Path
) -> None:
    func = (
        f"msg.url = `${{env.get('{'BRIDLE_TEST_SINK'}')}}/page.get/66`; node.send(msg, false);"
        " setTimeout(() => { msg.url = msg.url.replace('66', '7'); }, 300);"
    )
    flows = [each | {"func": func} if each["id"] == "url1" else each for each in FLOWS]
    server.installed(bench.user, flows)
    registered(tmp_path, bench)
    with bench.running(carrier, **ENVIRON):
        name = bench.put({"tool": "page.get", "number": 66})
        (row,) = until(lambda: site.ana.rows(calls.Approvals()))
        time.sleep(0.5)
        site.ana.approve(row["id"], as_user="ben")
        came = bench.came_of(name, 20.0)
    assert came.kind == "refused", came
    assert sink.seen() == []


def test_without_a_pipeline_a_message_has_to_name_its_agent(
    site: Site, sink: Sink, bench: Bench, carrier: bridle.Worker
) -> None:
    with bench.running(carrier):
        came = sent(bench, 7)
    assert (came.kind, "requester_missing" in came.text) == ("refused", True)


def test_a_token_that_is_none_lets_nothing_through(
    site: Site, sink: Sink, bench: Bench, carrier: bridle.Worker, tmp_path: Path
) -> None:
    registered(tmp_path, bench)
    with bench.running(carrier, **ENVIRON, BRIDLE_TOKEN="brt_nobodys"):
        assert sent(bench, 7).kind == "refused"
    assert sink.seen() == []


def test_the_digest_is_that_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text('[{"id": "x"}]')
    (tmp_path / "a.js").write_text("'use strict';\n")
    script = (
        f"const {{ definition }} = require({json.dumps(str(node_red.FOLDER / 'definition.js'))});"
        "console.log(definition('.', ['b.json', 'a.js'], 'b.json', [{id: 'x'}]));"
        "for (const bad of [[{id: 'y'}], []]) {"
        " try { definition('.', ['b.json'], 'b.json', bad); console.log('let in'); }"
        " catch (problem) { console.log('refused'); } }"
    )
    said = subprocess.run(
        [server.node(), "-e", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    ).stdout.split()
    assert said == [bridle.definition("a.js", "b.json", root=tmp_path), "refused", "refused"]
