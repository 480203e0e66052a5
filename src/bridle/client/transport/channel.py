"""What a client needs of its way to the governor, and how a failed answer becomes an exception."""

from __future__ import annotations

from typing import Protocol, TypeVar

from bridle.model.calls import Call, Failed, Reply
from bridle.model.errors import (
    BridleError,
    BundleError,
    NotFoundError,
    ProtocolError,
    RefusedError,
    StoreError,
    UnreachableError,
    UsageError,
)

A = TypeVar("A", bound=Reply)

# By the beginning of the code; whatever else an operation fails with is a refusal of it.
_BY_CODE: dict[str, type[BridleError]] = {
    "bundle_": BundleError,
    "governor_": UnreachableError,
    "internal": BridleError,
    "not_found": NotFoundError,
    "place_": StoreError,
    "protocol_": ProtocolError,
    "store_": StoreError,
    "usage": UsageError,
    "plan_invalid": UsageError,
}


SILENT = "governor_silent"
"""The code of an `UnreachableError` where what was asked to be carried out may have been."""


class Channel(Protocol):
    """A way to one governor, usable from any thread."""

    @property
    def store(self) -> str:
        """The id of the governor's store. Raises `UnreachableError` when no governor answers."""
        ...

    def send(self, call: Call, *, timeout: float | None = None) -> Reply:
        """Return the governor's answer to `call`.

        `timeout` is in seconds (None: the channel's own). Raises `UnreachableError` when no answer
        came, `ProtocolError` when what came is not one. Then nobody knows what became of the call.
        """
        ...

    def close(self) -> None:
        """Let go of the governor. What is under way may fail."""
        ...


def ask(channel: Channel, call: Call, kind: type[A]) -> A:
    """Send `call` and return its answer, a `kind`; `Failed` is raised as the error it names."""
    reply = channel.send(call)
    if isinstance(reply, kind):
        return reply
    if isinstance(reply, Failed):
        raise error_of(reply)
    raise ProtocolError("the governor answered something else than was asked")


def error_of(failed: Failed) -> BridleError:
    """Return the exception that says what `failed` says."""
    found = (kind for start, kind in _BY_CODE.items() if failed.code.startswith(start))
    kind = next(found, RefusedError)
    error = kind(failed.message, code=failed.code, hint=failed.hint)
    error.about = failed.about
    return error
