"""The OpenAI Agents SDK on the bench of the conformance suite: real runs on a scripted model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

from agents import Agent, Runner, RunState, function_tool, set_tracing_disabled
from agents.items import ToolCallOutputItem
from agents.testing import ScriptedModel, assistant_message, function_call

from adapters.conformance.bench import Came
from adapters.conformance.sink import page
from bridle.adapters.frameworks.openai import HeldError, UndecidedError, governed
from bridle.client.worker import Worker

_AGAIN = 0.2
NAMES = {"page_get": "page.get", "page_put": "page.put"}


@function_tool(failure_error_function=None)
def page_get(id: int) -> dict[str, Any]:  # noqa: A002 - the argument's name
    """Get a page."""
    return page("page.get", id)


@function_tool(failure_error_function=None)
def page_put(id: int) -> dict[str, Any]:  # noqa: A002 - the argument's name
    """Put a page."""
    return page("page.put", id)


class _Item(NamedTuple):
    reference: str
    number: int
    tool: str
    deliveries: int


class _LeftError(Exception):
    """A run whose process ended while it waited for a human."""


def outputs(found: Any) -> list[Any]:
    """Return what the tools of a run gave the model."""
    return [each.output for each in found.new_items if isinstance(each, ToolCallOutputItem)]


class Bench:
    """Processes that run agents, and come and go over one folder of states."""

    gaps: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        set_tracing_disabled(True)
        self._folder = folder
        self._items: list[_Item] = []
        self._runs: dict[int, Future[Any]] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._ended = Event()
        self._carrier: Worker | None = None

    @contextmanager
    def running(self, carrier: Worker) -> Iterator[None]:
        self._carrier = carrier
        self._ended.clear()
        try:
            with ThreadPoolExecutor(4) as self._pool:
                for item in range(len(self._items)):
                    if item not in self._runs or self._was_left(item):
                        self._start(item)
                try:
                    yield
                finally:
                    self._ended.set()
        finally:
            self._pool = None

    def submit(
        self, reference: str, number: int, *, tool: str = "page.get", deliveries: int = 1
    ) -> int:
        self._items.append(_Item(reference, number, tool.replace(".", "_"), deliveries))
        if self._pool is not None:
            self._start(len(self._items) - 1)
        return len(self._items) - 1

    def came(self, item: int, *, within: float = 20.0) -> Came:
        try:
            (answer,) = outputs(self._runs[item].result(within))
        except NotYet:
            return Came("waiting")
        except Exception as problem:
            undecided = isinstance(problem.__cause__, UndecidedError)
            return Came("undecided" if undecided else "failed", text=str(problem))
        return Came("refused", text=answer) if isinstance(answer, str) else Came("done", answer)

    def again(self, item: int) -> None:
        raise NotImplementedError("what is held is resumed by whoever runs its agent")

    def bypasses(self) -> Mapping[str, Callable[[], object]]:
        def ran(reference: str, tool: str = "page_get") -> object:
            return asyncio.run(self._fresh(len(self._items), _Item(reference, 99, tool, 1)))

        async def approved_by_hand() -> object:
            """Say yes to everything that the SDK asks."""
            item = _Item("", 99, "page_get", 1)
            state = (await self._fresh(0, item)).to_state()
            for each in state.get_interruptions():
                state.approve(each, always_approve=True)
            return await Runner.run(self._agent(0, item, [[assistant_message("done")]]), state)

        return {
            "a run without a reference": lambda: ran(""),
            "a reference that is none": lambda: ran("v1; nonsense"),
            "approved in the SDK": lambda: asyncio.run(approved_by_hand()),
            "a tool that the bundle does not have": lambda: ran("", "page_take"),
        }

    def stored(self) -> bytes:
        return b"".join(each.read_bytes() for each in self._folder.iterdir())

    def close(self) -> None:
        pass

    def _start(self, item: int) -> None:
        assert self._pool is not None
        self._runs[item] = self._pool.submit(lambda: asyncio.run(self._run(item)))

    def _agent(self, item: int, asked: _Item, steps: Any) -> Agent:
        tools = governed(
            self._carrier, [page_get, page_put], NAMES, task=str(item), reference=asked.reference
        )
        return Agent("desk", tools=tools, model=ScriptedModel(steps))

    async def _fresh(self, item: int, asked: _Item) -> Any:
        call = function_call(asked.tool, {"id": asked.number}, call_id="call_0")
        steps = [[call], [assistant_message("done")]]
        return await Runner.run(self._agent(item, asked, steps), "do it")

    async def _run(self, item: int) -> Any:
        asked, kept = self._items[item], self._folder / f"{item}.json"
        for _ in range(asked.deliveries - 1):
            # Whose answer is lost, whatever it was.
            with suppress(Exception):
                await self._fresh(item, asked)
        found = None if kept.exists() else await self._fresh(item, asked)
        while found is None or found.interruptions:
            if found is not None:
                kept.write_text(found.to_state().to_string())
            if self._ended.is_set():
                raise _LeftError
            await asyncio.sleep(_AGAIN)
            found = await self._resumed(item, asked, kept.read_text())
        kept.write_text(found.to_state().to_string())
        return found

    async def _resumed(self, item: int, asked: _Item, kept: str) -> Any:
        """Go on with a run as if a human had approved it here; None where none has in truth."""
        agent = self._agent(item, asked, [[assistant_message("done")]])
        state = await RunState.from_string(agent, kept)
        for each in state.get_interruptions():
            state.approve(each)
        try:
            return await Runner.run(agent, state)
        except Exception as problem:
            if isinstance(problem.__cause__, HeldError):
                return None
            raise

    def _was_left(self, item: int) -> bool:
        return isinstance(self._runs[item].exception(0), _LeftError)


def make(folder: Path) -> Bench:
    return Bench(folder)
