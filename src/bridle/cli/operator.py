"""The operator's line to the governor that serves a bundle."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bridle.client.transport.channel import Channel, ask
from bridle.model.calls import Call, Done, Listing, Opened
from bridle.model.errors import NotFoundError


class Operator:
    """Asks a governor what only an operator may ask."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def rows(self, call: Call) -> list[dict[str, Any]]:
        """Ask for a listing."""
        return ask(self._channel, call, Listing).rows

    def one(self, call: Call, what: str) -> dict[str, Any]:
        """Ask for a listing of one row."""
        rows = self.rows(call)
        if len(rows) != 1:
            raise NotFoundError(f"no {what}")
        return rows[0]

    def done(self, call: Call) -> str:
        """Have something done; returns the governor's note."""
        return ask(self._channel, call, Done).note

    def opened(self, call: Call) -> str:
        """Have something started; returns its id."""
        return ask(self._channel, call, Opened).id


@contextmanager
def connected(bundle: Path) -> Generator[Operator]:
    """Connect to the governor that serves a bundle; `UnreachableError` when none does."""
    from bridle.client.transport.unix import UnixChannel
    from bridle.store.place import place_of

    channel = UnixChannel(place_of(bundle).operator_socket, role="operator")
    try:
        channel.connect()
        yield Operator(channel)
    finally:
        channel.close()


@contextmanager
def embedded(bundle: Path) -> Generator[Operator]:
    """Open the store of a bundle that no governor serves, for as long as it takes."""
    from bridle.client.transport.embedded import EmbeddedChannel
    from bridle.governor.governor import Governor

    channel = EmbeddedChannel(Governor.open(bundle, embedded=True))
    try:
        yield Operator(channel)
    finally:
        channel.close()
