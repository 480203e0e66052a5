"""What the log says of itself: that a governor opened or closed it, and which keys sign."""

from __future__ import annotations

from typing import Any

from bridle.governor.ground.records import Entry, Written
from bridle.governor.ground.turn import Turn
from bridle.governor.publishing import keys
from bridle.model.record import SYSTEM_CHAIN, LeafKind
from bridle.store.rows import LogKeyRow

ADDED, RETIRED = "added", "retired"


def opened(turn: Turn, version: str) -> None:
    """Record that a governor of this version stands ready, and with which keys it signs."""
    signing = [row.key for row in keys.signing(turn.tx)]
    body = {"version": version, "origin": keys.origin(turn.tx), "keys": signing}
    _log(turn, "opened", body)


def closed(turn: Turn) -> None:
    """Record that it ended in order."""
    _log(turn, "closed", {})


def interrupted(turn: Turn, since: int, relaxed_ms: int) -> None:
    """Record that the store was not closed in order: since when nothing was heard of it.

    `relaxed_ms` is how much of what was answered at the end may be lost, if the machine went down.
    """
    body = {"since": since, "until": turn.now, "relaxed_ms": relaxed_ms}
    _record(turn, LeafKind.DEGRADED, {"what": "interrupted", **body}, {})


def key(turn: Turn, row: LogKeyRow, by: dict[str, str]) -> None:
    """Put a key's row, and record that it signs from here on, or no more."""
    turn.tx.put(row)
    _log(turn, "key", {"key": row.key, "state": RETIRED if row.retired else ADDED}, by)


def _log(turn: Turn, what: str, body: dict[str, Any], ids: dict[str, str] | None = None) -> Written:
    return _record(turn, LeafKind.LOG, {"what": what, **body}, ids or {})


def _record(turn: Turn, kind: LeafKind, body: dict[str, Any], ids: dict[str, str]) -> Written:
    ids = {**ids, "level": turn.level}
    return turn.record(Entry(kind=kind, chain=SYSTEM_CHAIN, ids=ids, body=body))
