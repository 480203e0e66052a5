"""What lies sealed beside the log: the keys of chains, what an action keeps, what leaves commit to.

Each chain has a payload key of its own, made with the first value that is sealed for it. Without
its row nothing of the chain can be opened again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec
from msgspec import Struct

from bridle.governor.ground.chance import Chance
from bridle.ledger import seal
from bridle.ledger.leaf import Opening
from bridle.store.base import Tx
from bridle.store.rows import PayloadKeyRow


class Kept(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What was asked for and what came of it, as texts.

    `args` may execute; `output` is the result as the effect returned it, `released` as the agent
    may see it where a release rewrote it. `judged` says that a rule has judged the output.
    `recalled` is what history said of an action that waits for its start: by partition, the truth
    of each condition. `provenance` is what was said of where the arguments came from, `plan` and
    `step` what it was said to be a step of.
    """

    requested: str = ""
    args: str = ""
    output: str = ""
    opaque: bool = False
    release: str = ""
    released: str = ""
    judged: bool = False
    reasons: list[dict[str, str]] = []
    recalled: dict[str, dict[str, bool]] = {}
    provenance: str = ""
    plan: str = ""
    step: str = ""


class Payload(Protocol):
    """A leaf with what lies sealed beside it."""

    @property
    def chain(self) -> str:
        """The chain it belongs to."""
        ...

    @property
    def seq(self) -> int:
        """Its place in the chain."""
        ...

    @property
    def sealed(self) -> bytes:
        """The sealed payload."""
        ...


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Kept).decode


class Vault:
    """Seals and opens within one transaction. A key that is read there is read once."""

    __slots__ = ("_chance", "_keyring", "_now", "_sealers", "_tx", "_wraps")

    def __init__(self, keyring: seal.Keyring, chance: Chance, tx: Tx, now: int) -> None:
        self._keyring = keyring
        self._chance = chance
        self._tx = tx
        self._now = now
        self._sealers: dict[str, seal.Sealer] = {}
        self._wraps: dict[str, bytes] = {}

    def sealer(self, chain: str) -> seal.Sealer:
        """Return what seals for a chain, with a key made now if it has none."""
        known = self._sealers.get(chain)
        if known is None:
            wrapped = self._wrapped(chain) or self._made(chain)
            known = self._sealers[chain] = self._keyring.sealer(chain, wrapped)
        return known

    def seal(self, chain: str, value: bytes, context: str) -> bytes:
        """Encrypt a value that a row of this chain keeps, bound to `context`: what it is, whose."""
        return self.sealer(chain).seal_bytes(value, context.encode(), self.nonce())

    def nonce(self) -> bytes:
        """Return a fresh nonce."""
        return self._chance.draw(seal.NONCE_BYTES)

    def unseal(self, chain: str, blob: bytes, context: str) -> bytes:
        """Decrypt what `seal` made for the same context. Raises `LedgerError`."""
        known = self._sealers.get(chain)
        if known is not None and known.made(blob):
            return known.open_bytes(blob, context.encode())
        return self._keyring.open_bytes(blob, context.encode(), chain, self._wrapped(chain))

    def forget(self, chain: str) -> bool:
        """Delete the key of a chain. Returns whether there was one."""
        self._sealers.pop(chain, None)
        self._keyring.forget()
        found = bool(self._wrapped(chain))
        if found:
            self._tx.delete(PayloadKeyRow, chain)
        # INVARIANT: nothing is sealed with a key that was erased, in the same transaction neither.
        self._wraps.pop(chain, None)
        return found

    def _wrapped(self, chain: str) -> bytes:
        known = self._wraps.get(chain)
        if known is not None:
            return known
        row = self._tx.get(PayloadKeyRow, chain)
        if row is None:
            return b""
        self._wraps[chain] = row.sealed
        return row.sealed

    def _made(self, chain: str) -> bytes:
        entropy = self._chance.draw(seal.KEY_BYTES + seal.NONCE_BYTES)
        wrapped = self._keyring.wrap(chain, entropy[: seal.KEY_BYTES], entropy[seal.KEY_BYTES :])
        self._tx.put(PayloadKeyRow(chain=chain, sealed=wrapped, created=self._now))
        return wrapped


def opener(keyring: seal.Keyring, tx: Tx) -> Callable[[Payload, bytes], dict[str, Opening]]:
    """Return what opens the payloads of a store: of a leaf, whose hash is given as well.

    Reads each chain's key once: for one pass over a log. It raises `LedgerError`.
    """
    keys: dict[str, bytes] = {}

    def opened(record: Payload, digest: bytes) -> dict[str, Opening]:
        wrapped = keys.get(record.chain)
        if wrapped is None:
            row = tx.get(PayloadKeyRow, record.chain)
            wrapped = keys[record.chain] = row.sealed if row is not None else b""
        return keyring.open(record.sealed, (record.chain, record.seq), digest, wrapped)

    return opened
