"""The protocol between a client and its governor: greeting, and what may be said.

A frame is a length (4 bytes, big-endian) and as many bytes of JSON. The client greets with
`Hello`, the governor answers `Welcome` or `Failed`; from then on each request gets one reply, in
turn. The first request may be a `Login`, which proves who is there by the nonce of the `Welcome`.
Nothing here touches a connection: `frames` does.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import Struct

from bridle.model.calls import (
    AGENT_CALLS,
    OPERATOR_CALLS,
    REPLIES,
    Accept,
    AddPrompt,
    Call,
    Failed,
    Login,
    OpenRun,
    OpenSession,
    Reply,
    StartMission,
)
from bridle.model.errors import ProtocolError

M = TypeVar("M")

VERSION = 4
# Bytes of one frame's body. Arguments and results are bounded far below by the bundle's limits.
MAX_FRAME = 4 * 1024 * 1024
# Seconds within which a frame that has begun to arrive must be complete.
FRAME_SECONDS = 10.0
# The code of a frame that the other side did not finish.
TRUNCATED = "truncated"


class Hello(Struct, frozen=True, forbid_unknown_fields=True):
    """What a client says first. `role` is `agent` or `operator`; the socket decides what it may."""

    bridle: int
    role: str


class Welcome(Struct, frozen=True, forbid_unknown_fields=True, tag_field="re", tag="welcome"):
    """What the governor answers: protocol version, store id and its own version.

    `nonce` is 32 random bytes in hex, made for this connection: a login on it signs them.
    `instance` names this start of the governor (32 random bytes, hex): proofs are made for it.
    """

    bridle: int
    store: str
    governor: str
    nonce: str = ""
    instance: str = ""


_encoder = msgspec.json.Encoder()
_hello: msgspec.json.Decoder[Hello] = msgspec.json.Decoder(Hello)
_greeting: msgspec.json.Decoder[Welcome | Failed] = msgspec.json.Decoder(Welcome | Failed)
_replies: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(REPLIES)
_agent_calls: msgspec.json.Decoder[Call] = msgspec.json.Decoder(
    AGENT_CALLS | Accept | OpenRun | Login
)
_asserting_calls: msgspec.json.Decoder[Call] = msgspec.json.Decoder(
    AGENT_CALLS | Accept | OpenRun | Login | StartMission | AddPrompt | OpenSession
)
_all_calls: msgspec.json.Decoder[Call] = msgspec.json.Decoder(
    AGENT_CALLS | Accept | OpenRun | OPERATOR_CALLS | Login
)


def encode(message: Struct) -> bytes:
    """Return the body of a frame. Raises `ProtocolError` for what cannot be said in one."""
    try:
        body = _encoder.encode(message)
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError) as problem:
        raise ProtocolError(
            "the message holds text that is not valid Unicode, or no JSON", code="malformed"
        ) from problem
    if len(body) > MAX_FRAME:
        raise ProtocolError(
            f"the message has {len(body):,} bytes; a frame carries {MAX_FRAME:,}",
            code="limit_exceeded",
        )
    return body


def decode_hello(body: bytes) -> Hello:
    """Read a client's greeting."""
    return _decode(_hello, body)


def decode_greeting(body: bytes) -> Welcome | Failed:
    """Read a governor's greeting."""
    return _decode(_greeting, body)


def decode_reply(body: bytes) -> Reply:
    """Read an answer."""
    return _decode(_replies, body)


def decode_call(body: bytes, *, operator: bool, asserting: bool = False) -> Call:
    """Read a request; operators may say more.

    `asserting` says that a workload has proved to be there: it may speak for users, if the bundle
    lets it.
    """
    # INVARIANT: I9 — on the agents' socket an operator's call does not even decode.
    plain = _asserting_calls if asserting else _agent_calls
    return _decode(_all_calls if operator else plain, body)


def _decode(decoder: msgspec.json.Decoder[M], body: bytes) -> M:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as problem:
        # The decoder's own text may quote the input, so it stays out of the message.
        raise ProtocolError("the frame does not hold a message of this protocol") from problem
