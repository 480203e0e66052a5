"""Verifies ledger and rows of a store offline, whether a governor serves it. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, structs

from bridle.governor.audit.reconcile import every_difference
from bridle.governor.audit.witness import Marker
from bridle.governor.ground.vault import opener
from bridle.ledger.seal import Keyring
from bridle.ledger.tree import Frontier, leaf_hash
from bridle.ledger.verify import MOST_FINDINGS, Flaw, LeafRecord, Report, verify_log
from bridle.model.errors import StoreError
from bridle.store import keys
from bridle.store.base import Tx
from bridle.store.place import Place, installed_runtime, installed_state, place_at, place_of
from bridle.store.rows import ROWS
from bridle.store.sqlite.reading import snapshot


class Noted(Struct, frozen=True):
    """Size and root (hex) of the log as somebody outside the store once noted them."""

    size: int
    root: str


_HINT = "Name the folder that `bridle serve` prints, or the bundle."


def place(bundle: Path | None, store: Path | None) -> Place:
    """Return where the store of a bundle lies, or the one in the folder `store`."""
    if store is not None:
        # A place is made where there is none, and looking must not make one.
        if not (store / "store.db").is_file():
            raise StoreError(f"there is no store in {store}", code="store_missing", hint=_HINT)
        return place_at(store)
    assert bundle is not None
    installed = installed_state(bundle)
    if installed.is_dir():
        return place_at(installed, runtime=installed_runtime(bundle))
    return place_of(bundle)


class Verified(Struct, frozen=True):
    """What was found, and how many rows were compared with the log (None: for want of the key)."""

    report: Report
    rows: int | None


def verify(where: Place, noted: Noted | None = None) -> Verified:
    """Verify a log against the store's own frontier, and what lies beside it.

    Where the keys are there, what is sealed is opened and every row is compared with what the log
    says of it. With `noted`, also that the log still begins with the one of this size and root.
    """
    key = where.payload_key
    keyring = Keyring(keys.load_or_create(key)) if key.is_file() else None
    with snapshot(where.database) as tx:
        opened = opener(keyring, tx) if keyring is not None else None
        report = verify_log(tx.leaves(), tx.frontier(), opener=opened)
        flaws, rows = _rows(tx, where)
        if noted is not None and not _begins_with(tx.leaves(0, noted.size), noted):
            wrong = f"its first {noted.size} records are not those noted"
            flaws = [Flaw(-1, "root_mismatch", wrong), *flaws]
    return Verified(_with(report, flaws), rows)


def _rows(tx: Tx, where: Place) -> tuple[list[Flaw], int | None]:
    key = where.payload_key.with_name("digest.key")
    if not key.is_file():
        return [], None
    flaws = every_difference(tx, Marker(keys.load_or_create(key)))
    return flaws, sum(tx.count(kind) for kind in ROWS)


def _with(report: Report, flaws: list[Flaw]) -> Report:
    found = (*flaws, *report.findings)[:MOST_FINDINGS]
    return structs.replace(report, findings=found, flaws=report.flaws + len(flaws))


def _begins_with(leaves: Iterable[LeafRecord], noted: Noted) -> bool:
    frontier = Frontier()
    for record in leaves:
        frontier = frontier.append(leaf_hash(record.data))
    return frontier.size == noted.size and frontier.root().hex() == noted.root.lower()
