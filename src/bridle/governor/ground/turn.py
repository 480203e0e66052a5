"""One turn of the governor: a write transaction, the one moment it happens at, what is in force.

Everything read through it is read inside the transaction, never from a cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import structs

from bridle.bundle.bundle import Bundle
from bridle.engine.engine import Engine
from bridle.engine.flow.source import Origin
from bridle.governor.audit.witness import Witness
from bridle.governor.ground import proven, vault
from bridle.governor.ground.records import Entry, Written
from bridle.model.calls import Caller
from bridle.model.identity import Status
from bridle.model.record import SYSTEM_CHAIN, LeafKind
from bridle.store.base import Tx
from bridle.store.rows import GlobalRow, IdentityRow

if TYPE_CHECKING:
    from bridle.governor.delegation.grants import Cleared
    from bridle.governor.ground.core import Core


class Turn:
    """What one job sees. It lives as long as its transaction and no longer."""

    __slots__ = (
        "_caller",
        "_held",
        "at_once",
        "cleared",
        "core",
        "durability",
        "now",
        "recalled",
        "traced",
        "tx",
        "vault",
    )

    def __init__(
        self,
        core: Core,
        tx: Tx,
        caller: Caller | None = None,
        *,
        relaxed: bool = False,
        at_once: bool = False,
    ) -> None:
        self.core = core
        # Whether history is read in here, however much it is, rather than before.
        self.at_once = at_once
        # How this turn will be committed: `strict` (fsynced before anyone hears of it), `relaxed`.
        self.durability = "relaxed" if relaxed else "strict"
        self.tx = Witness(tx, core.marker)
        self._caller = caller
        self._held = caller is None or not caller.key
        self.now = core.clock.now()
        self.vault = core.vault(self.tx, self.now)
        # What policies were told of history: the truths of conditions, by partition.
        self.recalled: dict[str, dict[str, bool]] = {}
        # Where policies were last told that arguments came from.
        self.traced: Mapping[str, Origin] = {}
        # Chains of grants that were found in order here: remembered once this is committed.
        self.cleared: dict[str, Cleared] = {}

    @property
    def caller(self) -> Caller | None:
        """Who asks. What a key proved counts only while the bundle in force says so."""
        if not self._held and self._caller is not None:
            self._caller, self._held = proven.standing(self, self._caller), True
        return self._caller

    @property
    def level(self) -> str:
        """How far this turn's caller is separated from the governor; stands on every record."""
        return self.core.level_of(self._caller)

    @property
    def globals(self) -> GlobalRow:
        """The global row."""
        return self.tx.get(GlobalRow, "global") or GlobalRow()

    @property
    def engine(self) -> Engine:
        """The engine of the bundle in force."""
        return self.core.engine(self.tx, self.globals.active)

    @property
    def bundle(self) -> Bundle:
        """The bundle in force."""
        return self.engine.bundle

    def status(self, kind: str, name: str) -> Status:
        """Return an identity's status in the registry. One that nobody touched is active."""
        row = self.tx.get(IdentityRow, f"{kind}:{name}")
        return Status(row.status) if row is not None else Status.ACTIVE

    def id(self, prefix: str) -> str:
        """Return a fresh id."""
        return self.core.id(prefix)

    def record(self, entry: Entry) -> Written:
        """Append a record to its chain. It names an action by its pseudonym (see `pseudonym`)."""
        ids, action = entry.ids, entry.ids.get("action")
        if action:
            ids = {**ids, "action": self.pseudonym(action)}
        # Before the rows are taken: this record speaks for the key that it has made.
        sealer = self.vault.sealer(entry.chain) if entry.secret else None
        entry = structs.replace(entry, ids=ids, rows=self.tx.taken())
        return self.core.recorder.write(self.tx, self.now, entry, sealer)

    def told_of(self, partition: str, truths: Mapping[str, bool]) -> None:
        """Remember what a partition of history said: the record of the decision keeps it."""
        self.recalled.setdefault(partition, {}).update(truths)

    def finish(self) -> None:
        """Record the rows that were written since the turn's last record (see `Witness`)."""
        while self.tx.pending:
            self.record(
                Entry(
                    kind=LeafKind.LOG,
                    chain=SYSTEM_CHAIN,
                    ids={"level": self.level},
                    body={"what": "rows"},
                )
            )

    def pseudonym(self, action: str) -> str:
        """Return the name of an action in the ledger (see `Marker`)."""
        return self.core.marker.action(action)

    def seal(self, mission: str, action: str, kept: vault.Kept) -> bytes:
        """Seal what an action keeps, bound to its id, under the key of its mission."""
        return self.vault.seal(mission, vault.encode(kept), action)

    def unseal(self, mission: str, action: str, sealed: bytes) -> vault.Kept:
        """Open what an action keeps; nothing where it keeps nothing, or it was erased."""
        if not sealed:
            return vault.Kept()
        return vault.decode(self.vault.unseal(mission, sealed, action))
