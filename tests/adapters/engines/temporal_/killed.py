"""A worker that is killed (`rig`): run as `killed.py FOLDER ADDRESS`.

It starts a workflow for each reference, once each, and ends when all have ended.
"""

import asyncio
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from adapters.engines.rig import IDS, connected, happen
from bridle.adapters.engines.temporal import Carrying, Governed, carrying

FOLDER = Path(sys.argv[1])
# The frontend sees that a worker was killed by its silence only.
SILENCE = timedelta(seconds=2)
AGAIN = RetryPolicy(initial_interval=timedelta(milliseconds=50), backoff_coefficient=1.0)


def done(tool: str, number: int) -> str:
    about = activity.info()
    task = str(about.workflow_id)
    return happen(FOLDER, task, f"{about.workflow_run_id}/{about.activity_id}", tool, number)


@activity.defn(name="page.get")
def get(id: int) -> str:  # noqa: A002 - the argument's name
    return done("page.get", id)


@activity.defn(name="page.look")
def look(id: int) -> str:  # noqa: A002 - the argument's name
    return done("page.look", id)


@workflow.defn
class Pages:
    @workflow.run
    async def run(self) -> list[str]:
        return [
            await workflow.execute_activity(
                tool, number, result_type=str, start_to_close_timeout=SILENCE, retry_policy=AGAIN
            )
            for number in IDS
            for tool in ("page.get", "page.look")
        ]


async def started(client: Client, name: str, reference: str) -> None:
    """Start a workflow; the worker that was killed may have done so."""
    once = WorkflowIDReusePolicy.REJECT_DUPLICATE
    with carrying(reference), suppress(WorkflowAlreadyStartedError):
        await client.start_workflow(Pages.run, id=name, task_queue="q", id_reuse_policy=once)


async def main(address: str) -> None:
    client = await Client.connect(address, interceptors=[Carrying()])
    references = json.loads((FOLDER / "references").read_text())
    with ThreadPoolExecutor(8) as pool:
        governed = Governed(connected(FOLDER), again=timedelta(milliseconds=100))
        async with Worker(
            client,
            task_queue="q",
            workflows=[Pages],
            activities=[get, look],
            activity_executor=pool,
            workflow_runner=UnsandboxedWorkflowRunner(),
            interceptors=[governed],
        ):
            os.write(1, b"up\n")
            for name, reference in references.items():
                await started(client, name, reference)
            for name in references:
                found = await client.get_workflow_handle(name).result()
                assert found == [f"page {number}" for number in IDS for _ in range(2)]


if __name__ == "__main__":
    asyncio.run(main(sys.argv[2]))
