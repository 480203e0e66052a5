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
    places = frozenset[Place]().union(*[trace.places for trace in traces])
    labels = _NONE.union(*[trace.labels for trace in traces])
    if any(trace.mission for trace in traces):
        labels |= mission
    return Origin(
        sources=frozenset([system for system, _ in places if system]) if places else _NONE,
        domains=frozenset([domain for _, domain in places if domain]) if places else _NONE,
        labels=labels,
        trusted=all(trace.trusted for trace in traces),
        prompted=all(trace.prompted for trace in traces),
        unknown=any(trace.unknown for trace in traces),
        events=tuple(dict.fromkeys([event for trace in traces for event in trace.events])),
    )
