"""What a governor looks at before it decides anything: whether its store is what it left.

It reads the leaves once, and computes from them what the store keeps of the log. Anything that
cannot be so is refused, never mended: what is missing may be what somebody took away.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from bridle.governor.audit.reconcile import Said, live
from bridle.governor.ground.core import Core, tampered
from bridle.governor.ground.turn import Turn
from bridle.governor.publishing import files, keys
from bridle.governor.publishing.recount import Recount
from bridle.ledger import checkpoint, note
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.errors import LedgerError
from bridle.ledger.note import Key
from bridle.store.base import Tx
from bridle.store.failures import failure
from bridle.store.rows import ROWS

_log = logging.getLogger("bridle.governor")

_SHOWN = 20


class Left(Struct, frozen=True):
    """How the last governor left the store: whether it did not end in order, when it last wrote."""

    running: bool
    time: int


def assert_witnessed(core: Core, noted: Mapping[Path, bytes] | None = None) -> Left:
    """Refuse (`StoreError`) a store in which something else has written, or that was put back.

    `noted` are checkpoints as they lie in files. Looks at the whole log and at all that decisions
    stand on now; `bridle audit verify` at everything. Rows of a store that an earlier release wrote
    are put on record as they are, once. Raises `store_rolled_back` where the log is shorter than a
    checkpoint that its keys signed, and else `store_tampered`.
    """
    # INVARIANT: I9 — where agents share the governor's uid they can write the store, not unseen.
    said = core.write(lambda turn: _inspect(turn, noted or {}))
    if said.records and not said.witnessed:
        core.write(_witness)
    return Left(said.running, said.time)


def _inspect(turn: Turn, noted: Mapping[Path, bytes]) -> Said:
    signed = _signed(turn.tx, noted)
    recount = Recount(turn.tx, [each.size for each in signed.values()])
    flaws, said = live(turn.tx, turn.core.marker, recount.over(turn.tx.leaves()))
    recount.finish()
    _assert_holds(recount, signed)
    for flaw in flaws:
        _log.error("leaf %d: %s [%s]", flaw.index, flaw.message, flaw.code)
    # Without this, a log that somebody made anew would pass for one of release 0.1.
    if signed and not said.witnessed:
        raise tampered("this log is signed, and no record of it speaks for a row")
    if flaws:
        raise tampered(f"{len(flaws)} rows are not what the ledger says: {flaws[0].message}")
    return said


def _signed(tx: Tx, noted: Mapping[Path, bytes]) -> dict[str, Checkpoint]:
    """Every checkpoint that is known, by where it was found. Each is by a key of this log."""
    notes = tx.checkpoints()
    try:
        verifiers = {key.id: key for key in keys.verifiers(tx)}
        kept = [checkpoint.read(each, _named(each, verifiers)).checkpoint for each in notes]
    except LedgerError as problem:
        raise tampered(f"a checkpoint or key in the store is none: {problem.message}") from problem
    # INVARIANT: a log is signed in the very transaction that gives it its first key.
    if bool(notes) != bool(verifiers):
        raise tampered("there are keys without a checkpoint, or checkpoints without a key")
    found = {f"checkpoint {each.size} of the store": each for each in kept}
    all_of_them = verifiers.values()
    return found | {
        str(path): files.signed(path, data, all_of_them) for path, data in noted.items()
    }


def _named(data: bytes, verifiers: Mapping[bytes, Key]) -> list[Key]:
    """Return those of the keys whose IDs stand in a note: few, of however many there are."""
    lines = {line.id for line in note.parse(data).signatures}
    return [verifiers[each] for each in lines if each in verifiers]


def _assert_holds(recount: Recount, signed: Mapping[str, Checkpoint]) -> None:
    """Raise unless the log holds everything that was ever signed, as it was signed."""
    # INVARIANT: I7 — a log that lacks a record which somebody was shown is never gone on with.
    for where, each in signed.items():
        if each.size > recount.size:
            raise failure(
                "store_rolled_back",
                f"{where} says that the log had {each.size} records, and it has {recount.size}",
            )
    for what in recount.differences[:_SHOWN]:
        _log.error("%s", what)
    if recount.differences:
        raise tampered(f"the log is not what is kept of it: {recount.differences[0]}")
    for where, each in signed.items():
        if recount.roots[each.size] != each.root:
            raise tampered(f"the first {each.size} records are not those that {where} is about")


def _witness(turn: Turn) -> None:
    for kind in ROWS:
        for filed in turn.tx.every(kind):
            if filed.row is not None:
                turn.tx.tell(filed.row)
