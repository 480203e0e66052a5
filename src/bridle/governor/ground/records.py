"""Writes records: one leaf per fact, in its chain, with its values sealed beside it.

The caller passes what may be read by anyone (ids, body) and, apart, what may not (fields). The
leaf carries commitments to the fields; their values and salts lie encrypted in the store.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, structs

from bridle.governor.ground.chance import Chance
from bridle.governor.ground.clear import plain
from bridle.ledger import leaf, seal
from bridle.ledger.errors import LedgerError
from bridle.model.record import LeafKind
from bridle.store.base import Tx

# What strings and lists shrink to in a record that would not fit into a leaf.
_SHORT, _FEW = 64, 16


class Entry(Struct, frozen=True, kw_only=True):
    """What is to be recorded.

    `fields` are committed to and sealed. `rows` are names and digests of the rows that this record
    speaks for (see `Witness`). `amounts` join the body and are never cut: whoever adds
    them up has to come to the same sum as the store. Empty ones of either are left out.
    """

    kind: LeafKind
    chain: str
    ids: dict[str, str]
    body: dict[str, Any]
    fields: dict[str, str] = {}
    rows: dict[str, str] = {}
    amounts: dict[str, dict[str, int]] = {}

    @property
    def secret(self) -> bool:
        """Whether there is anything to seal."""
        return any(self.fields.values())


class Written(Struct, frozen=True):
    """Where a record lies: leaf index and leaf hash (hex)."""

    index: int
    hash: str


class Recorder:
    """Appends leaves inside the caller's transaction."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance

    def write(self, tx: Tx, time: int, entry: Entry, sealer: seal.Sealer | None) -> Written:
        """Append one leaf to its chain; `sealer` is the chain's, None where there are no fields.

        A record can always be written: strings are cut, and lists where they do not fit (`cut`).
        """
        head = tx.head(entry.chain)
        at = entry.chain, head.seq + 1
        sealed, commit = self._sealed(entry, at, sealer)
        whole: dict[str, Any] = {name: sums for name, sums in entry.amounts.items() if sums}
        if entry.rows:
            whole["rows"] = entry.rows
        if sealed:
            # INVARIANT: a payload that was changed or dropped is seen without any key.
            whole["sealed"] = leaf.sealed_digest(sealed)

        def write(ids: dict[str, str], body: dict[str, Any]) -> tuple[bytes, bytes]:
            return leaf.write(entry.kind, *at, head.hash, time, ids, {**body, **whole}, commit)

        try:
            data, digest = write(plain(entry.ids), plain(entry.body))
        except LedgerError as problem:
            if problem.code != "leaf_too_large":
                raise
            cut = structs.replace(entry, body={**entry.body, "cut": True})
            data, digest = write(
                plain(cut.ids, longest=_SHORT), plain(cut.body, longest=_SHORT, items=_FEW)
            )
        return Written(tx.append(*at, data, digest, sealed), digest.hex())

    def _sealed(
        self, entry: Entry, at: tuple[str, int], sealer: seal.Sealer | None
    ) -> tuple[bytes, dict[str, str]]:
        """Seal the fields of an entry; return them with the commitments to them."""
        if sealer is None:
            return b"", {}
        secret = {
            name: value.encode("utf-8", "backslashreplace")
            for name, value in entry.fields.items()
            if value
        }
        entropy = self._chance.draw(leaf.SALT_BYTES * len(secret) + seal.NONCE_BYTES)
        nonce, salts = entropy[: seal.NONCE_BYTES], entropy[seal.NONCE_BYTES :]
        openings = leaf.openings_of(secret, salts)
        return sealer.seal(openings, seal.place(*at), nonce), leaf.commitments_to(openings)
