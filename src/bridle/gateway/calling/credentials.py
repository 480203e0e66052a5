"""Credentials that calls need at the server: asked for once started, taken out of what it says.

The server alone gets them. Nothing of them reaches the client, by whatever way the server says it.
"""

from __future__ import annotations

import json
import threading
import time

from bridle.brokers.scrubbing import Scrubber
from bridle.client import credentials
from bridle.client.transport.channel import Channel
from bridle.gateway.wire import message
from bridle.gateway.wire.message import Message, MessageError
from bridle.model.errors import ProtocolError

# Of those that have expired so many are still looked for: one that is used again comes back.
_MOST_EXPIRED = 16
_FIELD = "secret"
_UNREADABLE = -32_603


class Credentials:
    """What the server of one proxy was given. Safe for threads."""

    def __init__(self, channel: Channel, session: str) -> None:
        self._channel = channel
        self._session = session
        self._lock = threading.Lock()
        self._given: dict[str, int] = {}
        self._scrubber = Scrubber(())

    def of(self, attempt: str) -> str:
        """Return the credential of a started attempt.

        Raises `BridleError`: there is none, and nothing has been sent.
        """
        vended = credentials.vend(self._channel, self._session, attempt)
        value = vended.secret.get(_FIELD, "")
        if not value:
            raise ProtocolError("this credential is none that a server could be sent")
        # INVARIANT: I9 — looked for before the server has it, so in everything it can say of it.
        self._look_for(value, vended.expires)
        return value

    def scrubbed(self, line: bytes) -> bytes:
        """Return a line of the server without them."""
        return self._scrubber.raw(line) if self._given else line

    def require_none(self, found: Message) -> None:
        """Refuse a message that still has one, spelled as only JSON can. Raises `MessageError`."""
        if not self._given or b"\\" not in found.line:
            return
        value = found.value
        if self._scrubber.value(value) != value:
            raise MessageError("it spells a credential", _UNREADABLE)

    def _look_for(self, value: str, expires: int) -> None:
        with self._lock:
            known = value in self._given
            self._given.pop(value, None)
            self._given[value] = expires
            if known:
                return
            now = time.time() * 1_000
            expired = [text for text, end in self._given.items() if end <= now]
            for text in expired[:-_MOST_EXPIRED]:
                del self._given[text]
            self._scrubber = Scrubber(self._given)


def occupied(found: Message, key: str) -> bool:
    """Whether a client's own `_meta` has the place of a credential, in any spelling, or is odd."""
    if "_meta" not in found.params:
        return False
    meta = found.params["_meta"]
    if not isinstance(meta, dict):
        return True
    return any(str(name).casefold() == key.casefold() for name in found.meta)


def placed(line: bytes, key: str, value: str) -> bytes:
    """Return a call's line with a credential in `params._meta`; every other value as it was."""
    return message.replaced(line, json.dumps(value).encode(), "params", "_meta", key)
