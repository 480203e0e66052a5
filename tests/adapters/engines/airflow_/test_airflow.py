"""What is Airflow's own: what the gate sees, and what does not get around it."""

import importlib.util
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if importlib.util.find_spec("airflow") is None:  # to import it is to have it look for its home
    pytest.skip("not run: `make airflow` brings Airflow", allow_module_level=True)

import bridle
from adapters.conformance.sink import Sink
from adapters.conformance.trial import Trial, trial
from adapters.engines.airflow_ import home
from adapters.engines.airflow_.bench import Bench
from bridle.adapters.engines import airflow as adapter
from bridle.model import calls

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("airflow"))
    yield made
    made.close()


@pytest.fixture
def t(bench: Bench, tmp_path: Path) -> Iterator[Trial]:
    with Sink() as sink, trial(tmp_path, bench, sink) as found:
        yield found


def ran(t: Trial, dag_id: str, **conf: Any) -> dict[int, str]:
    """Run a DAG for the clerk; return how each of its task's instances ended."""
    every = {"id": bridle.anything()}
    reference = t.clerk.dispatch("worker", task=dag_id, tools={"page.get": every})
    with t.bench.running(t.carrier):
        nth = 20_000 + abs(hash((dag_id, reference))) % 100_000
        run = t.bench._submitted(dag_id, nth, {adapter.CONF: reference, **conf})
    return {each.map_index: str(each.state) for each in run.get_task_instances()}


@pytest.mark.parametrize("dag_id", ["get", "classic", "positional"])
def test_a_function_is_judged_by_its_arguments_names(dag_id: str, t: Trial) -> None:
    assert ran(t, dag_id, number=900) == {-1: "success"}
    assert t.numbers() == [100]
    assert ran(t, dag_id, number=13) == {-1: "failed"}
    assert t.numbers() == [100]


def test_each_mapped_instance_is_an_action_of_its_own(t: Trial) -> None:
    assert ran(t, "mapped") == {0: "success", 1: "success", 2: "failed"}
    assert sorted(t.numbers()) == [1, 2]
    assert len(t.attempts()) == 2


def test_a_task_that_is_named_nowhere_does_not_run(t: Trial) -> None:
    assert ran(t, "unknown") == {-1: "failed"}
    assert t.numbers() == []


def test_an_operator_is_judged_by_its_templated_fields(
    t: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(home.TOOLS, "shell.step", "page.get")
    touched = tmp_path / "touched"
    # The tool has one argument, `id`: a command is none.
    assert ran(t, "shell", touched=str(touched)) == {-1: "failed"}
    assert not touched.exists()


@pytest.mark.parametrize("dag_id", ["namesake", "replaced"])
def test_what_only_looks_harmless_does_not_run(dag_id: str, t: Trial) -> None:
    assert ran(t, dag_id) == {-1: "failed"}
    assert t.numbers() == []


def test_arguments_that_nothing_would_decide_on_are_refused(
    t: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(home.TOOLS, "templated.step", "page.get")
    assert ran(t, "templated", number=99) == {-1: "failed"}
    assert t.numbers() == []


def test_what_is_known_to_be_harmless_is_nobodys_action(t: Trial) -> None:
    assert ran(t, "harmless") == {-1: "success"}
    assert t.site.ana.rows(calls.Attempts(state="ok")) == []


def test_an_airflow_that_runs_tasks_in_another_way_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for other in (None, lambda context, task: None, lambda *given: None):
        monkeypatch.setattr(adapter.task_runner, "_run_execute_callable", other)
        with pytest.raises(bridle.BridleError) as refused:
            adapter.govern(lambda: pytest.fail("asked"), tools={})
        assert refused.value.code == "unsupported"


def test_the_gate_is_set_once_however_often_it_is_asked_for() -> None:
    before = adapter.task_runner._run_execute_callable
    for _ in range(3):
        adapter.govern(lambda: pytest.fail("asked"), tools={})
    hook = adapter.task_runner._run_execute_callable
    assert not hasattr(hook.bridle, "bridle")
    assert list(inspect.signature(hook).parameters) == ["context", "execute", "task"]
    adapter.release()
    assert adapter.task_runner._run_execute_callable is getattr(before, "bridle", before)
