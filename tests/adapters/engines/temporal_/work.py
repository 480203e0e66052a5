"""The workflows and activities that are governed, and the sink of what really happened."""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

TIMES = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=50), backoff_coefficient=1.0, maximum_attempts=20
    ),
}
SINK: list[dict[str, Any]] = []
FAILING: list[str] = []


@activity.defn(name="page.get")
async def get(id: int) -> str:  # noqa: A002 - the argument's name
    SINK.append({"id": id})
    if FAILING:
        raise ApplicationError(FAILING.pop())
    return f"page {id}"


@activity.defn(name="note.read")
def read(id: int) -> str:  # noqa: A002 - the argument's name
    SINK.append({"note": id})
    return "a note"


@workflow.defn
class Pages:
    @workflow.run
    async def run(self, ids: list[int]) -> list[str]:
        found = []
        for number in ids:
            found.append(await workflow.execute_activity("page.get", number, **TIMES))
            await asyncio.sleep(0.01)
        return found


@workflow.defn
class Stubborn:
    """Catches what it is refused, and tries something else."""

    @workflow.run
    async def run(self, number: int) -> str:
        try:
            return await workflow.execute_activity("page.get", number, **TIMES)
        except Exception:
            return await workflow.execute_activity("note.read", number, **TIMES)


@workflow.defn
class Parent:
    @workflow.run
    async def run(self, number: int) -> list[str]:
        return await workflow.execute_child_workflow(Pages.run, [number], id=f"child-{number}")
