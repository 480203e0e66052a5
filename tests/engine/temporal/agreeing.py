"""The incremental engine beside the specification evaluator, event by event."""

import random

from bridle.engine.temporal import specification
from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.partition import Partition
from bridle.engine.temporal.program import Program
from engine.temporal import random_conditions
from engine.temporal.library_shapes import Shapes, Within, call
from engine.temporal.random_conditions import Conditions, leaf, reader

ATOMS = Atomiser()
LATER = (0, 500, 1000, 3000, 10_000)


class Story:
    """Some conditions, and events for them. `disturb` may replace the partition at any time."""

    def __init__(self, rng: random.Random, conditions, event) -> None:
        self.rng = rng
        self.event = event
        self.leaves = [leaf(condition, f"h{n}") for n, condition in enumerate(conditions)]
        self.names = [each.name for each in self.leaves]
        self.partition = Partition(Program(self.leaves), ATOMS)
        self.history = []
        self.truths = self.asked = 0

    @classmethod
    def of_any(cls, seed, conditions=3):
        """Any well-formed conditions."""
        rng = random.Random(seed)
        return cls(rng, [Conditions(rng).top() for _ in range(conditions)], random_conditions.event)

    @classmethod
    def of_shapes(cls, seed, kind=None, conditions=3):
        """Conditions of the shapes of the library, or of one of them."""
        rng = random.Random(seed)
        return cls(rng, [Shapes(rng).one(kind) for _ in range(conditions)], call)

    @classmethod
    def of_shapes_within(cls, seed, conditions=6):
        """Conditions of those shapes within others."""
        rng = random.Random(seed)
        return cls(rng, [Within(rng).one() for _ in range(conditions)], call)

    def play(self, length, disturb=lambda _: None):
        """Ask about each event, and some that never come; return the first difference."""
        rng = self.rng
        for time in random_conditions.times(rng, length):
            if rng.random() < 0.4:
                never = self.event(rng, time + rng.choice(LATER))
                if found := self.difference(never):
                    return found
            event = self.event(rng, time)
            if found := self.difference(event):
                return found
            self.history.append(event)
            self.partition.add(event)
            disturb(self)
        return None

    def difference(self, event):
        answers = self.partition.ask(self.names, event, reader(event))
        seen = [*self.history, event]
        for each in self.leaves:
            want = specification.holds(each.condition, seen, len(seen) - 1, reader(event), ATOMS)
            self.truths += want
            self.asked += 1
            if answers[each.name] is not want:
                return f"{each.condition}\n" + "\n".join(map(str, seen)) + f"\nshould be {want}"
        return None
