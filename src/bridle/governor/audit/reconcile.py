"""Compares rows with what the ledger says of them: what no governor wrote is found.

The ledger is read once, in order; memory grows with the rows that are asked about. That the ledger
itself is whole is for `bridle.ledger.verify` to show. Whoever can rewrite both, consistently and
with the store's keys, is shown only by a root that was noted elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from bridle.bundle.load import digest_of
from bridle.governor.audit.witness import Marker
from bridle.ledger.verify import Flaw
from bridle.model.action import ActionState, AttemptState
from bridle.model.record import LeafKind
from bridle.model.verdict import Effect
from bridle.store.base import Filed, StoredLeaf, Tx
from bridle.store.rows import (
    ROWS,
    ActionRow,
    AttemptRow,
    BudgetRow,
    BundleRow,
    EventRow,
    ExceptionRow,
    GlobalRow,
    GrantRow,
    HistoryRow,
    HoldRow,
    IdentityKeyRow,
    IdentityRow,
    KillRow,
    LogKeyRow,
    MissionRow,
    PartitionRow,
    PayloadKeyRow,
    PlanRow,
    ReadRow,
    RegistrationRow,
    RevokedRow,
    Row,
    RunRow,
    SessionRow,
    SnapshotRow,
    SourceRow,
)

# What decisions stand on, and grows with missions rather than with actions.
_WHOLE: tuple[type[Row], ...] = (
    GlobalRow,
    KillRow,
    IdentityRow,
    IdentityKeyRow,
    RevokedRow,
    MissionRow,
    SessionRow,
    GrantRow,
    HoldRow,
    ExceptionRow,
    PlanRow,
    RegistrationRow,
    RunRow,
    BudgetRow,
    LogKeyRow,
    PayloadKeyRow,
    HistoryRow,
    PartitionRow,
    EventRow,
    SnapshotRow,
    ReadRow,
    SourceRow,
)
# Rows that come and go without end: those that went, on record, are not remembered.
_PASSING = (f"{EventRow.TABLE}/", f"{SourceRow.TABLE}/")
# Of actions and attempts, those that are not over.
_OPEN: tuple[tuple[type[ActionRow | AttemptRow], tuple[str, ...]], ...] = (
    (ActionRow, (ActionState.DECIDED, ActionState.HELD, ActionState.STARTED)),
    (AttemptRow, (AttemptState.STARTED, AttemptState.UNKNOWN)),
)
_EVERY = 100_000_000
# Whether a governor has the log open once it says this.
_RUNNING = {"opened": True, "closed": False}


# Verdicts that leave their action waiting: for its start, or for humans.
_WAITING = (Effect.ALLOW, Effect.MODIFY, Effect.HOLD)


class _Ids(Struct, frozen=True):
    action: str = ""
    attempt: str = ""


class _Body(Struct, frozen=True):
    rows: dict[str, str] = {}
    effect: str = ""
    kind: str = ""
    what: str = ""


class _Leaf(Struct, frozen=True):
    kind: str = ""
    time: int = 0
    ids: _Ids = _Ids()
    body: _Body = _Body()

    def opens(self) -> frozenset[str]:
        """Which rows, of those this record speaks for, it leaves open whatever their digest."""
        action, attempt = (
            f"{ActionRow.TABLE}/{self.ids.action}",
            f"{AttemptRow.TABLE}/{self.ids.attempt}",
        )
        if self.kind == LeafKind.STARTED:
            return frozenset({action, attempt})
        if self.kind == LeafKind.OUTCOME and self.body.kind == AttemptState.UNKNOWN:
            return frozenset({attempt})
        waits = self.kind == LeafKind.DECISION and self.body.effect in _WAITING
        return frozenset({action}) if waits else frozenset()


class Last(Struct, frozen=True):
    """What the ledger says of a row last: its digest (empty: deleted), and in which leaf."""

    digest: str
    leaf: int


class Said:
    """What a log says of rows and of itself, gathered on one way through it.

    `last` is what it says of rows, `witnessed` whether it says anything of any. `running` is true
    where its last governor did not end in order, `time` that of its last leaf.
    """

    def __init__(self) -> None:
        self.last: dict[str, Last] = {}
        self.witnessed = False
        self.running = False
        self.records = 0
        self.time = 0


_decode = msgspec.json.Decoder(_Leaf).decode


def every_difference(tx: Tx, marker: Marker) -> list[Flaw]:
    """Compare all rows of the store with its ledger. A store from before this has nothing said."""
    last = _said(tx.leaves(), None).last
    if not last:
        return []
    found = [flaw for kind in ROWS for flaw in _of_kind(tx, marker, kind, last)]
    found += [_missing(name, said) for name, said in last.items() if said.digest]
    return sorted(found, key=lambda flaw: (flaw.index, flaw.message))


def live(tx: Tx, marker: Marker, leaves: Iterable[StoredLeaf]) -> tuple[list[Flaw], Said]:
    """Compare what decisions stand on now: all but what is over of actions, attempts, bundles.

    `leaves` are all of the log, for whoever reads them anyway. Also returns what else they say. A
    log that says nothing of rows is from before there were such records: nothing differs.
    """
    rows = list(_live(tx))
    asked = {marker.name(kind, filed.key) for kind, filed in rows}
    said = _said(leaves, asked)
    if said.records and not said.witnessed:
        return [], said
    last = said.last
    found = [flaw for kind, filed in rows for flaw in _compared(kind, filed, marker, last)]
    # INVARIANT: I9 — nor is what is open looked for only where a row says that it is.
    return found + [_missing(name, said) for name, said in last.items() if said.digest], said


def _said(leaves: Iterable[StoredLeaf], asked: set[str] | None) -> Said:
    """Read what the leaves say, in order.

    Of all rows; or of those asked for, all of some kinds, and what the ledger leaves open.
    """
    always = tuple(f"{kind.TABLE}/" for kind in _WHOLE)
    said, records, log = Said(), 0, LeafKind.LOG.value
    for stored in leaves:
        records += 1
        try:
            leaf = _decode(stored.data)
        except (msgspec.MsgspecError, ValueError):
            # No leaf of ours: verifying the ledger names it.
            continue
        said.time, body = leaf.time, leaf.body
        if leaf.kind == log and body.what in _RUNNING:
            said.running = _RUNNING[body.what]
        if body.rows:
            said.witnessed = True
            _add(said.last, leaf, stored.index, asked, always)
    said.records = records
    return said


def _add(
    last: dict[str, Last],
    leaf: _Leaf,
    index: int,
    asked: set[str] | None,
    always: tuple[str, ...],
) -> None:
    opened = leaf.opens() if asked is not None else ()
    for name, digest in leaf.body.rows.items():
        gone = not digest and name.startswith(_PASSING)
        if not gone and (
            asked is None or name in asked or name in opened or name.startswith(always)
        ):
            last[name] = Last(digest, index)
        else:
            last.pop(name, None)


def _live(tx: Tx) -> Iterator[tuple[type[Row], Filed]]:
    for whole in _WHOLE:
        for filed in tx.every(whole):
            yield whole, filed
    for kind, states in _OPEN:
        for state in states:
            for row in tx.find(kind, limit=_EVERY, state=state):
                yield kind, Filed(row.id, row, true=row.state == state and _is_filed(tx, row))
    active = (tx.get(GlobalRow, "global") or GlobalRow()).active
    bundle = tx.get(BundleRow, active) if active else None
    if bundle is not None:
        yield BundleRow, Filed(active, bundle, true=bundle.digest == active)


def _is_filed(tx: Tx, row: ActionRow | AttemptRow) -> bool:
    """Whether a search by everything that a row says finds it."""
    columns = {name: getattr(row, name) for name in row.INDEXED}
    return any(found.id == row.id for found in tx.find(type(row), **columns))


def _of_kind(tx: Tx, marker: Marker, kind: type[Row], last: dict[str, Last]) -> Iterable[Flaw]:
    for filed in tx.every(kind):
        yield from _compared(kind, filed, marker, last)


def _compared(
    kind: type[Row], filed: Filed, marker: Marker, last: dict[str, Last]
) -> Iterator[Flaw]:
    """Compare one row, and take what was said of it off the list."""
    what = f"{kind.TABLE} row {filed.key!r}"
    said = last.pop(marker.name(kind, filed.key), None)
    at = said.leaf if said is not None else -1
    if said is None:
        yield Flaw(at, "row_invented", f"no record speaks for {what}")
    elif not said.digest:
        yield Flaw(at, "row_invented", f"{what} was deleted on record, and is there")
    elif filed.row is None:
        yield Flaw(at, "row_changed", f"{what} cannot be read")
    elif marker.digest(filed.row) != said.digest:
        yield Flaw(at, "row_changed", f"{what} is not what this record says")
    if filed.row is not None and not filed.true:
        yield Flaw(at, "row_misfiled", f"{what} is filed under something else than it says")
    if isinstance(filed.row, BundleRow) and digest_of(filed.row.files) != filed.key:
        yield Flaw(at, "bundle_altered", f"the files of {what} are not those of its digest")


def _missing(name: str, said: Last) -> Flaw:
    table, _, key = name.partition("/")
    return Flaw(
        said.leaf, "row_missing", f"{table} row {key!r} is gone or over, and no record says so"
    )
