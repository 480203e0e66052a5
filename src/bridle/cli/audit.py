"""Verifies the ledger of a store offline, whether a governor serves it or not. Writes nothing."""

from __future__ import annotations

from pathlib import Path

from bridle.ledger.seal import Sealer
from bridle.ledger.verify import Report, verify_log
from bridle.model.errors import StoreError
from bridle.store import keys
from bridle.store.place import Place, place_at, place_of
from bridle.store.sqlite.reading import snapshot


def place(bundle: Path | None, store: Path | None) -> Place:
    """Return where the store of a bundle lies, or the one in the folder `store`."""
    if store is not None:
        _require(store / "store.db")
        return place_at(store)
    assert bundle is not None
    found = place_of(bundle)
    _require(found.database)
    return found


def verify(where: Place) -> Report:
    """Verify a log against the store's own frontier, and what is sealed where the key is there."""
    key = where.payload_key
    sealer = Sealer(keys.load_or_create(key)) if key.is_file() else None
    with snapshot(where.database) as tx:
        return verify_log(tx.leaves(), tx.frontier(), sealer=sealer)


def _require(database: Path) -> None:
    if not database.is_file():
        raise StoreError(
            f"there is no store at {database}",
            code="no_store",
            hint="it is made when the bundle is first served or opened",
        )
