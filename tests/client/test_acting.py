"""Who acts: the decorators, the current agent, and that it never leaks between threads or tasks."""

import asyncio
import contextvars
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal

import msgspec
import pytest

from bridle.client.agent import Agent, current
from bridle.client.errors import Denied
from bridle.client.govern import govern
from bridle.model import calls
from bridle.model.errors import UsageError
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Effect
from client.scripted import MISSION, Scripted, refusal


def other(agent: Agent, name: str) -> Agent:
    return agent.mission.bridle.attach(f"ses_{name}", mission=MISSION, agent=name)


# --- binding -------------------------------------------------------------------------------------


def test_positional_and_keyword_arguments_are_judged_by_name_defaults_included(
    governor: Scripted, agent: Agent
) -> None:
    @agent.tool("mail.send")
    def send(to: str, body: str = "hello", *, copies: int = 1) -> str:
        """Send it."""
        return f"{to} {body} {copies}"

    assert send("a@example.org", copies=2) == "a@example.org hello 2"
    (decide,) = governor.of(calls.Decide)
    assert (decide.tool, decide.args) == (
        "mail.send",
        '{"to":"a@example.org","body":"hello","copies":2}',
    )
    assert (send.__name__, send.__doc__) == ("send", "Send it.")
    assert list(inspect.signature(send).parameters) == ["to", "body", "copies"]


def test_further_keywords_are_arguments_too(governor: Scripted, agent: Agent) -> None:
    @agent.tool("t")
    def tool(a: int, **more: Any) -> dict[str, Any]:
        return {"a": a, **more}

    assert tool(1, b=2, effect=3, self=4) == {"a": 1, "b": 2, "effect": 3, "self": 4}
    assert governor.of(calls.Decide)[0].args == '{"a":1,"b":2,"effect":3,"self":4}'


def test_a_call_that_does_not_fit_the_function_asks_nothing(
    governor: Scripted, agent: Agent
) -> None:
    @agent.tool("t")
    def tool(a: int) -> None: ...

    with pytest.raises(TypeError):
        tool()
    with pytest.raises(TypeError):
        tool(1, b=2)
    assert governor.of(calls.Decide) == []


def test_arguments_without_names_are_refused_when_decorating(agent: Agent) -> None:
    def positional(a: int, /) -> None: ...
    def several(*a: int) -> None: ...

    for function in (positional, several):
        with pytest.raises(UsageError):
            agent.tool("t")(function)


def test_a_key_function_names_the_step(governor: Scripted, agent: Agent) -> None:
    @agent.tool("t", key=lambda order, amount: f"refund-{order}")
    def refund(order: int, amount: int) -> None: ...

    refund(7, 1)
    assert governor.of(calls.Decide)[0].key == "refund-7"


def test_a_method_of_an_object_can_be_a_tool(governor: Scripted, agent: Agent) -> None:
    class Desk:
        def read(self, id: int) -> int:  # noqa: A002 - an argument's name
            return id

    assert agent.tool("desk.read")(Desk().read)(7) == 7
    assert governor.of(calls.Decide)[0].args == '{"id":7}'


def test_every_kind_of_function_keeps_its_kind(governor: Scripted, agent: Agent) -> None:
    @agent.tool("t")
    def plain() -> int:
        return 1

    @agent.tool("t")
    async def coroutine() -> int:
        return 1

    @agent.tool("t")
    def generator() -> Iterator[int]:
        yield 1

    @agent.tool("t")
    async def async_generator() -> AsyncIterator[int]:
        yield 1

    async def items() -> list[int]:
        return [item async for item in async_generator()]

    assert inspect.iscoroutinefunction(coroutine)
    assert inspect.isgeneratorfunction(generator)
    assert inspect.isasyncgenfunction(async_generator)
    assert plain() == asyncio.run(coroutine()) == 1
    assert list(generator()) == asyncio.run(items()) == [1]
    governor.released = lambda call: governor.release(call, effect=Effect.MODIFY, output='"*"')
    assert list(generator()) == asyncio.run(items()) == ["*"]


# --- the current agent ---------------------------------------------------------------------------


@govern
def who() -> str:
    """Tell who acts."""
    return "ran"


def test_a_governed_function_acts_as_the_innermost_agent(governor: Scripted, agent: Agent) -> None:
    helper = other(agent, "helper")
    with agent:
        assert current() is agent
        with helper:
            assert current() is helper
        assert current() is agent
        assert who() == "ran"
    assert [call.session for call in governor.of(calls.Decide)] == ["ses_triage"]


def test_outside_an_agents_context_a_governed_function_does_not_run() -> None:
    ran: list[int] = []
    act = govern(lambda: ran.append(1), tool="t")
    with pytest.raises(UsageError) as caught:
        act()
    assert "with agent" in caught.value.hint
    assert ran == []


def test_the_block_ends_even_when_it_raises(agent: Agent) -> None:
    with pytest.raises(ZeroDivisionError), agent:
        _ = 1 / 0
    with pytest.raises(UsageError):
        current()


def test_blocks_must_end_in_order(agent: Agent) -> None:
    helper = other(agent, "helper")
    agent.__enter__()
    helper.__enter__()
    with pytest.raises(UsageError):
        agent.__exit__(None, None, None)
    helper.__exit__(None, None, None)
    agent.__exit__(None, None, None)


def test_a_new_thread_acts_as_nobody(agent: Agent) -> None:
    def ask() -> str:
        try:
            return current().name
        except UsageError:
            return "nobody"

    with agent, ThreadPoolExecutor(1) as pool:
        assert pool.submit(ask).result() == "nobody"
        assert pool.submit(contextvars.copy_context().run, ask).result() == "triage"


def test_sixteen_threads_each_act_as_their_own_agent(governor: Scripted, agent: Agent) -> None:
    governor.decided = lambda call: governor.allow(
        call, **refusal(Effect.DENY, ReasonCode.FORBIDDEN, call.session)
    )
    together = threading.Barrier(16)
    wrong: list[str] = []

    def act(number: int) -> None:
        me = other(agent, f"agent-{number}")
        for _ in range(10):
            with me:
                together.wait(30)
                with pytest.raises(Denied) as caught:
                    who()
                if caught.value.reason != f"ses_agent-{number}":
                    wrong.append(caught.value.reason)

    threads = [threading.Thread(target=act, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert len(governor.of(calls.Decide)) == 160


def test_interleaved_tasks_each_act_as_their_own_agent(governor: Scripted, agent: Agent) -> None:
    @govern(tool="t")
    async def act() -> str:
        await asyncio.sleep(0)
        return current().name

    async def one(number: int) -> bool:
        me = other(agent, f"agent-{number}")
        with me:
            for _ in range(5):
                await asyncio.sleep(0)
                if await act() != me.name or current() is not me:
                    return False
        return True

    async def main() -> list[bool]:
        return await asyncio.gather(*(one(n) for n in range(20)))

    assert asyncio.run(main()) == [True] * 20


def test_a_child_task_acts_as_its_parent_and_does_not_change_it(agent: Agent) -> None:
    helper = other(agent, "helper")

    async def child() -> str:
        inherited = current().name
        helper.__enter__()
        return inherited

    async def main() -> tuple[str, str]:
        with agent:
            inherited = await asyncio.create_task(child())
            return inherited, current().name

    assert asyncio.run(main()) == ("triage", "triage")


# --- definitions ---------------------------------------------------------------------------------


class Item(msgspec.Struct):
    sku: str
    count: int = 1


def test_the_definition_says_what_a_model_needs_to_know() -> None:
    @govern(tool="shop.order")
    def order(
        items: list[Item],
        speed: Literal["slow", "fast"],
        note: Annotated[str, msgspec.Meta(max_length=10)] = "",
        untyped=None,
    ) -> None:
        """Order things.

        All at once.
        """

    assert order.definition == {
        "name": "shop.order",
        "description": "Order things.\n\nAll at once.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
                "speed": {"enum": ["fast", "slow"]},
                "note": {"type": "string", "maxLength": 10},
                "untyped": {},
            },
            "required": ["items", "speed"],
            "additionalProperties": False,
            "$defs": {
                "Item": {
                    "title": "Item",
                    "type": "object",
                    "properties": {
                        "sku": {"type": "string"},
                        "count": {"type": "integer", "default": 1},
                    },
                    "required": ["sku"],
                }
            },
        },
    }


def test_the_tool_is_named_after_the_function_unless_told() -> None:
    assert who.definition["name"] == "who"
    assert govern(who, tool="other").definition["name"] == "other"


def test_an_annotation_without_a_schema_is_a_usage_error() -> None:
    def strange(a: object(), b: threading.Lock) -> None:  # type: ignore[valid-type]
        ...

    with pytest.raises(UsageError):
        govern(strange)


def test_a_governed_lambda_needs_no_annotations() -> None:
    assert govern(lambda a, **b: a, tool="t").definition["inputSchema"] == {
        "type": "object",
        "properties": {"a": {}},
        "required": ["a"],
        "additionalProperties": True,
    }
