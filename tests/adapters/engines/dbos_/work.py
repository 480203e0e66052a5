"""The workflows and steps that are governed, and the sink of what really happened."""

import asyncio
from typing import Any

from dbos import DBOS, StepOptions

from bridle.adapters.engines import dbos as adapter

SINK: list[dict[str, Any]] = []
FAILING: list[str] = []


def get_page(number: int) -> str:
    SINK.append({"id": number})
    if FAILING:
        raise ValueError(FAILING.pop())
    return f"page {number}"


@adapter.step("page.get")
def get(id: int) -> str:  # noqa: A002 - the argument's name
    return get_page(id)


@adapter.step("page.get")
async def aget(id: int) -> str:  # noqa: A002 - the argument's name
    return get_page(id)


AGAIN = StepOptions(retries_allowed=True, max_attempts=5, interval_seconds=0.05)


@adapter.step("page.get", **AGAIN)
def rget(id: int) -> str:  # noqa: A002 - the argument's name
    return get_page(id)


@adapter.step("page.look", **AGAIN)
def look(id: int) -> str:  # noqa: A002 - the argument's name
    return get_page(id)


@adapter.step("note.read")
def read(id: int) -> str:  # noqa: A002 - the argument's name
    SINK.append({"note": id})
    return "a note"


@DBOS.workflow(name="pages")
def pages(ids: list[int]) -> list[str]:
    return [get(number) for number in ids]


@DBOS.workflow(name="retried")
def retried(ids: list[int]) -> list[str]:
    return [rget(number) for number in ids]


@DBOS.workflow(name="looks")
def looks(ids: list[int]) -> list[str]:
    return [look(number) for number in ids]


@DBOS.workflow(name="apages")
async def apages(ids: list[int]) -> list[str]:
    return list(await asyncio.gather(*[aget(number) for number in ids]))


@DBOS.workflow(name="parent")
def parent(ids: list[int]) -> list[str]:
    return pages(ids)


@DBOS.workflow(name="notes")
def notes(ids: list[int]) -> list[str]:
    return [read(number) for number in ids]


@DBOS.workflow(name="stubborn")
def stubborn(ids: list[int]) -> str:
    """Catch what it is refused, and try something else."""
    try:
        return get(ids[0])
    except adapter.DeniedError:
        return read(ids[0])


@DBOS.workflow(name="caught")
def caught(ids: list[int]) -> str:
    """Catch what it is refused, and wait for a message."""
    try:
        return get(ids[0])
    except adapter.DeniedError as denied:
        DBOS.set_event("caught", value=True)
        DBOS.recv()
        return f"{type(denied).__name__}: {denied}"


@DBOS.step(name="outer")
def outer(number: int) -> str:
    return get(number)


@DBOS.workflow(name="nested")
def nested(ids: list[int]) -> list[str]:
    return [outer(number) for number in ids]
