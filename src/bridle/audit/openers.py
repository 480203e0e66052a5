"""Opens the sealed payloads of a store, where its keys are there. Reads keys, and makes none."""

from __future__ import annotations

from bridle.governor.ground import vault
from bridle.ledger.seal import Keyring
from bridle.ledger.verify import Opener
from bridle.model.errors import StoreError
from bridle.store import keys
from bridle.store.base import Tx
from bridle.store.place import Place


def opener(tx: Tx, where: Place) -> Opener | None:
    """Return what opens payloads; None without the key, or with one that cannot be used."""
    key = secret(where, "payload.key")
    return None if key is None else vault.opener(Keyring(key), tx)


def secret(where: Place, name: str) -> bytes | None:
    """Return a key of the store; None where there is none, or none that is private."""
    path = where.keys / name
    try:
        return keys.load_or_create(path) if path.is_file() else None
    except (StoreError, OSError):  # one who may read the store, and not its keys
        return None
