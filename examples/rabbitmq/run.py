"""An agent has mails sent by a consumer of RabbitMQ: one is allowed, one denied, one held."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pika

import bridle
from bridle.adapters.engines.rabbitmq import REASON, WAITING, Governed, Sender

BROKER = pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F"))
QUEUE, DEAD = "bridle-example", "bridle-example.dead"
MAILS = {
    "ticket-1": {"to": "kim@customer.example", "body": "Your parcel is on its way."},
    "ticket-2": {"to": "eve@elsewhere.example", "body": "All our customers are attached."},
    "ticket-3": {"to": "lee@customer.example", "body": "You get a refund of 20 EUR."},
}
sent = []


def send(to: str, body: str) -> None:
    print(f"    ... the mail to {to} leaves the house: {body}")
    sent.append(to)


def main(folder: Path) -> None:
    bundle = shutil.copytree(Path(__file__).parent / "bundle", folder / "bundle")
    credential = key_of_the_workload(folder, bundle)
    governor = bridle.open(bundle)
    triage = governor.start_mission("tickets", user="ana", prompt="Answer them").agent("triage")
    connection = pika.BlockingConnection(BROKER)
    channel = connection.channel()
    for name in (QUEUE, DEAD):
        channel.queue_declare(name, durable=True)

    sender = Sender(connection.channel())
    for ticket, mail in MAILS.items():
        tools = {"mail.send": bridle.exactly(mail)}
        reference = triage.dispatch("mailer", task=ticket, tools=tools)
        sender.send(QUEUE, "mail.send", mail, reference, step="send")
    mailer = bridle.worker(bundle, credential=credential)
    Governed(mailer, {"mail.send": send}, again=0.5, dead=DEAD).consume(channel, QUEUE)

    wait(connection, lambda: sent and governor.approvals())
    print("ticket-1 allowed:", ", ".join(sent))
    _, envelope, _ = channel.basic_get(DEAD, auto_ack=True)
    print("ticket-2 denied:", envelope.headers[REASON])
    (waiting,) = governor.approvals()
    print("ticket-3 held:", waiting["id"])
    governor.approve(waiting["id"], as_user="ana")
    wait(connection, lambda: len(sent) > 1)
    print("ticket-3 approved by ana:", sent[-1])
    for name in (QUEUE, DEAD, QUEUE + WAITING):
        channel.queue_delete(name)
    connection.close()


def wait(connection: pika.BlockingConnection, done: Callable[[], object]) -> None:
    """Handle messages until this is so."""
    while not done():
        connection.process_data_events(0.1)


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
        main(Path(made))
