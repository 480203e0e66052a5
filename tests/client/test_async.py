"""The async twins: same promises, the event loop stays free, cancellation tells the truth."""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from bridle.client.agent import Agent
from bridle.client.errors import Denied
from bridle.model import calls
from bridle.model.errors import UnreachableError
from bridle.model.outcome import OutcomeKind
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Effect
from client.scripted import Scripted, Sink, refusal


def test_an_async_effect_runs_with_the_verdicts_arguments(governor: Scripted, agent: Agent) -> None:
    governor.decided = lambda call: governor.allow(call, effect=Effect.MODIFY, args='{"a":2}')
    got: list[int] = []

    async def effect(a: int) -> str:
        await asyncio.sleep(0)
        got.append(a)
        return "done"

    assert asyncio.run(agent.acall("t", {"a": 1}, effect=effect)) == "done"
    assert got == [2]
    assert governor.outcomes() == ["ok"]


def test_a_sync_effect_runs_in_a_thread_with_the_tasks_context(agent: Agent) -> None:
    here = contextvars.ContextVar("here", default="outside")

    def effect() -> tuple[str, bool]:
        return here.get(), threading.current_thread() is threading.main_thread()

    async def main() -> object:
        here.set("inside")
        return await agent.acall("t", effect=effect)

    assert asyncio.run(main()) == ("inside", False)


def test_a_denied_async_effect_does_not_run(governor: Scripted, agent: Agent, sink: Sink) -> None:
    governor.decided = lambda call: governor.allow(
        call, **refusal(Effect.DENY, ReasonCode.FORBIDDEN)
    )

    async def effect() -> None:
        sink()

    with pytest.raises(Denied):
        asyncio.run(agent.acall("t", effect=effect))
    refused = asyncio.run(agent.acall("t", effect=effect, on_denied="return"))
    assert isinstance(refused, Denied)
    assert sink.ran == 0


def test_the_loop_stays_free_while_the_governor_thinks(governor: Scripted, agent: Agent) -> None:
    ticked = threading.Event()

    def decided(call: calls.Decide) -> calls.Reply:
        assert ticked.wait(30)
        return governor.allow(call)

    governor.decided = decided

    async def main() -> None:
        call = asyncio.create_task(agent.acall("t", effect=Sink()))
        await asyncio.to_thread(governor.wait_for, calls.Decide)
        ticked.set()
        await call

    asyncio.run(main())
    assert governor.outcomes() == ["ok"]


def test_cancelling_the_effect_is_unknown_and_the_cancellation_goes_on(
    governor: Scripted, agent: Agent
) -> None:
    async def main() -> None:
        started = asyncio.Event()

        async def effect() -> None:
            started.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(agent.acall("t", effect=effect))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(main())
    assert governor.outcomes() == ["unknown"]


def test_cancelling_a_sync_effect_in_its_thread_is_unknown(
    governor: Scripted, agent: Agent
) -> None:
    started, leave = threading.Event(), threading.Event()

    def effect() -> None:
        started.set()
        leave.wait(30)

    async def main() -> None:
        task = asyncio.create_task(agent.acall("t", effect=effect))
        await asyncio.to_thread(started.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        leave.set()

    asyncio.run(main())
    assert governor.outcomes() == ["unknown"]


def test_cancelling_before_the_verdict_arrives_is_not_started_and_runs_nothing(
    governor: Scripted, agent: Agent, sink: Sink
) -> None:
    answer = threading.Event()

    def decided(call: calls.Decide) -> calls.Reply:
        assert answer.wait(30)
        return governor.allow(call)

    governor.decided = decided

    async def main() -> None:
        task = asyncio.create_task(agent.acall("t", effect=sink))
        await asyncio.to_thread(governor.wait_for, calls.Decide)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    answer.set()
    governor.wait_for(calls.Observe)
    assert governor.outcomes() == ["not_started"]
    assert sink.ran == 0


def test_cancelling_while_the_outcome_is_reported_does_not_lose_it(
    governor: Scripted, agent: Agent
) -> None:
    answer = threading.Event()

    def released(call: calls.Observe) -> calls.Reply:
        assert answer.wait(30)
        return governor.release(call)

    governor.released = released

    async def effect() -> str:
        return "done"

    async def main() -> None:
        task = asyncio.create_task(agent.acall("t", effect=effect))
        await asyncio.to_thread(governor.wait_for, calls.Observe)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        answer.set()

    asyncio.run(main())
    assert governor.outcomes() == ["ok"]


def test_a_timeout_around_the_call_is_a_cancellation(governor: Scripted, agent: Agent) -> None:
    async def main() -> None:
        async with asyncio.timeout(None) as limit:

            async def effect() -> None:
                limit.reschedule(asyncio.get_running_loop().time())
                await asyncio.Event().wait()

            await agent.acall("t", effect=effect)

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert governor.outcomes() == ["unknown"]


def test_a_coroutine_that_is_closed_in_the_middle_is_unknown(
    governor: Scripted, agent: Agent
) -> None:
    async def main() -> None:
        started = asyncio.Event()

        async def effect() -> None:
            started.set()
            await asyncio.Event().wait()

        coroutine = agent.acall("t", effect=effect)
        step = coroutine.send(None)
        while not started.is_set():
            await asyncio.wait([step]) if asyncio.isfuture(step) else await asyncio.sleep(0)
            step = coroutine.send(None)
        coroutine.close()

    asyncio.run(main())
    governor.wait_for(calls.Observe)
    assert governor.outcomes() == ["unknown"]


@pytest.mark.parametrize("problem", [ValueError("mine"), StopAsyncIteration(), KeyError("k")])
def test_an_exception_of_an_async_effect_is_reported_and_raised(
    governor: Scripted, agent: Agent, problem: Exception
) -> None:
    async def effect() -> None:
        raise problem

    async def main() -> None:
        with pytest.raises((type(problem), RuntimeError)):
            await agent.acall("t", effect=effect)

    asyncio.run(main())
    assert governor.of(calls.Observe)[0].outcome.kind is OutcomeKind.ERROR


def test_stop_iteration_in_a_thread_does_not_hang_the_caller(
    governor: Scripted, agent: Agent
) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(agent.acall("t", effect=lambda: next(iter(()))))
    assert governor.outcomes() == ["error"]


def test_keyboard_interrupt_in_an_async_effect_is_unknown(governor: Scripted, agent: Agent) -> None:
    async def effect() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(agent.acall("t", effect=effect))
    governor.wait_for(calls.Observe)
    assert governor.outcomes() == ["unknown"]


def test_a_withheld_result_of_an_async_effect(governor: Scripted, agent: Agent) -> None:
    async def effect() -> str:
        return "the secret"

    governor.released = lambda call: governor.release(
        call, effect=Effect.MODIFY, output='"redacted"'
    )
    assert asyncio.run(agent.acall("t", effect=effect)) == "redacted"
    governor.released = governor.nothing
    with pytest.raises(UnreachableError, match="the effect ran"):
        asyncio.run(agent.acall("t", effect=effect))


def test_any_kind_of_effect_may_be_given_to_acall(agent: Agent) -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1
        yield 2

    def sync_numbers() -> Iterator[int]:
        yield 3

    class Later:
        async def __call__(self) -> int:
            return 4

    async def inner() -> int:
        return 5

    async def main() -> list[object]:
        return [
            await agent.acall("t", effect=numbers),
            await agent.acall("t", effect=sync_numbers),
            await agent.acall("t", effect=Later()),
            await agent.acall("t", effect=lambda: inner()),  # noqa: PLW0108 - hides the kind
        ]

    assert asyncio.run(main()) == [[1, 2], [3], 4, 5]


def test_adecide_decides_and_runs_nothing(governor: Scripted, agent: Agent) -> None:
    verdict = asyncio.run(agent.adecide("t", {"a": 1}))
    assert verdict.effect is Effect.ALLOW
    assert governor.of(calls.Decide)[0].start is False


def test_a_hundred_tasks_at_once(governor: Scripted, agent: Agent) -> None:
    async def effect(n: int) -> int:
        await asyncio.sleep(0)
        return n

    async def main() -> list[object]:
        return await asyncio.gather(
            *(agent.acall("t", {"n": n}, effect=effect) for n in range(100))
        )

    assert asyncio.run(main()) == list(range(100))
    assert governor.outcomes() == ["ok"] * 100
