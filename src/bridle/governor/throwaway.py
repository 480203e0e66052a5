"""A governor of a store in memory, on a virtual clock: for scenarios, offline judging and tests."""

from __future__ import annotations

from bridle.bundle.bundle import Bundle
from bridle.governor.governor import Governor
from bridle.governor.ground.chance import SeededChance
from bridle.governor.ground.clock import VirtualClock
from bridle.governor.ground.core import Core, Keys, Setting
from bridle.model.calls import Caller
from bridle.store.base import Store
from bridle.store.sqlite import open_store

OPERATOR = Caller(operator=True, method="offline")


def governor_over(
    bundle: Bundle, *, leases: bool, seed: bytes, start: int = 0, store: Store | None = None
) -> tuple[Governor, VirtualClock]:
    """Return a governor whose ids follow from `seed`, and the clock that moves it.

    `store` is one in memory unless it is given; the keys follow from seed and bundle.
    """
    clock = VirtualClock(start)
    chance = SeededChance(seed + bundle.digest.encode())
    keys = Keys(payload=chance.draw(32), digest=chance.draw(32))
    core = Core(
        store if store is not None else open_store(None),
        keys,
        Setting("offline", leases=leases),
        clock=clock,
        chance=chance,
    )
    return Governor.over(core, bundle), clock
