"""A process of graphs that is killed (`rig`): run as `killed.py FOLDER CHECKPOINTS`.

It goes on with the thread of each reference where its checkpoints say, a few beside one another,
until all have ended.
"""

import hashlib
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.config import get_config
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from adapters.engines.rig import IDS, connected, happen
from bridle.adapters.engines import langgraph as adapter

FOLDER = Path(sys.argv[1])


class State(TypedDict, total=False):
    found: list[str]


def done(tool: str, number: int) -> str:
    task = get_config()["configurable"]["thread_id"]
    work = hashlib.sha256(json.dumps({"id": number}).encode()).hexdigest()
    key = json.dumps([task, f"page-{number}", tool, work])
    return happen(FOLDER, task, key, tool, number)


@adapter.governed("page.get")
def get(id: int) -> str:  # noqa: A002 - the argument's name
    return done("page.get", id)


@adapter.governed("page.look")
def look(id: int) -> str:  # noqa: A002 - the argument's name
    return done("page.look", id)


def pages() -> StateGraph:
    made, before = StateGraph(State), START
    for number in IDS:

        def page(state: State, number: int = number) -> State:
            return {"found": [*state.get("found", []), get(number), look(number)]}

        made.add_node(f"page-{number}", page)
        made.add_edge(before, f"page-{number}")
        before = f"page-{number}"
    return made


def carried(graph: Any, name: str, reference: str) -> list[str]:
    """Run a thread to its end: from its beginning, or from where it stands."""
    where: Any = {"configurable": {"thread_id": name, adapter.CONTEXT: reference}}
    while True:
        stands = graph.get_state(where)
        # A node that ended before its checkpoint was written is no longer `next`, yet still a task.
        if stands.metadata and not stands.tasks:
            return stands.values["found"]
        given: Any = None if stands.tasks else {"found": []}
        with suppress(adapter.UndecidedError):
            graph.invoke(Command(resume=True) if stands.interrupts else given, where)
        time.sleep(0.1)


def main(checkpoints: str) -> None:
    adapter.govern(connected(FOLDER))
    references = json.loads((FOLDER / "references").read_text())
    with SqliteSaver.from_conn_string(checkpoints) as saver, ThreadPoolExecutor(8) as threads:
        graph = pages().compile(saver)
        os.write(1, b"up\n")
        all_of = [threads.submit(carried, graph, *each) for each in references.items()]
        for each in all_of:
            found = each.result()
            assert found == [f"page {number}" for number in IDS for _ in range(2)], found


if __name__ == "__main__":
    main(sys.argv[2])
