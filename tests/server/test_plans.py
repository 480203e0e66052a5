"""Plans over the socket of a governor: checked, cited step by step, carried out, and held to."""

import asyncio
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bridle
from brokers.performing.servers import Sink
from server.carrying import FILES, Site, serving

PLANNED = {"bridle.toml": FILES["bridle.toml"] + "[boundaries]\nplan_only = true\n"}
PLAN: dict[str, Any] = {
    "version": 1,
    "steps": [
        {"id": "note", "tool": "note.read", "args": {"id": 1}},
        {"id": "page", "tool": "page.get", "args": {"id": {"$from": "note", "path": "/page"}}},
    ],
}


@pytest.fixture
def site(tmp_path: Path, sink: Sink) -> Iterator[Site]:
    with serving(tmp_path, sink.url, files=PLANNED) as found:
        yield found


@pytest.fixture
def clerk(site: Site) -> bridle.Agent:
    return site.ana.start_mission("office", user="ana").agent("clerk", executor="worker")


def note(**_: Any) -> dict[str, int]:
    return {"page": 7}


def test_a_plan_is_checked_and_carried_out(clerk: bridle.Agent) -> None:
    forecast = clerk.check_plan(PLAN)
    assert [step.effect.value for step in forecast.steps] == ["allow", "open"]
    assert forecast.allowed
    assert clerk.call("note.read", {"id": 1}, effect=note, plan=forecast, step="note") == {
        "page": 7
    }
    # By the governor's signed word, and by its side.
    page = clerk.call("page.get", {"id": 7}, plan=forecast.reference, step="page")
    assert page["status"] == 200


def test_what_deviates_is_denied_and_runs_nothing(clerk: bridle.Agent) -> None:
    plan = clerk.check_plan(PLAN)
    ran: list[dict[str, Any]] = []

    def effect(**given: Any) -> None:
        ran.append(given)

    for given in (
        {},
        {"plan": plan, "step": "page"},
        {"plan": plan, "step": "none"},
        {"plan": "0" * 64, "step": "note"},
    ):
        with pytest.raises(bridle.Denied) as denied:
            clerk.call("note.read", {"id": 1}, effect=effect, **given)
        assert denied.value.code == "forbidden"
    with pytest.raises(bridle.Denied):
        clerk.call("note.read", {"id": 2}, effect=effect, plan=plan, step="note")
    assert ran == []


def test_a_step_called_again_is_the_same_action(clerk: bridle.Agent) -> None:
    plan = clerk.check_plan(json.dumps(PLAN))
    ran: list[int] = []

    def effect(**_: Any) -> dict[str, int]:
        ran.append(1)
        return {"page": 7}

    for _ in range(3):
        assert clerk.call("note.read", {"id": 1}, effect=effect, plan=plan, step="note")
    assert ran == [1]
    with pytest.raises(bridle.Denied):
        clerk.call("note.read", {"id": 1}, effect=effect, plan=plan, step="note", key="other")


def test_the_async_twins_cite_as_well(clerk: bridle.Agent) -> None:
    async def acting() -> Any:
        plan = await clerk.acheck_plan(PLAN)
        verdict = await clerk.adecide("note.read", {"id": 1}, plan=plan, step="note")
        assert verdict.effect == "allow"
        await clerk.acall("note.read", {"id": 1}, effect=note, plan=plan, step="note")
        return await clerk.acall("page.get", {"id": 7}, plan=plan, step="page")

    assert asyncio.run(acting())["status"] == 200


def test_the_agent_that_acts_checks_plans(clerk: bridle.Agent) -> None:
    with clerk:
        assert bridle.check_plan(PLAN).digest == clerk.check_plan(PLAN).digest
    with pytest.raises(bridle.BridleError):
        bridle.check_plan(PLAN)


def test_a_forecast_travels(clerk: bridle.Agent) -> None:
    forecast = clerk.check_plan(PLAN)
    assert pickle.loads(pickle.dumps(forecast)) == forecast


@pytest.mark.parametrize("plan", ["{}", "", {"version": 1, "steps": []}, {"version": object()}])
def test_what_is_no_plan_is_refused(clerk: bridle.Agent, plan: Any) -> None:
    with pytest.raises(bridle.BridleError) as refused:
        clerk.check_plan(plan)
    assert refused.value.code == "plan_invalid"


@pytest.mark.parametrize(
    "given", [{"plan": "0" * 64}, {"step": "note"}, {"plan": "nothing", "step": "note"}]
)
def test_what_names_no_step_of_a_plan_is_refused_before_anything_is_asked(
    clerk: bridle.Agent, given: dict[str, Any]
) -> None:
    with pytest.raises(bridle.BridleError) as refused:
        clerk.call("note.read", {"id": 1}, effect=note, **given)
    assert refused.value.code == "usage"


def test_another_mission_of_the_same_agent_has_no_such_plan(
    site: Site, clerk: bridle.Agent
) -> None:
    plan = clerk.check_plan(PLAN)
    other = site.ana.start_mission("office", user="ana").agent("clerk", executor="worker")
    with pytest.raises(bridle.Denied):
        other.call("note.read", {"id": 1}, effect=note, plan=plan, step="note")
