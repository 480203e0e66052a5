"""What of a record is told: a closed list of ids and body keys, by kind.

INVARIANT: what is not on the list is not told. Leaves hold no arguments, results or prompts to
begin with; left out beside that are commitments, digests of rows, amounts (they follow from
arguments), free text of humans, and names that an agent or a workload may have made up.
"""

from __future__ import annotations

from typing import Any, cast

from bridle.emit.record import Record
from bridle.model.reason import ReasonCode
from bridle.model.record import LeafKind

UNTOLD = "?"
"""Stands where a name was made up by the caller."""

_LONGEST = 256
_MOST_ITEMS = 64
# Numbers beyond are not the same to every reader of JSON; no record holds one.
_MOST = 2**53 - 1

_IDS = (
    *("user", "agent", "executor", "by", "method", "identities", "session", "level"),
    *("action", "attempt", "approval", "exception", "exceptions", "bundle", "epoch"),
    *("line", "grants", "key", "proof", "proved", "requester", "serves", "lease", "jailed"),
    *("plan", "author", "pipeline", "definition"),
)
_JUDGED = ("effect", "tool", "codes", "policies", "shadow", "durability")
_BODIES: dict[LeafKind, tuple[str, ...]] = {
    LeafKind.DECISION: (*_JUDGED, "gate", "endorsed", "deviates"),
    LeafKind.STARTED: ("tool", "attempt", "lease_ms"),
    LeafKind.OUTCOME: (
        *("tool", "kind", "error", "opaque", "late", "by_human", "why", "durability"),
    ),
    LeafKind.RELEASE: _JUDGED,
    LeafKind.APPROVAL: (
        *("what", "approve", "status", "subject", "edited", "why"),
        *("tool", "policies", "count", "used", "expires", "users"),
    ),
    LeafKind.DELEGATION: ("what", "grant", "to", "depth", "key", "expires", "codes"),
    LeafKind.REVOCATION: ("what", "kind", "subject", "mission", "epoch", "running"),
    LeafKind.CREDENTIAL: ("what", "system", "tool", "broker", "secret", "code", "codes", "expires"),
    LeafKind.IDENTITY: (
        *("what", "kind", "id", "key", "ends", "overlap_ms"),
        *("definition", "author", "registration", "codes"),
    ),
    LeafKind.MISSION: (
        *("what", "template", "agent", "executor", "session"),
        *("pipeline", "definition"),
    ),
    LeafKind.POLICY: ("what", "digest", "before", "name", "version"),
    LeafKind.KILL: ("what", "scope"),
    LeafKind.REDACTION: ("what", "below", "records", "record", "fields"),
    LeafKind.DEGRADED: ("what", "denied_unrecorded", "codes", "since", "until", "relaxed_ms"),
    LeafKind.PLAN: ("what", "allowed", "steps", "effects", "codes"),
    LeafKind.LOG: ("what", "version", "origin", "key", "keys", "state"),
}


def ids(record: Record) -> dict[str, str]:
    """Return who and what a record is about."""
    found = record.leaf.ids
    return {name: _text(found[name]) for name in _IDS if found.get(name)}


def body(record: Record) -> dict[str, Any]:
    """Return what a record says, as far as it is told. Keys that a leaf lacks are lacking."""
    leaf = record.leaf
    found = {
        name: told
        for name in _BODIES.get(leaf.kind, ())
        if (told := _value(name, leaf.body.get(name))) not in (None, "", [], {})
    }
    if ReasonCode.UNKNOWN_TOOL in texts(found.get("codes")):
        found["tool"] = UNTOLD
    return found


def texts(value: Any) -> list[str]:
    """Return the texts of a list, whatever else is in it."""
    if not isinstance(value, list | tuple):
        return []
    listed = cast("list[Any]", value)[:_MOST_ITEMS]
    return [_text(each) for each in listed if isinstance(each, str)]


def text(found: dict[str, Any], name: str) -> str:
    """Return a text of a record's body; empty where there is none."""
    value = found.get(name)
    return value if isinstance(value, str) else ""


def _value(name: str, value: Any) -> Any:
    """Return a value as it is told, or None for a shape that no record has there."""
    if name == "shadow":
        return texts([each.get("policy") for each in _tables(value)])
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool | int):
        return value if abs(value) <= _MOST else None
    if isinstance(value, dict):
        return _named(name, cast("dict[str, Any]", value))
    return texts(value)


def _tables(value: Any) -> list[dict[str, Any]]:
    listed: list[Any] = value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]
    return [each for each in listed if isinstance(each, dict)]


def _named(name: str, value: dict[str, Any]) -> Any:
    """Policies come with digests of their texts, codes of a gap with how often each was met."""
    if name == "codes":
        pairs = list(value.items())[:_MOST_ITEMS]
        return {
            _text(key): each for key, each in pairs if isinstance(each, int) and abs(each) <= _MOST
        }
    return [_text(key) for key in list(value)[:_MOST_ITEMS]]


def _text(value: str) -> str:
    return value[:_LONGEST].encode("utf-8", "backslashreplace").decode()
