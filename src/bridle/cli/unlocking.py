"""Logs the human in when the governor asks for a key: finds the file, gets the passphrase, goes on.

A refused call has done nothing, so it is simply made again once the key is proved.
"""

from __future__ import annotations

from bridle.cli import passphrase
from bridle.client.bridle import Bridle
from bridle.client.transport.embedded import EmbeddedChannel
from bridle.client.transport.unix import UnixChannel
from bridle.model.calls import Call, Failed, Reply


def with_key(governor: Bridle) -> Bridle:
    """Return the same governor, with a human at hand who can unlock a key where it asks for one."""
    inner = governor.operator
    if not isinstance(inner, UnixChannel | EmbeddedChannel):
        return governor
    return Bridle(Unlocking(inner), agents=governor.agents, reference=governor.reference)


class Unlocking:
    """A channel that logs in when it is first told `key_needed`."""

    def __init__(self, channel: UnixChannel | EmbeddedChannel) -> None:
        self._channel = channel
        self._tried = False

    @property
    def store(self) -> str:
        """The id of the governor's store."""
        return self._channel.store

    def send(self, call: Call, *, timeout: float | None = None) -> Reply:
        """Return the governor's answer, after a login if that is what it takes."""
        reply = self._channel.send(call, timeout=timeout)
        if self._tried or not isinstance(reply, Failed) or not _asks_for_key(call, reply):
            return reply
        self._tried = True
        self._log_in(reply.about["user"], reply.about.get("keys", reply.about["key"]).split())
        return self._channel.send(call, timeout=timeout)

    def close(self) -> None:
        """Let go of the governor."""
        self._channel.close()

    def _log_in(self, user: str, fingerprints: list[str]) -> None:
        from bridle.trust import folder, keyfile

        found = folder.by_fingerprint(*fingerprints)
        what = f"{user}'s key {found.fingerprint[:8]}"
        credential = passphrase.unlocked(what, lambda text: keyfile.unseal(found.file, text))
        self._channel.log_in(credential)


def _asks_for_key(call: Call, reply: Failed) -> bool:
    """Whether a key would help: the one of the very user whom the call named, if it named one."""
    named = getattr(call, "as_user", "") or getattr(call, "user", "")
    user, key = reply.about.get("user", ""), reply.about.get("key", "")
    return reply.code == "key_needed" and bool(key) and named in ("", user)
