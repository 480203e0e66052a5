"""Verifies the ledger of a store offline, whether a governor serves it or not. Writes nothing."""

from __future__ import annotations

from pathlib import Path

from bridle.ledger.seal import Sealer
from bridle.ledger.verify import Report, verify_log
from bridle.model.errors import StoreError
from bridle.store import keys
from bridle.store.place import Place, place_at, place_of
from bridle.store.sqlite.reading import snapshot

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


def verify(where: Place) -> Report:
    """Verify a log against the store's own frontier, and what is sealed where the key is there."""
    key = where.payload_key
    sealer = Sealer(keys.load_or_create(key)) if key.is_file() else None
    with snapshot(where.database) as tx:
        return verify_log(tx.leaves(), tx.frontier(), sealer=sealer)
