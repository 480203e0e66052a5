"""Generators are drained within a bound and judged; streams only where no rule can judge them."""

import asyncio
import io
import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from bridle.client.agent import Agent
from bridle.client.errors import Denied
from bridle.model import calls
from bridle.model.errors import UsageError
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Effect
from client.scripted import Scripted, Sink, refusal


def test_a_generator_is_run_to_its_end_before_it_is_judged(
    governor: Scripted, agent: Agent
) -> None:
    ended: list[int] = []

    def effect(n: int) -> Iterator[int]:
        yield from range(n)
        ended.append(len(governor.of(calls.Observe)))

    assert agent.call("t", {"n": 3}, effect=effect) == [0, 1, 2]
    assert ended == [0]
    assert governor.of(calls.Observe)[0].outcome.output == "[0,1,2]"


def test_a_lazy_iterator_cannot_act_after_it_was_judged(governor: Scripted, agent: Agent) -> None:
    acted: list[int] = []
    result = agent.call("t", effect=lambda: map(acted.append, [1, 2]))
    assert result == [None, None]
    assert acted == [1, 2]


def test_the_items_of_a_generator_can_be_rewritten(governor: Scripted, agent: Agent) -> None:
    governor.released = lambda call: governor.release(call, effect=Effect.MODIFY, output='["*"]')
    assert agent.call("t", effect=lambda: iter(["secret"])) == ["*"]


@pytest.mark.parametrize("item", [None, "x" * 10_000, object()], ids=["None", "long", "opaque"])
def test_an_endless_generator_is_cut_off_closed_and_denied(
    governor: Scripted, agent: Agent, item: object
) -> None:
    closed: list[bool] = []

    def effect() -> Iterator[object]:
        try:
            yield from itertools.repeat(item)
        finally:
            closed.append(True)

    with pytest.raises(Denied) as caught:
        agent.call("t", effect=effect)
    assert caught.value.code == "limit_exceeded"
    assert closed == [True]
    (observe,) = governor.of(calls.Observe)
    assert (observe.outcome.kind.value, observe.outcome.error) == ("error", "limit_exceeded")
    refused = agent.call("t", effect=effect, on_denied="return")
    assert isinstance(refused, Denied)


def test_an_endless_async_generator_is_cut_off(governor: Scripted, agent: Agent) -> None:
    async def effect() -> AsyncIterator[str]:
        while True:
            yield "x" * 1000

    with pytest.raises(Denied) as caught:
        asyncio.run(agent.acall("t", effect=effect))
    assert caught.value.code == "limit_exceeded"
    assert governor.outcomes() == ["error"]


def test_a_generator_that_raises_half_way_is_an_error(governor: Scripted, agent: Agent) -> None:
    def effect() -> Iterator[int]:
        yield 1
        raise ValueError

    with pytest.raises(ValueError):
        agent.call("t", effect=effect)
    assert governor.outcomes() == ["error"]


def test_an_open_file_is_a_result_not_an_iterator(agent: Agent) -> None:
    file = io.StringIO("a\nb\n")
    assert agent.call("t", effect=lambda: file) is file
    assert file.read() == "a\nb\n"


# --- streams -------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["judged", "unheard_of"])
def test_a_stream_is_refused_where_a_rule_may_judge_it(
    governor: Scripted, agent: Agent, sink: Sink, tool: str
) -> None:
    with pytest.raises(UsageError):
        agent.call(tool, effect=sink, stream=True)
    with pytest.raises(UsageError):
        asyncio.run(agent.acall(tool, effect=sink, stream=True))
    assert sink.ran == 0
    assert governor.of(calls.Decide) == []


def test_a_stream_yields_items_as_they_come_and_reports_at_its_end(
    governor: Scripted, agent: Agent
) -> None:
    governor.streams = {"t"}
    made: list[int] = []

    def effect() -> Iterator[int]:
        for n in range(3):
            made.append(n)
            yield n

    stream = agent.call("t", effect=effect, stream=True)
    assert governor.of(calls.Decide) == []
    assert next(stream) == 0
    assert made == [0]
    assert governor.outcomes() == []
    assert list(stream) == [1, 2]
    (observe,) = governor.of(calls.Observe)
    assert observe.outcome.opaque


def test_a_denied_stream_runs_nothing(governor: Scripted, agent: Agent, sink: Sink) -> None:
    governor.streams = {"t"}
    governor.decided = lambda call: governor.allow(
        call, **refusal(Effect.DENY, ReasonCode.FORBIDDEN)
    )
    with pytest.raises(Denied):
        next(agent.call("t", effect=sink, stream=True))
    assert sink.ran == 0


def raising() -> Iterator[int]:
    yield 1
    raise ValueError


def test_a_stream_that_is_abandoned_is_unknown(governor: Scripted, agent: Agent) -> None:
    governor.streams = {"t"}
    stream = agent.call("t", effect=raising, stream=True)
    next(stream)
    stream.close()
    assert governor.outcomes() == ["unknown"]


def test_a_stream_that_raises_is_an_error(governor: Scripted, agent: Agent) -> None:
    governor.streams = {"t"}
    with pytest.raises(ValueError):
        list(agent.call("t", effect=raising, stream=True))
    assert governor.outcomes() == ["error"]


def test_a_stream_of_something_else_is_a_usage_error(governor: Scripted, agent: Agent) -> None:
    governor.streams = {"t"}
    with pytest.raises(UsageError):
        list(agent.call("t", effect=lambda: 1, stream=True))
    assert governor.outcomes() == ["error"]


def test_an_async_stream(governor: Scripted, agent: Agent) -> None:
    governor.streams = {"t"}

    async def effect(n: int) -> AsyncIterator[int]:
        for i in range(n):
            yield i

    async def main() -> list[int]:
        whole = [i async for i in await agent.acall("t", {"n": 3}, effect=effect, stream=True)]
        broken = await agent.acall("t", {"n": 3}, effect=effect, stream=True)
        await anext(broken)
        await broken.aclose()
        return whole

    assert asyncio.run(main()) == [0, 1, 2]
    governor.wait_for(calls.Observe, 2)
    assert governor.outcomes() == ["ok", "unknown"]
