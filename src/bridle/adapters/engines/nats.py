"""NATS: every message of a JetStream consumer is decided before it is handled, and done once.

    await Sender(js).send("ask.mail.send", mail, reference, step="send")        # who dispatches
    governed = Governed(bridle.worker("bundle/", credential=…), {"mail.send": send})
    await governed.serve(js, "ASK", "mailer")                                   # the worker

The subject names the tool, which the server's permissions can tell agents apart by. The arguments
are a JSON body, and `Nats-Msg-Id` says which step it is. A message is acknowledged when it has been
carried out, and never before.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import msgspec
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NothingError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NoStreamResponseError

from bridle.adapters.contract import Deed, acarry_out, is_undecided
from bridle.client.errors import Held
from bridle.client.worker import Worker
from bridle.model.errors import BridleError, UsageError
from bridle.model.reason import ReasonCode
from bridle.trust import context
from bridle.trust.context import HEADER

ID = "Nats-Msg-Id"
REASON = "Bridle-Reason"
"""The header of a dead letter that says why it was refused."""


class _LaterError(Exception):
    """Held, under way elsewhere, or nobody could be asked: the message comes again."""


class _RefusedError(Exception):
    """Denied: the message does not come again."""


class Sender:
    """Publishes into a stream, and waits until the server has it."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js

    async def send(
        self, subject: str, arguments: Mapping[str, Any], reference: str, *, step: str
    ) -> None:
        """Publish a step that the reference's task knows as `step`. Raises what `publish` does."""
        found = context.parse(reference)
        # The server knows ids again in the whole stream, whatever task they are of.
        name = msgspec.json.encode([found.mission, found.task, step])
        headers = {HEADER: reference, ID: sha256(name).hexdigest()}
        await self._js.publish(subject, msgspec.json.encode(arguments), headers=headers)


class Governed(msgspec.Struct):
    """A consumer whose messages are decided, and carried out by the workload `carrier`.

    `tools` says which function, async or not, stands behind a subject without its `prefix`. A held
    message, and one that nobody could be asked about, comes again after `again` seconds, for as
    long as it takes. A refused one is terminated; with `dead` it is published below that subject
    before, with the reason in its header.
    """

    carrier: Worker
    tools: Mapping[str, Callable[..., Any]]
    prefix: str = "ask."
    again: float = 15.0
    dead: str = ""

    async def serve(self, js: JetStreamContext, stream: str, consumer: str) -> None:
        """Handle the messages of a durable pull consumer, one at a time, until it is cancelled.

        Raises `UsageError` where the consumer would lose messages that wait.
        """
        messages = await js.pull_subscribe_bind(consumer, stream=stream)
        config = (await messages.consumer_info()).config
        _checked(config)
        gate = _Gate(self, js, (config.ack_wait or 30.0) / 3)
        try:
            while True:
                try:
                    found = await messages.fetch(1)
                except NothingError:
                    continue
                for each in found:
                    await gate.on_message(each)
        finally:
            await messages.unsubscribe()


class _Message(msgspec.Struct):
    """A message as it is about to be handled."""

    subject: str
    headers: Mapping[str, str]
    body: bytes


class _Gate(msgspec.Struct):
    to: Governed
    js: JetStreamContext
    beat: float

    async def on_message(self, msg: Msg) -> None:
        native = _Message(msg.subject, msg.headers or {}, msg.data)
        alive = asyncio.create_task(_alive(msg, self.beat))
        try:
            await acarry_out(self, native, self.to.carrier, lambda: self._ran(native))
        except _LaterError:
            await msg.nak(delay=self.to.again)
        except _RefusedError as refused:
            await self._bury(msg, str(refused))
            await msg.term()
        else:
            await msg.ack()
        finally:
            alive.cancel()

    async def _bury(self, msg: Msg, reason: str) -> None:
        if not self.to.dead:
            return
        # Nothing that came with the message: the worker may publish what its sender may not.
        headers = {HEADER: (msg.headers or {}).get(HEADER, ""), REASON: " ".join(reason.split())}
        try:
            await self.js.publish(f"{self.to.dead}.{msg.subject}", msg.data, headers=headers)
        except NoStreamResponseError:
            return  # no stream keeps dead letters

    async def _ran(self, native: _Message) -> Any:
        deed = self.describe(native)
        func = self.to.tools[deed.tool]
        if inspect.iscoroutinefunction(func):
            return await func(**deed.arguments)
        return await asyncio.to_thread(func, **deed.arguments)

    def identify(self, native: _Message) -> str:
        # No slash: `t`, `u/1` is not `t/u`, `1`.
        return quote(native.headers[ID], safe="")

    def describe(self, native: _Message) -> Deed:
        tool = native.subject.removeprefix(self.to.prefix)
        if tool not in self.to.tools or native.subject != self.to.prefix + tool:
            raise UsageError("the subject is no tool of this worker", code="unknown_tool")
        if not native.headers.get(ID):
            raise UsageError("the message has no id, so that nobody knows it again", code="no_id")
        try:
            arguments = msgspec.json.decode(native.body, type=dict[str, Any])
        except (ValueError, RecursionError) as problem:
            raise UsageError(f"the message's body is no JSON object: {problem}") from problem
        return Deed(tool, arguments, native.headers.get(HEADER, ""))

    def apply(self, native: _Message, arguments: Mapping[str, Any]) -> None:
        native.body = msgspec.json.encode(arguments)

    def refuse(self, native: _Message, refusal: BridleError) -> BaseException:
        del native
        elsewhere = refusal.code == ReasonCode.ALREADY_STARTED.value
        if elsewhere or isinstance(refusal, Held) or is_undecided(refusal):
            return _LaterError(str(refusal))
        return _RefusedError(str(refusal))


async def _alive(msg: Msg, beat: float) -> None:
    """Tell the server that a message is worked on, so that it gives it to nobody else."""
    while True:
        await asyncio.sleep(beat)
        await msg.in_progress()


def _checked(config: ConsumerConfig) -> None:
    if config.ack_policy != AckPolicy.EXPLICIT or (config.max_deliver or -1) > 0:
        raise UsageError(
            "this consumer would lose messages that wait for a human",
            code="unsupported",
            hint="let its ack_policy be explicit, and max_deliver -1",
        )
