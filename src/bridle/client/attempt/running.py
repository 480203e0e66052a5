"""Which attempt runs here: what an effect needs to ask the governor about itself."""

from __future__ import annotations

from msgspec import Struct

from bridle.client.attempt import beats
from bridle.client.transport.channel import Channel
from bridle.model.errors import UsageError


class Running(Struct, frozen=True):
    """A started attempt, the session it was started in, and the way to the governor."""

    channel: Channel
    session: str
    attempt: str

    def __repr__(self) -> str:
        return f"<attempt {self.attempt}>"


def current() -> Running:
    """Return the attempt of the innermost effect of this thread or task. Raises `UsageError`."""
    pulse = beats.beating()
    way = pulse.way if pulse is not None else None
    if way is None:
        raise UsageError("nothing runs here", hint="call it inside an effect")
    channel, beat = way
    return Running(channel, beat.session, beat.attempt)
