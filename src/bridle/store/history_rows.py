"""Rows of what policies look back on. Part of `bridle.store.rows`."""

from __future__ import annotations

from typing import ClassVar

from bridle.store.row import Row


class HistoryRow(Row, frozen=True, kw_only=True):
    """A scope of history (mission, user, agent, tenant) that policies in force look back on.

    From the time `since` each event is written as it happens. `complete` is from when on nothing is
    missing: 0 where nothing ever was. Events are kept for `keeps` milliseconds at least.
    """

    TABLE: ClassVar[str] = "histories"
    KEY: ClassVar[str] = "scope"
    scope: str
    since: int
    complete: int = 0
    keeps: int = 0


class PartitionRow(Row, frozen=True, kw_only=True):
    """The history of one key. `id` is `<scope>:<key>`, the key of a person or agent an HMAC.

    Events `first` to `seq` are kept. `clock` is the time of the last one and never goes back.
    `head` is the end of the hash chain over all events, `base` its value before the first one kept.
    `complete` as in `HistoryRow`.
    """

    TABLE: ClassVar[str] = "partitions"
    KEY: ClassVar[str] = "id"
    INDEXED: ClassVar[tuple[str, ...]] = ("scope",)
    FIXED: ClassVar[tuple[str, ...]] = ("scope",)
    id: str
    scope: str
    seq: int = 0
    first: int = 1
    clock: int = 0
    head: str = ""
    base: str = ""
    complete: int = 0


class EventRow(Row, frozen=True, kw_only=True):
    """One event of a partition. `id` is `<partition>#<number>`, the number in twelve digits.

    `fields` are atoms: integers as they are, anything else as a keyed digest. `mission` is whose
    share of the partition it takes up; `record` is the leaf that tells of it. `salt` as that of an
    action: once the row is gone, no digest in the ledger confirms a guess of what was in it.
    """

    TABLE: ClassVar[str] = "events"
    KEY: ClassVar[str] = "id"
    id: str
    time: int
    tool: str
    kind: str
    fields: dict[str, int | str]
    mission: str
    record: int
    namespace: str = "Action"
    salt: str = ""


class SnapshotRow(Row, frozen=True, kw_only=True):
    """State of a partition after its event `seq`, where the chain was at `head`.

    `program` is the digest of the conditions the state is of, `mac` keyed and over all of it.
    `salt` as that of an event.
    """

    TABLE: ClassVar[str] = "snapshots"
    KEY: ClassVar[str] = "partition"
    partition: str
    seq: int
    head: str
    program: str
    state: bytes
    mac: str
    salt: str = ""
