"""Which store is meant: that of a bundle, or the one in a folder, be it a copy."""

from __future__ import annotations

import os
from pathlib import Path

from bridle.model.errors import StoreError
from bridle.store.place import Place, installed_runtime, installed_state, place_at, place_of

_HINT = "Name the folder that `bridle serve` prints, or the bundle."


def place(bundle: Path | None, store: Path | None) -> Place:
    """Return where the store of a bundle lies, or the one in the folder `store`.

    A folder is read as it is: that others may read an auditor's copy is the auditor's business.
    Raises `StoreError` (`store_missing`, and those of `place_of`).
    """
    if store is not None:
        if not (store / "store.db").is_file():
            raise StoreError(f"there is no store in {store}", code="store_missing", hint=_HINT)
        folder = Path(os.path.realpath(store))
        return Place(folder.name, folder, folder)
    assert bundle is not None
    installed = installed_state(bundle)
    if installed.is_dir():
        return place_at(installed, runtime=installed_runtime(bundle))
    return place_of(bundle)
