"""Agents of LangChain in their own process, on a scripted model, governed: seen at the sink."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.model import calls
from server.carrying import Site, serving
from server.test_dispatching import CHANGED, PLAIN

pytest.importorskip("langchain", reason="not run: `make frameworks` brings LangChain")

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain.messages import ToolMessage
from langchain.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from adapters.frameworks.langchain_.bench import Scripted
from bridle.adapters.frameworks.langchain import Governed, UndecidedError
from bridle.model.errors import UsageError

pytestmark = pytest.mark.engines

SINK: list[int] = []
TOOLS = dict.fromkeys(("get", "aget", "fails", "jumps", "hides", "hand_on"), "page.get")
WHERE: Any = {"configurable": {"thread_id": "ticket-7"}}


@tool
def get(id: int) -> dict[str, Any]:  # noqa: A002 - the argument's name
    """Get a page."""
    SINK.append(id)
    return {"page": id}


@tool
async def aget(id: int) -> dict[str, Any]:  # noqa: A002 - the argument's name
    """Get a page."""
    SINK.append(id)
    return {"page": id}


@tool
def fails(id: int) -> str:  # noqa: A002 - the argument's name
    """Fail."""
    SINK.append(id)
    raise OSError("no such page")


@tool
def jumps(id: int) -> Command:  # noqa: A002 - the argument's name
    """Change where the run goes on."""
    SINK.append(id)
    return Command(graph=Command.PARENT, goto="elsewhere")


@tool(response_format="content_and_artifact")
def hides(id: int) -> tuple[str, str]:  # noqa: A002 - the argument's name
    """Say one thing, and give another to whoever reads the state."""
    SINK.append(id)
    return "page", "what no policy saw"


@tool
def picky(id: str) -> str:  # noqa: A002 - the argument's name
    """Take texts only."""
    raise AssertionError(id)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    SINK.clear()
    with serving(tmp_path, "http://127.0.0.1:1", systems=PLAIN, files=CHANGED) as found:
        yield found


@pytest.fixture
def clerk(site: Site) -> bridle.Agent:
    return site.ana.start_mission("office", user="ana").agent("clerk")


def desk(agent: bridle.Agent, *tools: Any, before: Any = (), **names: str) -> Any:
    """Build an agent of LangChain that is governed as this one."""
    governed = Governed(agent, {**TOOLS, **names})
    saver = InMemorySaver()
    return create_agent(Scripted(), tools, middleware=[*before, governed], checkpointer=saver)


def told(found: Any) -> list[ToolMessage]:
    return [each for each in found["messages"] if isinstance(each, ToolMessage)]


def asked(graph: Any, text: str) -> list[ToolMessage]:
    return told(graph.invoke({"messages": [("user", text)]}, WHERE))


def states(site: Site) -> list[str]:
    kinds = ("ok", "error", "unknown")
    return [kind for kind in kinds for _ in site.ana.rows(calls.Attempts(state=kind))]


def approved(site: Site) -> None:
    (row,) = site.ana.rows(calls.Approvals())
    site.ana.done(calls.Answer(approval=row["id"], approve=True, as_user="ben"))


def test_an_agents_calls_are_decided_and_the_model_is_told_of_refusals(
    site: Site, clerk: bridle.Agent
) -> None:
    answers = asked(desk(clerk, get), "get 7 get 13 get 900")
    assert sorted(SINK) == [7, 100]
    assert json.loads(answers[0].content) == {"page": 7}
    assert answers[1].status == "error"
    assert "no page 13" in answers[1].content
    assert json.loads(answers[2].content) == {"page": 100}
    rows = site.ana.rows(calls.Attempts(state="ok"))
    assert {(row["agent"], row["executor"]) for row in rows} == {("clerk", clerk.executor)}


def test_a_tool_that_the_bundle_does_not_name_does_not_run(clerk: bridle.Agent) -> None:
    (answer,) = asked(desk(clerk, get, get="page.take"), "get 7")
    assert answer.status == "error"
    assert SINK == []


def test_async_runs_are_governed_alike(clerk: bridle.Agent) -> None:
    run = desk(clerk, aget).ainvoke({"messages": [("user", "aget 7 aget 13")]}, WHERE)
    assert [each.status for each in told(asyncio.run(run))] == ["success", "error"]
    assert SINK == [7]


def test_a_hold_interrupts_and_resuming_asks_the_governor_again(
    site: Site, clerk: bridle.Agent
) -> None:
    graph = desk(clerk, get)
    found = graph.invoke({"messages": [("user", "get 66")]}, WHERE)
    (row,) = site.ana.rows(calls.Approvals())
    assert found["__interrupt__"][0].value["approval"] == row["id"]
    # A word to resume with is no approval.
    assert "__interrupt__" in graph.invoke(Command(resume="approved"), WHERE)
    assert SINK == []
    approved(site)
    assert [each.status for each in told(graph.invoke(Command(resume=True), WHERE))] == ["success"]
    assert SINK == [66]


def test_an_async_hold_is_resumed_too(site: Site, clerk: bridle.Agent) -> None:
    async def run() -> None:
        graph = desk(clerk, aget)
        found = await graph.ainvoke({"messages": [("user", "aget 66")]}, WHERE)
        assert "__interrupt__" in found
        assert SINK == []
        approved(site)
        await graph.ainvoke(Command(resume=True), WHERE)

    asyncio.run(run())
    assert SINK == [66]


def test_ids_that_a_model_uses_again_are_other_calls_and_a_replay_is_the_same(
    site: Site, clerk: bridle.Agent
) -> None:
    graph = desk(clerk, get)
    asked(graph, "get 7")
    asked(graph, "get 7")
    assert SINK == [7, 7]
    before = next(state for state in graph.get_state_history(WHERE) if state.next == ("tools",))
    again = graph.invoke(None, before.config)
    assert json.loads(told(again)[-1].content) == {"page": 7}
    assert SINK == [7, 7]
    assert states(site) == ["ok", "ok"]


def test_a_governor_that_is_gone_ends_the_run_before_the_tool(
    site: Site, clerk: bridle.Agent
) -> None:
    graph = desk(clerk, get)
    clerk.call("page.get", {"id": 1}, effect=lambda id: "known")  # noqa: A006
    site.stop()
    with pytest.raises(UndecidedError):
        asked(graph, "get 7")
    assert SINK == []


def test_an_adapter_that_fails_lets_nothing_run(clerk: bridle.Agent) -> None:
    class Forgets(AgentMiddleware):
        def wrap_tool_call(self, request: Any, handler: Any) -> Any:
            return handler(request.override(state={"messages": []}))

    (answer,) = asked(desk(clerk, get, before=[Forgets()]), "get 7")
    assert answer.status == "error"
    assert SINK == []


def test_what_a_tool_raises_comes_as_it_is_and_is_on_record(
    site: Site, clerk: bridle.Agent
) -> None:
    with pytest.raises(OSError, match="no such page"):
        asked(desk(clerk, fails), "fails 7")
    assert SINK == [7]
    assert states(site) == ["error"]


def test_an_answer_that_is_an_error_is_a_failure_on_record(site: Site, clerk: bridle.Agent) -> None:
    (answer,) = asked(desk(clerk, picky, picky="page.get"), "picky 7")
    assert answer.status == "error"
    assert states(site) == ["error"]


def test_a_command_of_a_tool_passes_no_policy_and_so_not_at_all(clerk: bridle.Agent) -> None:
    with pytest.raises(UsageError, match="no policy can judge"):
        asked(desk(clerk, jumps), "jumps 7")


def test_what_no_policy_saw_of_a_result_is_left_out(clerk: bridle.Agent) -> None:
    (answer,) = asked(desk(clerk, hides), "hides 7")
    assert (answer.content, answer.artifact) == ("page", None)


def test_an_agent_that_is_a_tool_acts_by_what_it_was_handed(
    site: Site, clerk: bridle.Agent
) -> None:
    scout = clerk.delegate("scout", tools={"page.get": {"id": bridle.one_of(7)}})
    inner = desk(scout, get)

    @tool
    def hand_on(id: int) -> str:  # noqa: A002 - the argument's name
        """Have the scout do it."""
        return str([each.status for each in asked(inner, f"get {id} get 8")])

    asked(desk(clerk, hand_on), "hand_on 7")
    assert SINK == [7]
    rows = site.ana.rows(calls.Attempts(state="ok"))
    assert sorted(row["agent"] for row in rows) == ["clerk", "scout"]
