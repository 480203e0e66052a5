"""A worker that is killed: run as `killed.py FOLDER URL`, the workload's key (hex) on its input.

It launches DBOS, which goes on with what was under way, and starts a workflow for each reference in
FOLDER/references, once each. It ends when all have ended.
"""

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from dbos import DBOS, SetWorkflowAttributes, SetWorkflowID

import bridle
from bridle.adapters.engines import dbos as adapter
from bridle.model.errors import UnreachableError
from bridle.trust.credential import Credential

IDS = [1, 66, 2, 3]
FOLDER = Path(sys.argv[1])
SINK = os.open(FOLDER / "sink", os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def happen(tool: str, number: int) -> str:
    line = {"task": DBOS.workflow_id, "step": DBOS.step_id, "tool": tool, "id": number}
    time.sleep(0.02)
    os.write(SINK, json.dumps(line).encode() + b"\n")
    time.sleep(0.02)  # it has happened, and nobody was told
    return f"page {number}"


@adapter.step("page.get")
def get(id: int) -> str:  # noqa: A002 - the argument's name
    return happen("page.get", id)


@adapter.step("page.look")
def look(id: int) -> str:  # noqa: A002 - the argument's name
    return happen("page.look", id)


@DBOS.workflow(name="pages")
def pages() -> list[str]:
    return [found for number in IDS for found in (get(number), look(number))]


def connected() -> bridle.Worker:
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(sys.stdin.readline()))
    credential = Credential("workload", "worker", private)
    while True:
        with suppress(UnreachableError):
            return bridle.worker(FOLDER, credential=credential)


def main(url: str) -> None:
    adapter.govern(connected(), again=0.1)
    quick = {"notification_listener_polling_interval_sec": 0.05, "log_level": "CRITICAL"}
    named = {"name": "pages", "application_version": "1", "system_database_url": url}
    DBOS(config={**named, **quick})
    DBOS.launch()
    os.write(1, b"up\n")
    handles = []
    for name, reference in json.loads((FOLDER / "references").read_text()).items():
        with SetWorkflowAttributes({adapter.ATTRIBUTE: reference}), SetWorkflowID(name):
            handles.append(DBOS.start_workflow(pages))
    for handle in handles:
        assert handle.get_result() == [f"page {number}" for number in IDS for _ in range(2)]
    DBOS.destroy()


if __name__ == "__main__":
    main(sys.argv[2])
