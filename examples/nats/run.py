"""An agent has mails sent by a consumer of NATS: one is allowed, one denied, one held."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import nats
from nats.js.api import AckPolicy, ConsumerConfig

import bridle
from bridle.adapters.engines.nats import REASON, Governed, Sender

SERVER = os.environ.get("NATS_URL", "nats://127.0.0.1:4222")
STREAMS = {"EXAMPLE": ["ask.>"], "EXAMPLE-DENIED": ["denied.>"]}
MAILS = {
    "ticket-1": {"to": "kim@customer.example", "body": "Your parcel is on its way."},
    "ticket-2": {"to": "eve@elsewhere.example", "body": "All our customers are attached."},
    "ticket-3": {"to": "lee@customer.example", "body": "You get a refund of 20 EUR."},
}
sent = []


def send(to: str, body: str) -> None:
    print(f"    ... the mail to {to} leaves the house: {body}")
    sent.append(to)


async def main(folder: Path) -> None:
    bundle = shutil.copytree(Path(__file__).parent / "bundle", folder / "bundle")
    credential = key_of_the_workload(folder, bundle)
    governor = bridle.open(bundle)
    triage = governor.start_mission("tickets", user="ana", prompt="Answer them").agent("triage")
    connection = await nats.connect(SERVER)
    js = connection.jetstream()
    for name, subjects in STREAMS.items():
        await js.add_stream(name=name, subjects=subjects)
    config = ConsumerConfig(durable_name="mailer", ack_policy=AckPolicy.EXPLICIT)
    await js.add_consumer("EXAMPLE", config)
    denied = await js.subscribe("denied.>", ordered_consumer=True)

    for ticket, mail in MAILS.items():
        tools = {"mail.send": bridle.exactly(mail)}
        reference = triage.dispatch("mailer", task=ticket, tools=tools)
        await Sender(js).send("ask.mail.send", mail, reference, step="send")
    mailer = bridle.worker(bundle, credential=credential)
    governed = Governed(mailer, {"mail.send": send}, again=0.5, dead="denied")
    serving = asyncio.create_task(governed.serve(js, "EXAMPLE", "mailer"))

    await so(lambda: sent and governor.approvals())
    print("ticket-1 allowed:", ", ".join(sent))
    print("ticket-2 denied:", (await denied.next_msg()).headers[REASON])
    (waiting,) = governor.approvals()
    print("ticket-3 held:", waiting["id"])
    governor.approve(waiting["id"], as_user="ana")
    await so(lambda: len(sent) > 1)
    print("ticket-3 approved by ana:", sent[-1])
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    for name in STREAMS:
        await js.delete_stream(name)
    await connection.close()


async def so(done: Callable[[], object]) -> None:
    """Wait until this is so."""
    while not done():  # noqa: ASYNC110 - the governor has no event for it
        await asyncio.sleep(0.1)


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
    with tempfile.TemporaryDirectory() as made:
        # What Bridle keeps lies there too, so that the example leaves nothing behind.
        os.environ.update(XDG_STATE_HOME=f"{made}/state", BRIDLE_KEYS=f"{made}/keys")
        asyncio.run(main(Path(made)))
