"""A consumer of RabbitMQ that is killed (`rig`): run as `killed.py FOLDER PORT`.

The first one fills the queue; each goes on until nothing is left of it.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pika

from adapters.engines.rig import IDS, connected, happen
from bridle.adapters.engines.rabbitmq import WAITING, Governed, Sender
from bridle.trust import context

FOLDER, PORT = Path(sys.argv[1]), int(sys.argv[2])
QUEUE = "pages"
TOOLS = ("page.get", "page.look")


def fill(channel: Any) -> None:
    sender = Sender(channel)
    for reference in json.loads((FOLDER / "references").read_text()).values():
        for number in IDS:
            for tool in TOOLS:
                sender.send(QUEUE, tool, {"id": number}, reference, step=f"{tool}-{number}")
    (FOLDER / "filled").touch()


def main() -> None:
    carrier = connected(FOLDER)
    take, at = carrier.take, {"task": ""}

    def noted(reference: str, *, task: str = "") -> Any:
        at["task"] = context.parse(reference).task
        return take(reference, task=task)

    carrier.take = noted  # an effect does not know its task; the sink wants to

    def effect(tool: str) -> Any:
        return lambda **given: happen(
            FOLDER, at["task"], f"{tool}-{given['id']}", tool, given["id"]
        )

    connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", PORT))
    channel = connection.channel()
    channel.queue_declare(QUEUE, durable=True)
    if not (FOLDER / "filled").exists():
        # Killed while it fills, the next one puts the same steps there again.
        fill(connection.channel())
    Governed(carrier, {tool: effect(tool) for tool in TOOLS}, again=0.1).consume(channel, QUEUE)
    os.write(1, b"up\n")
    looks = connection.channel()
    quiet = time.monotonic()
    while time.monotonic() - quiet < 1.5:
        connection.process_data_events(0.05)
        left = [looks.queue_declare(name, passive=True) for name in (QUEUE, QUEUE + WAITING)]
        if any(each.method.message_count for each in left):
            quiet = time.monotonic()


if __name__ == "__main__":
    main()
