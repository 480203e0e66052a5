"""Runs of the OpenAI Agents SDK in an agent's own process, governed: seen at the sink."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.model import calls
from server.carrying import Site, serving
from server.test_dispatching import CHANGED, PLAIN

pytest.importorskip("agents", reason="not run: `make frameworks` brings the OpenAI Agents SDK")

from agents import Agent, Runner, WebSearchTool, function_tool
from agents.exceptions import UserError
from agents.testing import ScriptedModel, assistant_message, function_call

from adapters.frameworks.openai_.bench import outputs
from bridle.adapters.frameworks.openai import HeldError, UndecidedError, governed
from bridle.model.errors import UsageError

pytestmark = pytest.mark.engines

SINK: list[int] = []
END = [assistant_message("done")]


def get(id: int) -> dict[str, int]:  # noqa: A002 - the argument's name
    """Get a page."""
    SINK.append(id)
    return {"page": id}


def fails(id: int) -> str:  # noqa: A002 - the argument's name
    """Fail."""
    SINK.append(id)
    raise OSError("no such page")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    SINK.clear()
    with serving(tmp_path, "http://127.0.0.1:1", systems=PLAIN, files=CHANGED) as found:
        yield found


@pytest.fixture
def clerk(site: Site) -> bridle.Agent:
    return site.ana.start_mission("office", user="ana").agent("clerk")


def desk(agent: bridle.Agent, *steps: Any, task: str = "ticket-7", **more: Any) -> Agent:
    """Build an agent of the SDK that is governed as this one."""
    tools = [function_tool(get), function_tool(fails, failure_error_function=None)]
    names = dict.fromkeys(("get", "fails"), "page.get")
    return Agent(
        "desk", tools=governed(agent, tools, names, task=task), model=ScriptedModel(steps), **more
    )


def called(*numbers: int, tool: str = "get") -> list[Any]:
    return [
        function_call(tool, {"id": number}, call_id=f"call_{at}")
        for at, number in enumerate(numbers)
    ]


def ran(agent: Agent, given: Any = "do it") -> Any:
    return asyncio.run(Runner.run(agent, given))


def test_an_agents_calls_are_decided_and_the_model_is_told_of_refusals(
    site: Site, clerk: bridle.Agent
) -> None:
    first, second, third = outputs(ran(desk(clerk, called(7, 13, 900), END)))
    assert (first, third) == ({"page": 7}, {"page": 100})
    assert "no page 13" in second
    assert sorted(SINK) == [7, 100]
    rows = site.ana.rows(calls.Attempts(state="ok"))
    assert {(row["agent"], row["executor"]) for row in rows} == {("clerk", clerk.executor)}


def test_an_approval_in_the_sdk_grants_nothing_and_one_by_a_human_does(
    site: Site, clerk: bridle.Agent
) -> None:
    found = ran(desk(clerk, called(66), END))
    state = found.to_state()
    for each in found.interruptions:
        state.approve(each)
    with pytest.raises(UserError) as raised:
        ran(desk(clerk, END), state)
    assert isinstance(raised.value.__cause__, HeldError)
    assert SINK == []
    (row,) = site.ana.rows(calls.Approvals())
    site.ana.done(calls.Answer(approval=row["id"], approve=True, as_user="ben"))
    state = found.to_state()
    for each in found.interruptions:
        state.approve(each)
    assert outputs(ran(desk(clerk, END), state)) == [{"page": 66}]
    assert SINK == [66]


def test_a_governor_that_is_gone_ends_the_run_before_the_tool(
    site: Site, clerk: bridle.Agent
) -> None:
    clerk.call("page.get", {"id": 1}, effect=lambda id: "known")  # noqa: A006
    site.stop()
    with pytest.raises(UserError) as raised:
        ran(desk(clerk, called(7), END))
    assert isinstance(raised.value.__cause__, UndecidedError)
    assert SINK == []


def test_a_call_is_done_once_within_its_task_and_ids_with_other_arguments_are_refused(
    clerk: bridle.Agent,
) -> None:
    for _ in range(2):
        assert outputs(ran(desk(clerk, called(7), END))) == [{"page": 7}]
    (refused,) = outputs(ran(desk(clerk, called(8), END)))
    assert isinstance(refused, str)
    assert SINK == [7]
    ran(desk(clerk, called(8), END, task="ticket-8"))
    assert SINK == [7, 8]


def test_with_arguments_that_are_no_object_nothing_runs(clerk: bridle.Agent) -> None:
    for given in ("[7]", "7", "nonsense"):
        call = function_call("get", given, call_id="call_0")
        # Whatever the SDK makes of it.
        with suppress(Exception):
            ran(desk(clerk, [call], END))
        assert SINK == [], given


def test_what_a_tool_raises_ends_the_run_and_is_on_record(site: Site, clerk: bridle.Agent) -> None:
    with pytest.raises(UserError, match="no such page"):
        ran(desk(clerk, called(7, tool="fails"), END))
    assert SINK == [7]
    assert len(site.ana.rows(calls.Attempts(state="error"))) == 1


def test_a_tool_that_waits_for_approval_by_itself_still_does(clerk: bridle.Agent) -> None:
    (tool,) = governed(clerk, [function_tool(get, needs_approval=True)], {"get": "page.get"})
    found = ran(Agent("desk", tools=[tool], model=ScriptedModel([called(7), END])))
    assert len(found.interruptions) == 1
    assert SINK == []


def test_what_is_carried_out_elsewhere_cannot_be_governed_here(clerk: bridle.Agent) -> None:
    with pytest.raises(UsageError, match="WebSearchTool"):
        governed(clerk, [WebSearchTool()])


def test_whom_a_run_is_handed_to_acts_by_what_it_was_delegated(
    site: Site, clerk: bridle.Agent
) -> None:
    scout = clerk.delegate("scout", tools={"page.get": {"id": bridle.one_of(7)}})
    other = desk(scout, called(7, 8), END)
    handed = function_call("transfer_to_scout", {}, call_id="call_9")
    other.name = "scout"
    first, second = outputs(ran(desk(clerk, [handed], handoffs=[other])))[-2:]
    assert first == {"page": 7}
    assert isinstance(second, str)
    assert SINK == [7]
    (row,) = site.ana.rows(calls.Attempts(state="ok"))
    assert row["agent"] == "scout"
    (explained,) = site.ana.rows(calls.Explain(action=row["action"]))
    assert explained["line"].startswith("clerk>scout")
