"""What was found of single values, and the origins of the arguments that they make up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bridle.engine.flow.source import Origin

Place = tuple[str, str]
"""A system and its domain."""

_NONE = frozenset[str]()


class Trace(NamedTuple):
    """Where one value came from. `mission`: it carries all labels of the mission besides its own.

    `places` are systems with their domains, `events` the ids of the sources that were found.
    """

    trusted: bool
    prompted: bool
    unknown: bool
    places: frozenset[Place]
    labels: frozenset[str]
    mission: bool
    events: tuple[str, ...]


NOTHING = Trace(
    trusted=True,
    prompted=True,
    unknown=False,
    places=frozenset(),
    labels=_NONE,
    mission=False,
    events=(),
)
"""What is to be said of a value that says nothing, or that the bundle's author has written."""

UNKNOWN = Trace(
    trusted=False,
    prompted=False,
    unknown=True,
    places=frozenset(),
    labels=_NONE,
    mission=True,
    events=(),
)
"""What is to be said of a value that nobody has looked for."""


def joined(traces: Sequence[Trace], mission: frozenset[str]) -> Origin:
    """Return the origin of what these values make up, in a mission with these labels.

    INVARIANT: I2. It is trusted only if each value is, and leaves out nothing said of any.
    """
    trusted, prompted, unknown = True, True, False
    places, labels, events = frozenset[Place](), _NONE, dict[str, None]()
    for trace in traces:
        trusted = trusted and trace.trusted
        prompted = prompted and trace.prompted
        unknown = unknown or trace.unknown
        places |= trace.places
        labels |= trace.labels
        if trace.mission:
            labels |= mission
        events.update(dict.fromkeys(trace.events))
    return Origin(
        sources=frozenset([system for system, _ in places if system]),
        domains=frozenset([domain for _, domain in places if domain]),
        labels=labels,
        trusted=trusted,
        prompted=prompted,
        unknown=unknown,
        events=tuple(events),
    )
