"""Verifies the ledger of a store offline, whether a governor serves it or not. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, structs

from bridle.ledger.seal import Sealer
from bridle.ledger.tree import Frontier, leaf_hash
from bridle.ledger.verify import Flaw, LeafRecord, Report, verify_log
from bridle.model.errors import StoreError
from bridle.store import keys
from bridle.store.place import Place, place_at, place_of
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
    return place_of(bundle)


def verify(where: Place, noted: Noted | None = None) -> Report:
    """Verify a log against the store's own frontier, and what is sealed where the key is there.

    With `noted`, also that it still begins with the log that had this size and root.
    """
    key = where.payload_key
    sealer = Sealer(keys.load_or_create(key)) if key.is_file() else None
    with snapshot(where.database) as tx:
        report = verify_log(tx.leaves(), tx.frontier(), sealer=sealer)
        if noted is None or _begins_with(tx.leaves(0, noted.size), noted):
            return report
    flaw = Flaw(-1, "root_mismatch", f"its first {noted.size} records are not those noted")
    return structs.replace(report, findings=(flaw, *report.findings), flaws=report.flaws + 1)


def _begins_with(leaves: Iterable[LeafRecord], noted: Noted) -> bool:
    frontier = Frontier()
    for record in leaves:
        frontier = frontier.append(leaf_hash(record.data))
    return frontier.size == noted.size and frontier.root().hex() == noted.root.lower()
