"""The chain over a partition's events: whoever changes, drops or adds one breaks it.

Each value is keyed and covers the one before, so it can be neither guessed nor continued without
the store's key. Rows are witnessed by the ledger besides; the chain is checked at every reading.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from bridle.engine.temporal.event import Event
from bridle.governor.ground.core import Core, tampered
from bridle.governor.ground.turn import Turn
from bridle.store.rows import EventRow, PartitionRow, SnapshotRow

_DIGITS = 32
_encode = msgspec.json.Encoder().encode


def key(partition: str, number: int) -> str:
    """Return the key of an event's row."""
    return f"{partition}#{number:012d}"


def link(core: Core, before: str, row: EventRow) -> str:
    """Return the value of the chain after an event."""
    return core.keyed(f"event|{before}|{_encode(row).decode()}")[:_DIGITS]


def mac(core: Core, row: SnapshotRow) -> str:
    """Return the keyed digest over all of a snapshot."""
    return core.keyed(
        f"snapshot|{row.partition}|{row.seq}|{row.head}|{row.program}|{row.state.hex()}"
    )


def assert_written(core: Core, row: SnapshotRow) -> None:
    """Refuse a snapshot that no governor wrote. Raises `StoreError` (`store_tampered`)."""
    if row.mac != mac(core, row):
        raise tampered(f"the snapshot of partition {row.partition} is not one that was written")


def kept(turn: Turn, row: PartitionRow, after: int = 0, head: str = "") -> Iterator[Event]:
    """Yield the kept events of a partition, oldest first; those that follow `after` at `head`.

    Raises `StoreError` (`store_tampered`) at the first that is missing, and at the end if the chain
    does not lead to where the row says, or on.
    """
    first, value = (after + 1, head) if after else (row.first, row.base)
    for number in range(first, row.seq + 1):
        found = event(turn, row.id, number)
        value = link(turn.core, value, found)
        yield event_of(found)
    # INVARIANT: I2, I9 — nobody is judged by a history that no governor wrote.
    later = turn.tx.get(EventRow, key(row.id, row.seq + 1))
    if value != row.head or later is not None:
        raise tampered(f"the events of partition {row.id} are not those that were written")


def event(turn: Turn, partition: str, number: int) -> EventRow:
    """Return a kept event. Raises `StoreError` (`store_tampered`) if it is missing."""
    found = turn.tx.get(EventRow, key(partition, number))
    if found is None:
        raise tampered(f"event {number} of partition {partition} is missing")
    return found


def event_of(row: EventRow) -> Event:
    """Return what a row says happened."""
    return Event(row.time, (row.namespace, row.tool), row.kind, row.fields, row.mission)
