"""What a store keeps sealed, of whom and since when, and what was erased. Writes nothing."""

from __future__ import annotations

import time

import msgspec
from msgspec import Struct, structs

from bridle.ledger import leaf
from bridle.ledger.errors import LedgerError
from bridle.model.mission import MissionStatus
from bridle.model.record import SYSTEM_CHAIN, Leaf, LeafKind
from bridle.store.base import Filed, StoredLeaf, Tx
from bridle.store.place import Place
from bridle.store.rows import GlobalRow, MissionRow
from bridle.store.sqlite.reading import snapshot

_DAY_MS = 86_400_000
_OVER = (MissionStatus.CLOSED, MissionStatus.EXPIRED)


class Erased(Struct, frozen=True):
    """One redaction on record: of the whole `mission` (`record` -1) or of one `record`."""

    time: int
    by: str
    basis: str
    what: str
    record: int = -1


class Retained(Struct, frozen=True, kw_only=True):
    """What is kept sealed of one mission. Times are milliseconds since the epoch, 0 for none.

    `records` have something sealed, `bytes` of it in all, written from `oldest` to `newest`.
    `ended` is 0 while it goes on.
    """

    mission: str
    user: str = ""
    template: str = ""
    status: str = ""
    ended: int = 0
    records: int = 0
    bytes: int = 0
    oldest: int = 0
    newest: int = 0
    erased: tuple[Erased, ...] = ()


class Retention(Struct, frozen=True):
    """The missions of a store, the oldest first, and what is sealed in records of no mission.

    `scrubbed` says that the store's files hold no older copy of what was erased.
    """

    missions: tuple[Retained, ...]
    system: Retained
    records: int
    bytes: int
    scrubbed: bool = True


class _Body(Struct, frozen=True):
    basis: str = ""
    record: int = -1
    fields: list[str] = []


def report(where: Place, older_than: int | None = None, *, now: int | None = None) -> Retention:
    """Read a store as it is at this moment. Raises `StoreError`.

    With `older_than` only missions that ended that many days before `now` (a time, in
    milliseconds; the clock's) and have something sealed still.
    """
    with snapshot(where.database) as tx:
        found = _sealed(tx)
        for filed in tx.every(MissionRow):
            _name(found, filed)
        state = tx.get(GlobalRow, "global") or GlobalRow()
    system = found.pop(SYSTEM_CHAIN, Retained(mission=SYSTEM_CHAIN))
    missions = list(found.values())
    if older_than is not None:
        until = (time.time_ns() // 1_000_000 if now is None else now) - older_than * _DAY_MS
        missions = [each for each in missions if each.records and 0 < each.ended <= until]
    return Retention(
        tuple(missions),
        system,
        sum(each.records for each in missions),
        sum(each.bytes for each in missions),
        not state.unscrubbed,
    )


def _sealed(tx: Tx) -> dict[str, Retained]:
    found: dict[str, Retained] = {}
    for stored in tx.leaves():
        before = found.get(stored.chain) or Retained(mission=stored.chain)
        found[stored.chain] = _counted(before, stored)
    return found


def _counted(before: Retained, stored: StoredLeaf) -> Retained:
    try:
        record = leaf.parse(stored.data)
    except LedgerError:
        # No leaf of ours: verifying the ledger names it.
        return before
    if record.kind is LeafKind.REDACTION:
        before = structs.replace(before, erased=(*before.erased, _erased(record)))
    if not stored.sealed:
        return before
    return structs.replace(
        before,
        records=before.records + 1,
        bytes=before.bytes + len(stored.sealed),
        oldest=before.oldest or record.time,
        newest=record.time,
    )


def _erased(record: Leaf) -> Erased:
    try:
        body = msgspec.convert(record.body, _Body)
    except msgspec.ValidationError:
        body = _Body()
    what = f"record {body.record}: {', '.join(body.fields)}" if body.record >= 0 else "mission"
    return Erased(record.time, record.ids.get("by", ""), body.basis, what, body.record)


def _name(found: dict[str, Retained], filed: Filed) -> None:
    row = filed.row
    if isinstance(row, MissionRow):
        found[row.id] = structs.replace(
            found.get(row.id) or Retained(mission=row.id),
            user=row.user,
            template=row.template,
            status=row.status,
            ended=(row.ended or row.expires) if row.status in _OVER else 0,
        )
