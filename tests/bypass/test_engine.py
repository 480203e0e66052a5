"""Every probe put to the engine alone: normalise, then judge."""

import pytest

from bridle.bundle.load import load
from bridle.engine.case import Case, MissionView, Refusal
from bridle.engine.engine import Engine
from bypass.probes import BUNDLE, PROBES, Probe


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(load(BUNDLE))


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.id)
def test_the_engine_gives_a_probe_its_effect(engine: Engine, probe: Probe) -> None:
    assert effect(engine, probe) == probe.ruled, probe.note


def effect(engine: Engine, probe: Probe) -> str:
    typed = engine.normalise(probe.tool, probe.text)
    if isinstance(typed, Refusal):
        return "deny"
    case = Case(
        tool=probe.tool,
        typed=typed,
        agent="prober",
        user="ana",
        mission=MissionView(id="m1", template="probe"),
        now=1_790_000_000_000,
        executor="worker-1",
    )
    return engine.judge(case).effect.value


def test_what_the_engine_lets_through_is_the_probe_s_own_text(engine: Engine) -> None:
    passing = [probe for probe in PROBES if probe.ruled == "allow"]
    typed = [engine.normalise(probe.tool, probe.text) for probe in passing]
    assert [t.text for t in typed] == [probe.text for probe in passing]
