"""What a governor looks at before it decides anything: whether its store is what it left."""

from __future__ import annotations

import logging

from bridle.governor.audit.reconcile import live_differences, unwitnessed
from bridle.governor.ground.core import Core, tampered
from bridle.governor.ground.turn import Turn
from bridle.store.rows import ROWS

_log = logging.getLogger("bridle.governor")


def assert_witnessed(core: Core) -> None:
    """Refuse (`StoreError`, `store_tampered`) a store in which something else has written.

    Looks at all that decisions stand on now; `bridle audit verify` at everything. Rows of a store
    that an earlier release wrote are put on record as they are, once.
    """
    # INVARIANT: I9 — where agents share the governor's uid they can write the store, not unseen.
    if core.write(lambda turn: unwitnessed(turn.tx)):
        core.write(_witness)
        return
    found = core.write(lambda turn: live_differences(turn.tx, core.marker))
    for flaw in found:
        _log.error("leaf %d: %s [%s]", flaw.index, flaw.message, flaw.code)
    if found:
        raise tampered(f"{len(found)} rows are not what the ledger says: {found[0].message}")


def _witness(turn: Turn) -> None:
    for kind in ROWS:
        for filed in turn.tx.every(kind):
            if filed.row is not None:
                turn.tx.tell(filed.row)
