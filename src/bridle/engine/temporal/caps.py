"""How much history may be kept and looked at: the numbers, and the error of passing one."""

from __future__ import annotations

from msgspec import Struct

from bridle.model.errors import BridleError


class Caps(Struct, frozen=True):
    """Bounds of one partition.

    `events`: how many one mission may have in it. `matches`: how many one mission may have for a
    condition that looks at each. `steps`: how many events one decision may look at, all conditions
    together.
    """

    events: int = 100_000
    matches: int = 2_000
    steps: int = 250_000


class HistoryCapError(BridleError):
    """A decision would look at more events than `Caps.steps`. The action must be denied."""

    code = "limit_exceeded"
