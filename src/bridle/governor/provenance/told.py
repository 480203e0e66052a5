"""What a decision's record says of where its arguments came from, and what of that is shown.

A source is named by what it was and by the number of the record that tells of it, never by what it
said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct, structs

from bridle.bundle.bundle import Bundle
from bridle.engine.flow.source import Origin, SourceKind
from bridle.governor.ground.turn import Turn
from bridle.ledger import leaf
from bridle.model.record import Leaf, LeafKind

PROMPT = "prompt"
"""What a prompt is called among what a mission has read."""

# Arguments that a record names, and sources of each.
_ARGUMENTS, _SOURCES = 64, 16
_SAID = ("sources", "domains", "labels", "trusted", "prompted", "read")
_KINDS = {
    LeafKind.OUTCOME: SourceKind.RESULT,
    LeafKind.RELEASE: SourceKind.RESULT,
    LeafKind.DECISION: SourceKind.ENDORSEMENT,
}


class Told(Struct, frozen=True, omit_defaults=True):
    """Where one argument came from. `read` names sources, see `name`."""

    sources: list[str] = []
    domains: list[str] = []
    labels: list[str] = []
    trusted: bool = False
    prompted: bool = False
    unknown: bool = False
    read: list[str] = []


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Told]).decode


def name(about: str, record: int) -> str:
    """Return what a source is called: what it was, and which record tells of it."""
    return f"{about}@{record}"


def field(origins: Mapping[str, Origin]) -> str:
    """Return what a decision's record keeps of the origins of its arguments."""
    listed = sorted(origins.items())[:_ARGUMENTS]
    # Most arguments share an origin, so each is written once.
    distinct = {id(origin): origin for _, origin in listed}
    made = {which: Raw(_encode(_told(origin))) for which, origin in distinct.items()}
    return _encode({argument: made[id(origin)] for argument, origin in listed}).decode()


def shown(turn: Turn, bundle: Bundle, text: str) -> list[dict[str, Any]]:
    """Return the same as humans are shown it, argument by argument. Empty where nothing was kept.

    `bundle` is the one that the decision was made under.
    """
    found = _decode(text) if text else {}
    return [
        {
            "argument": argument,
            **structs.asdict(told),
            "read": [_source(turn, bundle, each) for each in told.read],
        }
        for argument, told in found.items()
    ]


def says_anything(row: Mapping[str, Any]) -> bool:
    """Whether an argument as it is shown says more than that nothing is known of it."""
    return not row["unknown"] or any(row[name] for name in _SAID)


def _told(origin: Origin) -> Told:
    return Told(
        sources=sorted(origin.sources),
        domains=sorted(origin.domains),
        labels=sorted(origin.labels),
        trusted=origin.trusted,
        prompted=origin.prompted,
        unknown=origin.unknown,
        read=list(dict.fromkeys(origin.events))[:_SOURCES],
    )


def _source(turn: Turn, bundle: Bundle, named: str) -> dict[str, Any]:
    about, _, number = named.rpartition("@")
    record = int(number)
    found = _leaf(turn, record)
    kind = _kind(found, about)
    tool = str(found.body.get("tool", "")) if found is not None and kind in _KINDS.values() else ""
    declared = bundle.tools.get(tool)
    return {
        "kind": kind.value,
        "record": record,
        "tool": tool,
        "system": declared.system if declared is not None else "",
        "action": about if tool else "",
    }


def _kind(found: Leaf | None, about: str) -> SourceKind:
    if found is not None and found.kind in _KINDS:
        return _KINDS[found.kind]
    return SourceKind.PROMPT if about == PROMPT else SourceKind.CONSTANT


def _leaf(turn: Turn, record: int) -> Leaf | None:
    stored = next(turn.tx.leaves(record, record + 1), None)
    return leaf.parse(stored.data) if stored is not None else None
