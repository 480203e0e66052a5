"""Which policies speak at the end of a mission. It judges nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cedarpy import pst

from bridle.bundle.schema.cedar import CLOSING, END_MISSION
from bridle.language.policy import Policy


def obligations(policies: Iterable[Policy]) -> Iterator[Policy]:
    """Yield the forbids that name the end of a mission. Nobody needs a permit to stop."""
    return (p for p in policies if p.effect == "forbid" and names_closing(p))


def names_closing(policy: Policy) -> bool:
    """Whether the scope of a policy names the end of a mission. Only then can it apply there."""
    match policy.node.action:
        case pst.ActionEq(entity):
            return entity.id == END_MISSION
        case pst.ActionIn(entities):
            return any(e.id in (END_MISSION, CLOSING) for e in entities)
        case _:
            return False
