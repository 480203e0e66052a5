"""Writes records: one leaf per fact, in its chain, with its values sealed beside it.

The caller passes what may be read by anyone (ids, body) and, apart, what may not (fields). The
leaf carries commitments to the fields; their values and salts lie encrypted in the store.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from bridle.governor.ground.chance import Chance
from bridle.ledger import leaf, seal
from bridle.model.record import LeafKind
from bridle.store.base import Tx

_SALT = 32
_NONCE = 12


class Written(Struct, frozen=True):
    """Where a record lies: leaf index and leaf hash (hex)."""

    index: int
    hash: str


class Recorder:
    """Appends leaves inside the caller's transaction. Holds the payload key's sealer."""

    def __init__(self, sealer: seal.Sealer, chance: Chance) -> None:
        self._sealer = sealer
        self._chance = chance

    def write(
        self,
        tx: Tx,
        kind: LeafKind,
        chain: str,
        time: int,
        *,
        ids: dict[str, str],
        body: dict[str, Any],
        fields: dict[str, str] | None = None,
    ) -> Written:
        """Append one leaf to `chain`. `fields` are committed to and sealed; empty ones are left out."""
        secret = {k: v.encode() for k, v in (fields or {}).items() if v}
        entropy = self._chance.draw(_SALT * len(secret) + _NONCE)
        head = tx.head(chain)
        data, digest, openings = leaf.build(
            kind=kind,
            chain=chain,
            seq=head.seq + 1,
            prev=head.hash,
            time=time,
            ids=ids,
            body=body,
            fields=secret,
            salts=entropy[_NONCE:],
        )
        sealed = self._sealer.seal(openings, digest, entropy[:_NONCE]) if openings else b""
        index = tx.append(chain, head.seq + 1, data, digest, sealed)
        return Written(index, digest.hex())

    def seal(self, value: bytes, context: str) -> bytes:
        """Encrypt a value that rows keep (arguments, outputs), bound to `context`."""
        return self._sealer.seal_bytes(value, context.encode(), self._chance.draw(_NONCE))

    def unseal(self, blob: bytes, context: str) -> bytes:
        """Decrypt what `seal` made for the same context."""
        return self._sealer.open_bytes(blob, context.encode())
