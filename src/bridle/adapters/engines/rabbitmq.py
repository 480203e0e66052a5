"""RabbitMQ: every message is decided before it is handled, and carried out once.

    Sender(channel).send("mail", "mail.send", mail, reference, step="ticket-7")  # who dispatches
    Governed(bridle.worker("bundle/", credential=…), {"mail.send": send}).consume(channel, "mail")
    channel.start_consuming()                                                    # the worker

A message has the tool as its `type`, the arguments as a JSON body, and an id that its publisher has
given it. It is acknowledged when it has been carried out, and never before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import NackError, UnroutableError

from bridle.adapters.contract import Deed, carry_out, is_undecided
from bridle.client.errors import Held
from bridle.client.worker import Worker
from bridle.model.errors import BridleError, UsageError
from bridle.trust.context import HEADER

REASON = "Bridle-Reason"
"""The header of a dead letter that says why it was refused."""

WAITING = ".bridle-waiting"
"""What the name of the queue for messages that wait ends with."""


class _LaterError(Exception):
    """Held, under way elsewhere, or nobody could be asked: the message comes again."""


class _RefusedError(Exception):
    """Denied: the message does not come again."""


class Sender:
    """Publishes on a channel that it has for itself, and waits for the broker's confirmation."""

    def __init__(self, channel: BlockingChannel) -> None:
        channel.confirm_delivery()
        self._channel = channel

    def send(
        self, queue: str, tool: str, arguments: Mapping[str, Any], reference: str, *, step: str
    ) -> None:
        """Put a step into a queue. `step` names it within its task, and is the message's id.

        Returns when the broker has it. Raises `pika.exceptions.UnroutableError` or `NackError`
        where it has not, so that an effect which sends counts as done only then.
        """
        envelope = BasicProperties(message_id=step, type=tool, headers={HEADER: reference})
        self.put(queue, envelope, msgspec.json.encode(arguments))

    def put(self, queue: str, envelope: BasicProperties, body: bytes) -> None:
        """Publish a message as it is, so that it outlives the broker. Raises as `send` does."""
        envelope.delivery_mode = 2
        self._channel.basic_publish("", queue, body, envelope, mandatory=True)


class Governed(msgspec.Struct):
    """A consumer whose messages are decided, and carried out by the workload `carrier`.

    `tools` says which function a message's `type` stands for. A held message, and one that nobody
    could be asked about, waits `again` seconds in a queue beside its own, for as long as it takes.
    A refused one is rejected, or goes to the queue `dead` with the reason in its header.
    """

    carrier: Worker
    tools: Mapping[str, Callable[..., Any]]
    again: float = 15.0
    dead: str = ""

    def consume(self, channel: BlockingChannel, queue: str) -> None:
        """Consume a queue on a channel for it alone, one message at a time."""
        back = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue}
        channel.queue_declare(queue + WAITING, durable=True, arguments=back)
        channel.basic_qos(prefetch_count=1)
        gate = _Gate(self, Sender(channel), queue + WAITING)
        channel.basic_consume(queue, gate.on_message, auto_ack=False)


class _Message(msgspec.Struct):
    """A message as it is about to be handled."""

    envelope: BasicProperties
    body: bytes


class _Gate(msgspec.Struct):
    to: Governed
    sender: Sender
    waiting: str

    def on_message(
        self, channel: BlockingChannel, method: Any, envelope: BasicProperties, body: bytes
    ) -> None:
        native, tag = _Message(envelope, body), method.delivery_tag
        try:
            carry_out(self, native, self.to.carrier, lambda: self._ran(native))
        except _LaterError:
            later = _known(envelope, expiration=str(int(self.to.again * 1000)))
            if not self._put(self.waiting, later, body):
                return channel.basic_nack(tag, requeue=True)
        except _RefusedError as refused:
            if not self._put(self.to.dead, _known(envelope, reason=str(refused)), body):
                return channel.basic_reject(tag, requeue=False)
        return channel.basic_ack(tag)

    def _put(self, queue: str, envelope: BasicProperties, body: bytes) -> bool:
        try:
            self.sender.put(queue, envelope, body)
        except (NackError, UnroutableError):
            return False
        return True

    def _ran(self, native: _Message) -> Any:
        deed = self.describe(native)
        return self.to.tools[deed.tool](**deed.arguments)

    def identify(self, native: _Message) -> str:
        # No slash: `t`, `u/1` is not `t/u`, `1`.
        return quote(str(native.envelope.message_id), safe="")

    def describe(self, native: _Message) -> Deed:
        tool, headers = native.envelope.type, native.envelope.headers or {}
        if tool not in self.to.tools:
            raise UsageError("the message's type is no tool of this worker", code="unknown_tool")
        if not native.envelope.message_id:
            raise UsageError("the message has no id, so that nobody knows it again", code="no_id")
        try:
            arguments = msgspec.json.decode(native.body, type=dict[str, Any])
        except (ValueError, RecursionError) as problem:
            raise UsageError(f"the message's body is no JSON object: {problem}") from problem
        return Deed(tool, arguments, str(headers.get(HEADER, "")))

    def apply(self, native: _Message, arguments: Mapping[str, Any]) -> None:
        native.body = msgspec.json.encode(arguments)

    def refuse(self, native: _Message, refusal: BridleError) -> BaseException:
        del native
        if isinstance(refusal, Held) or is_undecided(refusal):
            return _LaterError(str(refusal))
        return _RefusedError(str(refusal))


def _known(envelope: BasicProperties, *, expiration: str | None = None, reason: str = "") -> Any:
    """Return an envelope with what the gate reads, and nothing else that came with the message.

    What the worker publishes has the worker's permissions: a `CC` of the sender's would reach
    queues that the sender may not.
    """
    headers = {HEADER: str((envelope.headers or {}).get(HEADER, "")), REASON: reason}
    kept = {"message_id": envelope.message_id, "type": envelope.type, "expiration": expiration}
    return BasicProperties(headers={k: v for k, v in headers.items() if v}, **kept)
