"""Random histories: a few actors and values, small steps in time, gaps where data can have gaps."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import msgspec
from msgspec import Struct

from differential import values, worlds
from differential.values import Ref, Value, written
from differential.worlds import UNIVERSAL, Kind, Slot, World

STEPS = [0, 0, 0, 1, 1, 1, 2, 3, 5, 10]


class Entry(Struct, frozen=True):
    """One event. `context` is what the request showed (None: nothing), `logged` what is kept."""

    time: int
    action: str
    kind: str
    principal: str
    resource: str
    logged: dict[str, Value]
    context: dict[str, Value] | None = None
    attributes: dict[str, Value] = {}


class Habits(Struct, frozen=True):
    """What one trace is like."""

    backwards: float
    gaps: float
    apart: float


def trace(rnd: Random, world: World, length: int) -> tuple[Entry, ...]:
    """Make up a history."""
    habits = Habits(
        backwards=rnd.choice([0, 0, 0, 0, 0, 0.2]),
        gaps=rnd.choice([0, 0, 0.15]),
        apart=rnd.choice([0, 0, 0.3]),
    )
    time, made = rnd.choice([0, 0, 1000]), []
    for number in range(length):
        if made:
            back = rnd.random() < habits.backwards
            time += -rnd.choice(STEPS) if back else rnd.choice(STEPS)
        made.append(_entry(rnd, world, max(time, 0), number, habits))
    return tuple(made)


def in_order(trace: tuple[Entry, ...]) -> bool:
    """Tell whether time never goes back."""
    return all(a.time <= b.time for a, b in pairwise(trace))


def straightened(trace: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Hold each event to the latest time before it."""
    latest, made = 0, []
    for entry in trace:
        latest = max(latest, entry.time)
        made.append(msgspec.structs.replace(entry, time=latest))
    return tuple(made)


def _entry(rnd: Random, world: World, time: int, number: int, habits: Habits) -> Entry:
    action = rnd.choice(world.actions)
    kind = rnd.choice([*world.kinds, world.kinds[0], world.kinds[0], world.kinds[0]])
    principal = values.ref(world.user, rnd.choice(worlds.USERS))
    resource = values.ref(world.gateway, rnd.choice(worlds.GATEWAYS))
    tenant = rnd.choice(["a", "a", "b"])
    dept = rnd.choice(["a", "b"])
    asked = _arguments(rnd, action.inputs, world, gaps=0.0)
    apart = rnd.random() < habits.apart
    kept = _arguments(rnd, action.inputs, world, habits.gaps) if apart else dict(asked)
    logged: dict[str, Value] = {"input": _gappy(rnd, kept, habits.gaps)}
    if kind.outputs and rnd.random() < 0.85:
        logged["output"] = _arguments(rnd, action.outputs, world, max(habits.gaps, 0.1))
    logged |= {"callerPrincipal": Ref(principal), "callerResource": Ref(resource)}
    logged["requestId"] = rnd.choice(["r1", "r2", "r3", f"x{number}"])
    if world.custom:
        logged |= {"tenant": tenant, "tenantKey": tenant, "dept": dept}
    else:
        logged["sessionId"] = "s"
    kept_apart = own(world, kind)
    if rnd.random() < habits.gaps / 3:
        logged.pop(rnd.choice(sorted(logged.keys() - kept_apart.keys())))
    shown = rnd.random() >= habits.gaps / 8 or any("context" in v for v in kept_apart.values())
    context: dict[str, Value] | None = {"input": asked, "tenant": tenant} if shown else None
    attributes: dict[str, Value] = {"dept": dept, "rank": rnd.choice([1, 2])}
    if rnd.random() < habits.gaps / 4:
        attributes.pop(rnd.choice(sorted(attributes)))
    return Entry(time, action.name, kind.name, principal, resource, logged, context, attributes)


def own(world: World, kind: Kind) -> dict[str, str]:
    """Name what a deciding event has to carry to be part of the history it is judged by.

    What a condition says of one that is not, the reference does not specify.
    """
    return dict(kind.pins) if kind.deciding and world.pinned in UNIVERSAL else {}


def _arguments(rnd: Random, slots: tuple[Slot, ...], world: World, gaps: float) -> dict[str, Value]:
    made: dict[str, Value] = {}
    for slot in slots:
        if slot.optional and rnd.random() < 0.35:
            continue
        missing = slot.optional and rnd.random() < gaps
        drawn = None if missing else values.value(rnd, slot.type, world)
        head, _, rest = slot.path.partition(".")
        if rest:
            made.setdefault(head, {})[rest] = drawn
        else:
            made[head] = drawn
    return made


def _gappy(rnd: Random, record: dict[str, Value], gaps: float) -> dict[str, Value]:
    return {
        name: None if rnd.random() < gaps / 4 else value
        for name, value in record.items()
        if rnd.random() >= gaps / 2
    }


# --- text ----------------------------------------------------------------------------------------


def text(world: World, trace: tuple[Entry, ...]) -> str:
    """Print a history as the reference reads it."""
    return "".join(_line(world, entry) + "\n" for entry in trace)


def _line(world: World, entry: Entry) -> str:
    parts = [f"@{entry.time} scope(principal: {entry.principal}, resource: {entry.resource})"]
    if entry.attributes:
        parts.append(f"entities({entry.principal}: {written(entry.attributes)})")
    if entry.context is not None:
        parts.append(f"request_context({_pairs(entry.context)})")
    head = f'{world.namespace}::Action::"{entry.action}"::{entry.kind}'
    return " ".join([*parts, f"{head}({_pairs(entry.logged)})"])


def _pairs(record: dict[str, Value]) -> str:
    return ", ".join(f"{name}: {written(value)}" for name, value in record.items())
