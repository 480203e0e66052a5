"""A governor of a store in memory, on a virtual clock: what scenarios and offline judging run on."""

from __future__ import annotations

from bridle.bundle.bundle import Bundle
from bridle.governor.governor import Governor
from bridle.governor.ground.chance import SeededChance
from bridle.governor.ground.clock import VirtualClock
from bridle.governor.ground.core import Core
from bridle.governor.ground.records import Recorder
from bridle.ledger.seal import Sealer
from bridle.model.calls import Caller
from bridle.store.sqlite import open_store

OPERATOR = Caller(operator=True, method="offline")


def governor_over(
    bundle: Bundle, *, leases: bool, seed: bytes, start: int = 0
) -> tuple[Governor, VirtualClock]:
    """Return a governor whose ids follow from `seed`, and the clock that moves it."""
    clock = VirtualClock(start)
    chance = SeededChance(seed + bundle.digest.encode())
    core = Core(
        store=open_store(None),
        recorder=Recorder(Sealer(chance.draw(32)), chance),
        clock=clock,
        chance=chance,
        secret=chance.draw(32),
        level="offline",
        leases=leases,
    )
    return Governor.over(core, bundle), clock
