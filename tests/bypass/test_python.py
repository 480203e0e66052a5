"""Every parsed probe through the Python API: the tool is a real function that leaves a trace."""

import json
import shutil
from collections.abc import Iterator

import pytest

import bridle
from bypass.probes import BUNDLE, PROBES, Probe

PARSED = [probe for probe in PROBES if probe.raw is None and not probe.needs]


@pytest.fixture(scope="module")
def prober(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bridle.Agent]:
    folder = tmp_path_factory.mktemp("python")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        bundle = shutil.copytree(BUNDLE, folder / "bundle")
        with bridle.open(bundle, embedded=True) as governor:
            mission = governor.start_mission("probe", user="ana")
            yield mission.agent("prober", executor="worker-1")


@pytest.mark.parametrize("probe", PARSED, ids=lambda p: p.id)
def test_a_call_runs_the_tool_once_with_its_arguments_or_leaves_no_trace(
    prober: bridle.Agent, probe: Probe
) -> None:
    trace: list[dict] = []

    def tool(**arguments: object) -> str:
        trace.append(arguments)
        return "done"

    assert outcome(prober, probe, tool) == probe.expect, probe.note
    expected = [probe.args] if probe.expect == "allow" else []
    # As text, since True == 1 and 1 == 1.0 in Python.
    assert json.dumps(trace) == json.dumps(expected)


def outcome(prober: bridle.Agent, probe: Probe, tool: object) -> str:
    try:
        result = prober.call(probe.tool, probe.args, effect=tool)
    except bridle.Denied as denied:
        return "deny" if denied.code else "denied without a code"
    except bridle.Held as held:
        return "hold" if held.approval_id else "held without an approval to wait for"
    return "allow" if result == "done" else f"allow, but returned {result!r}"
