"""LangGraph on the bench of the conformance suite: real graphs over one SQLite checkpointer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from adapters.conformance.bench import Came
from adapters.conformance.sink import page
from bridle.adapters.engines import langgraph as adapter
from bridle.client.worker import Worker

_AGAIN = 0.2
_KINDS = {"DeniedError": "refused", "UndecidedError": "undecided"}


@adapter.governed("page.get")
def get(id: int) -> Any:  # noqa: A002 - the argument's name
    return page("page.get", id)


@adapter.governed("page.put")
def put(id: int) -> Any:  # noqa: A002 - the argument's name
    return page("page.put", id)


class _LeftError(Exception):
    """A run whose process ended while it waited for a human."""


class State(TypedDict, total=False):
    tool: str
    number: int
    found: Any


def step(state: State) -> State:
    return {"found": (get if state["tool"] == "page.get" else put)(state["number"])}


def _graph(node: Any) -> StateGraph[State]:
    graph = StateGraph(State)
    graph.add_node("step", node)
    graph.add_edge(START, "step")
    return graph


class Bench:
    """Processes that run graphs, and come and go over one store of checkpoints."""

    gaps: Mapping[str, str] = {}
    step = "step"
    """The node that does the work."""

    def __init__(self, folder: Path) -> None:
        self._store = folder / "checkpoints.sqlite"
        self._items: list[tuple[Any, Any, int]] = []
        self._runs: dict[int, Future[Any]] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._ended = Event()
        self._graph: Any = None
        self._around: Any = None

    @contextmanager
    def running(self, carrier: Worker) -> Iterator[None]:
        self._ended.clear()
        try:
            with (
                SqliteSaver.from_conn_string(str(self._store)) as saver,
                ThreadPoolExecutor(4) as self._pool,
            ):
                self._build(saver, carrier)
                for item in range(len(self._items)):
                    if item not in self._runs or self._was_left(item):
                        self._start(item)
                try:
                    yield
                finally:
                    self._ended.set()
        finally:
            self._pool = None
            adapter.release()

    def submit(
        self, reference: str, number: int, *, tool: str = "page.get", deliveries: int = 1
    ) -> int:
        item = len(self._items)
        where = {"thread_id": f"item-{item}", adapter.CONTEXT: reference}
        self._items.append(({"configurable": where}, self._given(tool, number), deliveries))
        if self._pool is not None:
            self._start(item)
        return item

    def came(self, item: int, *, within: float = 20.0) -> Came:
        try:
            return self._came(self._runs[item].result(within))
        except NotYet:
            return Came("waiting")
        except Exception as problem:
            return Came(_KINDS.get(type(problem).__name__, "failed"), text=str(problem))

    def again(self, item: int) -> None:
        raise NotImplementedError("what is held is resumed by whoever runs its graph")

    def bypasses(self) -> Mapping[str, Callable[[], object]]:
        def ran(graph: Any, thread: str, **more: str) -> object:
            where = {"configurable": {"thread_id": thread, **more}}
            return graph.invoke({"tool": "page.get", "number": 99}, where)

        return {
            "a graph without a reference": lambda: ran(self._graph, "plain"),
            "a subgraph": lambda: ran(self._around, "below"),
            "a reference that is none": lambda: ran(
                self._graph, "forged", **{adapter.CONTEXT: "v1; nonsense"}
            ),
            "outside of any graph": lambda: get(99),
            "resumed with a word of its own": lambda: self._graph.invoke(
                Command(resume="approved", update={"tool": "page.get", "number": 99}),
                {"configurable": {"thread_id": "plain"}},
            ),
        }

    def stored(self) -> bytes:
        return b"".join(each.read_bytes() for each in self._store.parent.glob("checkpoints*"))

    def close(self) -> None:
        pass

    def _build(self, saver: SqliteSaver, carrier: Worker) -> None:
        adapter.govern(carrier)
        self._graph = _graph(step).compile(checkpointer=saver)
        self._around = _graph(_graph(step).compile()).compile(checkpointer=saver)

    def _given(self, tool: str, number: int) -> Any:
        return {"tool": tool, "number": number}

    def _came(self, found: Any) -> Came:
        return Came("done", found["found"])

    def _start(self, item: int) -> None:
        assert self._pool is not None
        self._runs[item] = self._pool.submit(self._run, item)

    def _run(self, item: int) -> Any:
        where, given, deliveries = self._items[item]
        begun = self._graph.get_state(where).values
        for left in range(deliveries - 1, -1, -1):
            try:
                found = self._to_the_end(where, None if begun else given)
            except Exception:
                if not left:
                    raise
            else:
                if not left:
                    return found
                where = self._before(where)
            begun = True
        return None

    def _to_the_end(self, where: Any, given: Any) -> Any:
        """Run a graph, and resume it for as long as it is interrupted and its process lives."""
        found = self._graph.invoke(given, where)
        while "__interrupt__" in found and not self._ended.is_set():
            time.sleep(_AGAIN)
            found = self._graph.invoke(Command(resume=True), where)
        if "__interrupt__" in found:
            raise _LeftError
        return found

    def _was_left(self, item: int) -> bool:
        """Whether the process that ran it ended while it waited: the next one goes on with it."""
        return isinstance(self._runs[item].exception(0), _LeftError)

    def _before(self, where: Any) -> Any:
        """Return where the thread stood before its step: to go on from there is a replay."""
        (before,) = [
            state for state in self._graph.get_state_history(where) if state.next == (self.step,)
        ]
        found = {**where["configurable"], **before.config["configurable"]}
        return {"configurable": found}


def make(folder: Path) -> Bench:
    return Bench(folder)
