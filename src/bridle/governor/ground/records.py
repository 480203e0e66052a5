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

_SALT = 32
_NONCE = 12
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


class Written(Struct, frozen=True):
    """Where a record lies: leaf index and leaf hash (hex)."""

    index: int
    hash: str


class Recorder:
    """Appends leaves inside the caller's transaction. Holds the payload key's sealer."""

    def __init__(self, sealer: seal.Sealer, chance: Chance) -> None:
        self._sealer = sealer
        self._chance = chance

    def write(self, tx: Tx, time: int, entry: Entry) -> Written:
        """Append one leaf to its chain.

        A record can always be written: strings are cut, and lists where they do not fit (`cut`).
        """
        secret = {
            name: value.encode("utf-8", "backslashreplace")
            for name, value in entry.fields.items()
            if value
        }
        entropy = self._chance.draw(_SALT * len(secret) + _NONCE)
        head = tx.head(entry.chain)
        whole: dict[str, Any] = {name: sums for name, sums in entry.amounts.items() if sums}
        if entry.rows:
            whole["rows"] = entry.rows

        def build(ids: dict[str, str], body: dict[str, Any]) -> Any:
            place = (entry.chain, head.seq + 1, head.hash, time)
            return leaf.build(entry.kind, *place, ids, {**body, **whole}, secret, entropy[_NONCE:])

        try:
            data, digest, openings = build(plain(entry.ids), plain(entry.body))
        except LedgerError as problem:
            if problem.code != "leaf_too_large":
                raise
            cut = structs.replace(entry, body={**entry.body, "cut": True})
            data, digest, openings = build(
                plain(cut.ids, longest=_SHORT), plain(cut.body, longest=_SHORT, items=_FEW)
            )
        sealed = self._sealer.seal(openings, digest, entropy[:_NONCE]) if openings else b""
        index = tx.append(entry.chain, head.seq + 1, data, digest, sealed)
        return Written(index, digest.hex())

    def seal(self, value: bytes, context: str) -> bytes:
        """Encrypt a value that rows keep (arguments, outputs), bound to `context`."""
        return self._sealer.seal_bytes(value, context.encode(), self._chance.draw(_NONCE))

    def unseal(self, blob: bytes, context: str) -> bytes:
        """Decrypt what `seal` made for the same context."""
        return self._sealer.open_bytes(blob, context.encode())
