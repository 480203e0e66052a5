"""Nodes, tools and subgraphs of real graphs with real checkpoints, governed: seen at the sink."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypedDict

import pytest

import bridle
from bridle.client.worker import Worker
from bridle.model import calls
from bridle.trust import context
from server.carrying import Site, serving
from server.test_dispatching import CHANGED, OTHER, PLAIN, WORKER

pytest.importorskip("langgraph", reason="not run: `make engines` brings LangGraph")

from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, RetryPolicy, Send

from bridle.adapters.engines import langgraph as adapter
from bridle.model.errors import UsageError

pytestmark = pytest.mark.engines

# Whom the clerk hands on to may have its work carried out, too.
SCOUT = """
@id("scouts") permit (principal == Agent::"scout", action == Action::"delegate", resource)
when { context has workload && context.workload == Workload::"worker" && context.task };
"""
GOVERNED = {**CHANGED, "governance/permits.dw": CHANGED["governance/permits.dw"] + SCOUT}
SINK: list[dict[str, Any]] = []
FAILING: list[str] = []


def happened(number: int) -> str:
    time.sleep(0.1)
    SINK.append({"id": number})
    if FAILING:
        raise ValueError(FAILING.pop())
    return f"page {number}"


@adapter.governed("page.get")
def get(id: int) -> str:  # noqa: A002 - the argument's name
    return happened(id)


@adapter.governed("page.get")
async def aget(id: int) -> str:  # noqa: A002 - the argument's name
    return happened(id)


@adapter.governed("note.read")
def read(id: int) -> str:  # noqa: A002 - the argument's name
    return happened(id)


class State(TypedDict, total=False):
    ids: list[int]
    found: list[str]
    scout: str


def first(state: State) -> State:
    return {"found": [*state.get("found", []), get(state["ids"][0])]}


def rest(state: State) -> State:
    return {"found": [*state.get("found", []), *[get(number) for number in state["ids"][1:]]]}


async def apage(state: State) -> State:
    return {"found": [*state.get("found", []), await aget(state["ids"][0])]}


def chain(*nodes: Any, **named: Any) -> StateGraph:
    """Build a graph that runs these nodes one after the other."""
    graph = StateGraph(State)
    before = START
    for name, node in {**{node.__name__: node for node in nodes}, **named}.items():
        graph.add_node(name, node)
        graph.add_edge(before, name)
        before = name
    return graph


@pytest.fixture(autouse=True)
def sink() -> Iterator[list[dict[str, Any]]]:
    SINK.clear()
    FAILING.clear()
    yield SINK
    SINK.clear()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path, "http://127.0.0.1:1", systems=PLAIN, files=GOVERNED) as found:
        yield found


@pytest.fixture
def clerk(site: Site) -> bridle.Agent:
    return site.ana.start_mission("office", user="ana").agent("clerk")


@pytest.fixture
def carrier(site: Site, tmp_path: Path) -> Iterator[Worker]:
    del site
    with bridle.worker(tmp_path, credential=WORKER) as found:
        adapter.govern(found)
        yield found
        adapter.release()


@pytest.fixture
def saver(tmp_path: Path, carrier: Worker) -> Iterator[SqliteSaver]:
    del carrier
    with SqliteSaver.from_conn_string(str(tmp_path / "checkpoints.sqlite")) as found:
        yield found


def dispatched(agent: bridle.Agent, *ids: int, task: str = "t") -> str:
    return agent.dispatch("worker", task=task, tools={"page.get": {"id": bridle.one_of(*ids)}})


def configured(reference: str, thread: str = "w", checkpoint: str = "") -> Any:
    found = {"thread_id": thread, adapter.CONTEXT: reference}
    return {"configurable": {**found, **({"checkpoint_id": checkpoint} if checkpoint else {})}}


def refused(job: Callable[[], Any]) -> str:
    with pytest.raises(adapter.DeniedError) as found:
        job()
    return str(found.value)


def answered(site: Site, *, approve: bool, by: str = "ben") -> None:
    (row,) = site.ana.rows(calls.Approvals())
    site.ana.done(calls.Answer(approval=row["id"], approve=approve, as_user=by))


def test_what_an_agent_dispatched_is_carried_out_with_both_identities_on_record(
    site: Site, clerk: bridle.Agent, saver: SqliteSaver
) -> None:
    graph = chain(first, rest).compile(saver)
    done = graph.invoke({"ids": [7, 8]}, configured(dispatched(clerk, 7, 8)))
    assert done["found"] == ["page 7", "page 8"]
    assert SINK == [{"id": 7}, {"id": 8}]
    rows = site.ana.rows(calls.Attempts(state="ok"))
    assert [(row["agent"], row["executor"]) for row in rows] == [("clerk", "worker")] * 2


def test_what_was_not_dispatched_does_not_run(
    site: Site, clerk: bridle.Agent, saver: SqliteSaver
) -> None:
    graph = chain(first).compile(saver)
    reference = dispatched(clerk, 7)
    real = context.parse(reference)
    forged = context.format(context.Reference(real.mission, real.task, "0" * 64))
    for number, (carried, page) in enumerate(
        [(reference, 8), ("", 7), (forged, 7), ("nonsense", 7), (dispatched(clerk, 13), 13)]
    ):
        name = f"w{number}"
        refused(lambda c=carried, p=page, n=name: graph.invoke({"ids": [p]}, configured(c, n)))
    assert not SINK
    assert not site.ana.rows(calls.Attempts(state="ok"))


def test_a_refusal_is_not_tried_again_and_an_absent_governor_is(
    site: Site, clerk: bridle.Agent, saver: SqliteSaver
) -> None:
    tried: list[int] = []

    def counted(state: State) -> State:
        tried.append(1)
        return first(state)

    graph = StateGraph(State)
    graph.add_node("counted", counted, retry_policy=RetryPolicy(initial_interval=0.05))
    graph.add_edge(START, "counted")
    built = graph.compile(saver)
    refused(lambda: built.invoke({"ids": [8]}, configured(dispatched(clerk, 7), "w")))
    assert len(tried) == 1
    reference = dispatched(clerk, 7)
    site.stop()
    with pytest.raises(adapter.UndecidedError):
        built.invoke({"ids": [7]}, configured(reference, "v"))
    assert len(tried) == 1 + 3
    assert not SINK


def test_a_node_that_catches_its_refusal_gains_nothing(
    clerk: bridle.Agent, saver: SqliteSaver
) -> None:
    def stubborn(state: State) -> State:
        try:
            return first(state)
        except adapter.DeniedError:
            return {"found": [read(state["ids"][0])]}

    graph = chain(stubborn).compile(saver)
    refused(lambda: graph.invoke({"ids": [13]}, configured(dispatched(clerk, 13))))
    assert not SINK


def test_what_policy_changes_is_what_runs(clerk: bridle.Agent, saver: SqliteSaver) -> None:
    graph = chain(first).compile(saver)
    done = graph.invoke({"ids": [900]}, configured(dispatched(clerk, 900)))
    assert done["found"] == ["page 100"]
    assert SINK == [{"id": 100}]


def test_a_held_call_interrupts_and_goes_on_once_a_human_has_answered(
    site: Site, clerk: bridle.Agent, saver: SqliteSaver
) -> None:
    graph = chain(first, rest).compile(saver)
    ours = configured(dispatched(clerk, 7, 66, 8))
    (asked,) = graph.invoke({"ids": [7, 66, 8]}, ours)["__interrupt__"]
    assert [row["id"] for row in site.ana.rows(calls.Approvals())] == [asked.value["approval"]]
    answered(site, approve=True)
    # Another process goes on with what is stored.
    again = chain(first, rest).compile(saver)
    assert again.invoke(Command(resume="go on"), ours)["found"] == ["page 7", "page 66", "page 8"]
    assert SINK == [{"id": 7}, {"id": 66}, {"id": 8}]


def test_what_a_node_did_before_it_was_held_is_not_repeated(
    site: Site, clerk: bridle.Agent, saver: SqliteSaver
) -> None:
    graph = chain(rest).compile(saver)
    ours = configured(dispatched(clerk, 7, 8, 66))
    given = {"ids": [0, 7, 66, 8]}
    assert graph.invoke(given, ours)["__interrupt__"]
    assert graph.invoke(Command(resume=True), ours)["__interrupt__"]
    answered(site, approve=True)
    assert graph.invoke(Command(resume=True), ours)["found"] == ["page 7", "page 66", "page 8"]
    assert SINK == [{"id": 7}, {"id": 66}, {"id": 8}]
    assert len(site.ana.rows(calls.Attempts(state="ok"))) == 3


@pytest.mark.parametrize("value", [True, "approved", {"approval": "any", "approve": True}])
def test_what_a_graph_is_resumed_with_grants_nothing(
    site: Site, clerk: bridle.Agent, saver: SqliteSaver, value: object
) -> None:
    graph = chain(first).compile(saver)
    ours = configured(dispatched(clerk, 66))
    graph.invoke({"ids": [66]}, ours)
    for _ in range(3):
        assert graph.invoke(Command(resume=value), ours)["__interrupt__"]
    assert len(site.ana.rows(calls.Approvals())) == 1
    answered(site, approve=False)
    refused(lambda: graph.invoke(Command(resume=value), ours))
    assert not SINK


@pytest.mark.parametrize("forked", [False, True])
def test_time_travel_repeats_nothing(
    site: Site, clerk: bridle.Agent, saver: SqliteSaver, *, forked: bool
) -> None:
    graph = chain(first, rest).compile(saver)
    reference = dispatched(clerk, 7, 8)
    ours = configured(reference)
    graph.invoke({"ids": [7, 8]}, ours)
    for past in list(graph.get_state_history(ours))[:-1]:
        where = past.config
        if forked:
            where = graph.update_state(where, {"found": []})
        checkpoint = where["configurable"]["checkpoint_id"]
        graph.invoke(None, configured(reference, checkpoint=checkpoint))
    assert SINK == [{"id": 7}, {"id": 8}]
    assert len(site.ana.rows(calls.Attempts(state="ok"))) == 2


def test_the_same_work_beside_itself_is_done_once(
    site: Site, clerk: bridle.Agent, saver: SqliteSaver
) -> None:
    seen: list[str] = []

    def page(state: State) -> None:
        seen.append(get(state["ids"][0]))

    graph = StateGraph(State)
    graph.add_node("page", page, retry_policy=RetryPolicy(initial_interval=0.3, max_attempts=5))
    graph.add_conditional_edges(START, lambda _: [Send("page", {"ids": [7]}) for _ in range(4)])
    graph.compile(saver).invoke({"ids": []}, configured(dispatched(clerk, 7)))
    assert seen == ["page 7"] * 4
    assert SINK == [{"id": 7}]


def test_a_fork_that_does_something_else_is_judged_anew(
    clerk: bridle.Agent, saver: SqliteSaver
) -> None:
    graph = chain(first, rest).compile(saver)
    reference = dispatched(clerk, 7, 8)
    graph.invoke({"ids": [7, 8]}, configured(reference))
    past = next(each for each in graph.get_state_history(configured(reference)) if each.next)
    for number in (9, 13):
        where = graph.update_state(past.config, {"ids": [7, number]})
        checkpoint = where["configurable"]["checkpoint_id"]
        refused(lambda c=checkpoint: graph.invoke(None, configured(reference, checkpoint=c)))
    assert SINK == [{"id": 7}, {"id": 8}]


def test_work_that_is_named_is_done_again_under_another_name(
    clerk: bridle.Agent, saver: SqliteSaver
) -> None:
    rounds = iter("aabc")
    look = adapter.governed("page.get", key=lambda **_: next(rounds))(page)

    def polls(state: State) -> State:
        return {"found": [look(number) for number in state["ids"]]}

    graph = chain(polls).compile(saver)
    graph.invoke({"ids": [7, 7, 7, 7]}, configured(dispatched(clerk, 7)))
    assert SINK == [{"id": 7}] * 3


def page(id: int) -> str:  # noqa: A002 - the argument's name
    return happened(id)


def test_subgraphs_and_handoffs_are_delegations_with_both_identities_on_record(
    site: Site, clerk: bridle.Agent, saver: SqliteSaver
) -> None:
    def scouting(state: State) -> State:
        with adapter.handed(state["scout"]):
            return {"found": [*state["found"], get(8)]}

    graph = chain(first, below=chain(scouting).compile()).compile(saver)
    scout = clerk.delegate("scout", tools={"page.get": {"id": bridle.one_of(8)}})
    handed = dispatched(scout, 8, task="scouting")
    done = graph.invoke({"ids": [7], "scout": handed}, configured(dispatched(clerk, 7)))
    assert done["found"] == ["page 7", "page 8"]
    rows = site.ana.rows(calls.Attempts(state="ok"))
    seen = {(row["agent"], row["executor"]) for row in rows}
    assert seen == {("clerk", "worker"), ("scout", "worker")}
    # Neither does what the other was dispatched: the clerk's is for page 7 alone.
    stolen = {"ids": [7], "scout": dispatched(clerk, 7)}
    refused(lambda: graph.invoke(stolen, configured(dispatched(clerk, 7), "v")))
    assert SINK == [{"id": 7}, {"id": 8}, {"id": 7}]


def test_tools_that_a_model_calls_are_governed(
    site: Site, clerk: bridle.Agent, saver: SqliteSaver
) -> None:
    @tool
    @adapter.governed("page.get")
    def page(id: int) -> str:  # noqa: A002 - the argument's name
        """Get a page."""
        return happened(id)

    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode([page]))
    graph.add_edge(START, "tools")
    built = graph.compile(saver)

    def asks(*ids: int) -> Any:
        wanted = [{"name": "page", "args": {"id": id_}, "id": f"call-{id_}"} for id_ in ids]
        return {"messages": [AIMessage("", tool_calls=wanted)]}

    ours = configured(dispatched(clerk, 7, 66))
    assert built.invoke(asks(7, 66), ours)["__interrupt__"]
    answered(site, approve=True)
    done = built.invoke(Command(resume=True), ours)
    assert [message.content for message in done["messages"][1:]] == ["page 7", "page 66"]
    refused(lambda: built.invoke(asks(13), configured(dispatched(clerk, 13), "v")))
    assert SINK == [{"id": 7}, {"id": 66}]


def test_async_nodes_are_governed_too(
    site: Site, clerk: bridle.Agent, carrier: Worker, tmp_path: Path
) -> None:
    ours = configured(dispatched(clerk, 66))

    async def run() -> Any:
        async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "async.sqlite")) as saver:
            graph = chain(apage).compile(saver)
            assert (await graph.ainvoke({"ids": [66]}, ours))["__interrupt__"]
            assert (await graph.ainvoke(Command(resume=True), ours))["__interrupt__"]
            assert not SINK
            await asyncio.to_thread(answered, site, approve=True)
            return await graph.ainvoke(Command(resume=True), ours)

    assert asyncio.run(run())["found"] == ["page 66"]
    assert SINK == [{"id": 66}]


def test_what_is_revoked_while_it_is_held_does_not_start(
    clerk: bridle.Agent, saver: SqliteSaver
) -> None:
    graph = chain(first).compile(saver)
    reference = dispatched(clerk, 66)
    graph.invoke({"ids": [66]}, configured(reference))
    clerk.revoke(context.parse(reference).leaf)
    said = refused(lambda: graph.invoke(Command(resume=True), configured(reference)))
    assert "revoked" in said
    assert not SINK


def test_another_workload_carries_nothing_out(
    clerk: bridle.Agent, tmp_path: Path, saver: SqliteSaver
) -> None:
    adapter.release()
    with bridle.worker(tmp_path, credential=OTHER) as other:
        adapter.govern(other)
        graph = chain(first).compile(saver)
        refused(lambda: graph.invoke({"ids": [7]}, configured(dispatched(clerk, 7))))
    assert not SINK


def test_what_may_have_taken_effect_is_done_again_after_a_human_only(
    site: Site, clerk: bridle.Agent, saver: SqliteSaver
) -> None:
    graph = chain(first).compile(saver)
    ours = configured(dispatched(clerk, 7))
    FAILING.append("broken")
    with pytest.raises(ValueError, match="broken"):
        graph.invoke({"ids": [7]}, ours)
    assert graph.invoke(None, ours)["__interrupt__"]
    assert SINK == [{"id": 7}]
    answered(site, approve=True, by="ana")
    assert graph.invoke(Command(resume=True), ours)["found"] == ["page 7"]
    assert SINK == [{"id": 7}] * 2


def test_outside_a_thread_or_without_a_gate_nothing_happens(
    clerk: bridle.Agent, carrier: Worker
) -> None:
    with pytest.raises(RuntimeError):
        get(7)
    graph = chain(first).compile()
    nameless = {"configurable": {adapter.CONTEXT: dispatched(clerk, 7)}}
    with pytest.raises(UsageError):
        graph.invoke({"ids": [7]}, nameless)
    with pytest.raises(UsageError):
        adapter.govern(carrier)
    adapter.release()
    with pytest.raises(UsageError):
        graph.invoke({"ids": [7]}, configured(dispatched(clerk, 7)))
    assert not SINK


def test_checkpoints_hold_a_reference_and_no_secret(
    clerk: bridle.Agent, saver: SqliteSaver, tmp_path: Path
) -> None:
    graph = chain(first, rest).compile(saver)
    reference = dispatched(clerk, 7, 66)
    assert graph.invoke({"ids": [7, 66]}, configured(reference))["__interrupt__"]
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("checkpoints.sqlite*"))
    assert reference.encode() in stored
    for secret in (clerk._session.handle, WORKER.holder().seed_text()):
        assert secret.encode() not in stored
