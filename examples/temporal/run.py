"""An agent has mails sent by a worker of Temporal: one is allowed, one denied, one held."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from mails import Answer, send
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import Worker

import bridle
from bridle.adapters.engines.temporal import Carrying, Governed, carrying

MAILS = {
    "ticket-1": {"to": "kim@customer.example", "body": "Your parcel is on its way."},
    "ticket-2": {"to": "eve@elsewhere.example", "body": "All our customers are attached."},
    "ticket-3": {"to": "lee@customer.example", "body": "You get a refund of 20 EUR."},
}
NEEDED = """\
Set TEMPORAL_ADDRESS to a server of Temporal, such as 127.0.0.1:7233, where this starts one:
    temporal server start-dev"""


async def main(folder: Path, address: str) -> None:
    bundle = shutil.copytree(Path(__file__).parent / "bundle", folder / "bundle")
    credential = key_of_the_workload(folder, bundle)
    governor = bridle.open(bundle)
    triage = governor.start_mission("tickets", user="ana", prompt="Answer them").agent("triage")
    client = await Client.connect(address, interceptors=[Carrying()])
    # A queue of this run's own: a server may still have workflows of an earlier one.
    queue = f"mail-room-{uuid4()}"

    found = {}
    for ticket, mail in MAILS.items():
        tools = {"mail.send": bridle.exactly(mail)}
        reference = triage.dispatch("mailer", task=ticket, tools=tools)
        with carrying(reference):
            found[ticket] = await client.start_workflow(
                Answer.run,
                args=[mail["to"], mail["body"]],
                id=f"{queue}/{ticket}",
                task_queue=queue,
            )
    mailer = bridle.worker(bundle, credential=credential)
    # A worker within this process, so that one command shows everything.
    with ThreadPoolExecutor(4) as pool:
        async with Worker(
            client,
            task_queue=queue,
            workflows=[Answer],
            activities=[send],
            activity_executor=pool,
            interceptors=[Governed(mailer, again=timedelta(seconds=0.5))],
        ):
            print("ticket-1 allowed:", await found["ticket-1"].result())
            try:
                await found["ticket-2"].result()
            except WorkflowFailureError as failed:
                print("ticket-2 denied:", failed.cause.cause)
            held = await asyncio.to_thread(first_held, governor)
            print("ticket-3 held:", held)
            governor.approve(held, as_user="ana")
            print("ticket-3 approved by ana:", await found["ticket-3"].result())


def first_held(governor: bridle.Bridle) -> str:
    """Wait for what is held, as a human who looks now and then."""
    while not (held := governor.approvals()):
        time.sleep(0.1)
    return held[0]["id"]


def key_of_the_workload(folder: Path, bundle: Path) -> bridle.Credential:
    """Make a key for the mailer, and put its public half where the governor reads it."""
    words = folder / "passphrase"
    words.write_text(os.urandom(16).hex())
    words.chmod(0o600)
    command = ["-m", "bridle", "keys", "new", "workload", "mailer", "--json"]
    made = json.loads(
        subprocess.check_output([sys.executable, *command, "--passphrase-file", str(words)])
    )
    with (bundle / "agents.toml").open("a") as agents:
        agents.write(f'key = "{made["public"]}"\n')
    return bridle.unlock("mailer", words.read_text())


if __name__ == "__main__":
    if not (server := os.environ.get("TEMPORAL_ADDRESS")):
        sys.exit(NEEDED)
    with tempfile.TemporaryDirectory() as made:
        # What Bridle keeps lies there too, so that the example leaves nothing behind.
        os.environ.update(XDG_STATE_HOME=f"{made}/state", BRIDLE_KEYS=f"{made}/keys")
        asyncio.run(main(Path(made), server))
