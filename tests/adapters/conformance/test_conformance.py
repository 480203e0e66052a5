"""Every adapter, on the real engine, against the same cases."""

import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.conformance import cases
from adapters.conformance.bench import GAPS, Bench
from adapters.conformance.matrix import ENGINES
from adapters.conformance.sink import Sink
from adapters.conformance.trial import trial

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


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


@pytest.mark.parametrize("title", list(cases.CASES))
def test_an_adapter_conforms(engine: Bench, title: str, tmp_path: Path) -> None:
    with Sink() as sink, trial(tmp_path, engine, sink) as found:
        cases.CASES[title](found)


def test_an_adapter_has_only_the_gaps_that_are_allowed(engine: Bench) -> None:
    for title, reason in engine.gaps.items():
        assert reason in GAPS[title]
