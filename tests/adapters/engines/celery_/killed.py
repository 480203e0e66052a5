"""A worker of Celery on RabbitMQ that is killed (`rig`): run as `killed.py FOLDER PORT`.

The first one fills the queue; each goes on until every step has succeeded.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from celery import Celery, signals

from adapters.engines.rig import IDS, connected, happen
from bridle.adapters.engines import celery as adapter

FOLDER, PORT = Path(sys.argv[1]), int(sys.argv[2])
TOOLS = ("page.get", "page.look")
app = Celery("pages", broker=f"amqp://guest:guest@127.0.0.1:{PORT}//", set_as_current=False)
# What a worker that is killed had taken is delivered to the next one, one at a time.
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


def effect(tool: str) -> None:
    # What failed because its outcome could not be reported comes again, as its queue would have it.
    @app.task(name=tool, bind=True, shared=False, autoretry_for=(OSError,), max_retries=None)
    def run(self: Any, id: int) -> str:  # noqa: A002 - the argument's name
        key = self.request.id
        return happen(FOLDER, key.partition("-")[0], key, tool, id)


def fill() -> int:
    """Put every step of every task into the queue, once; return how many there are."""
    references = json.loads((FOLDER / "references").read_text())
    steps = [
        (f"{task}-{tool}-{number}", tool, number, reference)
        for task, reference in references.items()
        for number in IDS
        for tool in TOOLS
    ]
    if not (FOLDER / "filled").exists():
        # Killed while it fills, the next one puts the same steps there again.
        for key, tool, number, reference in steps:
            headers = {adapter.HEADER: reference}
            app.send_task(tool, kwargs={"id": number}, task_id=key, headers=headers)
        (FOLDER / "filled").touch()
    return len(steps)


@signals.task_success.connect
def succeeded(sender: Any, **_: Any) -> None:
    with (FOLDER / "succeeded").open("ab", buffering=0) as noted:
        noted.write(f"{sender.request.id}\n".encode())


def until_all(steps: int) -> None:
    """End the process when every step has succeeded."""
    path = FOLDER / "succeeded"
    while not path.exists() or len(set(path.read_text().split())) < steps:
        time.sleep(0.1)
    os._exit(0)


def main() -> None:
    carrier = connected(FOLDER)
    for tool in TOOLS:
        effect(tool)
    adapter.govern(carrier, again=0.1)
    steps = fill()
    os.write(1, b"up\n")
    threading.Thread(target=until_all, args=(steps,), daemon=True).start()
    app.Worker(pool="solo", concurrency=1, loglevel="ERROR", without_gossip=True,
               without_mingle=True).start()  # fmt: skip


if __name__ == "__main__":
    main()
