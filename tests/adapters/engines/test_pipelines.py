"""A human's pipeline on every real engine: its steps are decided as its author. At the sink."""

import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

import bridle
from adapters.conformance.bench import Bench
from adapters.conformance.matrix import ENGINES
from adapters.conformance.sink import Sink
from adapters.conformance.trial import FILED, SYSTEMS
from bridle.client.opening import connect
from bridle.model import calls
from bridle.trust import credential
from server.carrying import Site, serving
from server.test_dispatching import WORKER

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

DORA = credential.generate("user", "dora")
SCHEDULER = credential.generate("workload", "scheduler")
FILES = {
    **FILED,
    "agents.toml": FILED["agents.toml"]
    + f"""
[users.dora]
key = "{DORA.public}"
[workloads.scheduler]
key = "{SCHEDULER.public}"
[pipelines.nightly]
author = "dora"
workloads = ["scheduler"]
""",
    "missions.toml": FILED["missions.toml"].replace("agents = [", 'agents = ["nightly", '),
    "governance/permits.dw": FILED["governance/permits.dw"]
    + """
@id("nightly") permit (principal == Agent::"nightly", action == Action::"delegate", resource)
when { principal has author && principal.author == User::"dora" };
""",
}


@pytest.fixture(scope="module", params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[
    Bench
]:  # fmt: skip
    name = request.param
    if importlib.util.find_spec(ENGINES[name].package) is None:
        pytest.skip(f"not run: `make {ENGINES[name].target}` brings {name}")
    made = importlib.import_module(ENGINES[name].module).make(tmp_path_factory.mktemp(name))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path, "http://127.0.0.1:1", systems=SYSTEMS, files=FILES, sealed={}) as found:
        yield found


def said(verb: str, folder: Path, digest: str) -> None:
    with connect(folder, credential=DORA) as dora:
        dora.rows(calls.PipelineVerb(verb=verb, pipeline="nightly", digest=digest))


def dispatched(run: bridle.Agent, number: int, task: str) -> str:
    return run.dispatch("worker", task=task, tools={"page.get": bridle.exactly({"id": number})})


def test_a_pipelines_steps_are_decided_as_its_author_and_stop_when_it_is_withdrawn(
    engine: Bench, site: Site, tmp_path: Path
) -> None:
    definition = tmp_path / "nightly.py"
    definition.write_text("page(1)\n")
    digest = bridle.definition("nightly.py", root=tmp_path)
    said("register", tmp_path, digest)
    with (
        Sink() as sink,
        bridle.worker(tmp_path, credential=SCHEDULER) as scheduler,
        bridle.worker(tmp_path, credential=WORKER, timeout=2.0) as carrier,
    ):
        run = scheduler.pipeline("nightly", definition=digest, run="2026-11-23", mission="office")
        with engine.running(carrier):
            first = engine.submit(dispatched(run, 1, "one"), 1)
            assert engine.came(first).kind == "done"
            (attempt,) = site.ana.rows(calls.Attempts(state="ok"))
            (row,) = site.ana.rows(calls.Explain(action=attempt["action"]))
            found = [row[name] for name in ("author", "agent", "executor", "definition", "mission")]
            assert found == ["dora", "nightly", "worker", digest, run.mission.id]

            # On its way in the engine when its author takes the definition back.
            late = dispatched(run, 2, "two")
            said("withdraw", tmp_path, digest)
            assert engine.came(engine.submit(late, 2)).kind == "refused"

        # What was changed decides as nobody.
        definition.write_text("page(3)\n")
        changed = bridle.definition("nightly.py", root=tmp_path)
        with pytest.raises(bridle.BridleError) as refused:
            scheduler.pipeline("nightly", definition=changed, run="2026-11-24", mission="office")
        assert refused.value.code == "definition_unknown"
        assert [number for _, number in sink.seen()] == [1]
