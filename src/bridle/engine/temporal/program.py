"""The conditions that one scope of a bundle keeps history for. One job: what they are together."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.caps import Caps
from bridle.engine.temporal.plan.collect import horizon
from bridle.engine.temporal.plan.plan import Plan
from bridle.language.policy import Leaf


class Program:
    """Immutable. `leaves` by name; `conditions` by digest: equal ones are evaluated once.

    `digest` (hex) tells programs apart whose state differs. `horizon_ms` is how far back anything
    in it can depend on events.
    """

    __slots__ = ("_plan", "conditions", "digest", "horizon_ms", "leaves", "limits")

    def __init__(self, leaves: Iterable[Leaf], limits: Caps | None = None) -> None:
        self.limits = limits or Caps()
        self.leaves: dict[str, Leaf] = {leaf.name: leaf for leaf in leaves}
        self.conditions = {leaf.digest: leaf.condition for leaf in self.leaves.values()}
        self.horizon_ms = max(map(horizon, self.conditions.values()), default=0)
        self.digest = hashlib.sha256("\n".join(sorted(self.conditions)).encode()).hexdigest()
        self._plan: tuple[Atomiser, Plan] | None = None

    def plan(self, atoms: Atomiser) -> Plan:
        """Return the program compiled for `atoms`; remembered for the last ones."""
        if self._plan is None or self._plan[0] is not atoms:
            self._plan = (atoms, Plan(self.conditions, atoms))
        return self._plan[1]
