"""What every part of the governor shares: store, clock, records, bundle in force, level."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from bridle.brokers.registry import Brokers
from bridle.bundle.bundle import Bundle
from bridle.bundle.load import load_files
from bridle.engine.engine import Engine
from bridle.engine.temporal.atoms import Atomiser
from bridle.governor.audit.witness import Marker
from bridle.governor.delegation.grants import Chains, Cleared
from bridle.governor.delegation.roots import GrantKeys
from bridle.governor.ground.chance import Chance, new_id
from bridle.governor.ground.clock import Clock
from bridle.governor.ground.records import Entry, Recorder
from bridle.governor.ground.turn import Turn
from bridle.governor.ground.vault import Vault
from bridle.governor.history.shelf import NotAtHandError, Shelf
from bridle.governor.identity.proofs import Proofs
from bridle.governor.planning.register import Plans
from bridle.governor.provenance.imprinting import Imprints
from bridle.governor.provenance.shelf import Indexes
from bridle.ledger.mac import Mac
from bridle.ledger.seal import Keyring
from bridle.model.calls import Caller
from bridle.model.errors import StoreError
from bridle.model.record import SYSTEM_CHAIN, LeafKind
from bridle.store.base import Store, Tx
from bridle.store.failures import failure
from bridle.store.rows import BundleRow

T = TypeVar("T")

_ENGINES = 4

# Partitions of history that are read in before a turn: each may drive out another.
_READ_IN = 8


class Keys(Struct, frozen=True):
    """`payload` seals what records and rows keep, `digest` keys what is compared. 32 bytes each."""

    payload: bytes
    digest: bytes


class Setting(Struct, frozen=True):
    """How this governor runs.

    `level` says how far the separation of agent and governor goes (`embedded`, `same-uid`,
    `separate`, `offline`): that of records nobody asked for; see `Core.level_of` for all others.
    `leases` is false only offline, where an action without an outcome counts as started for ever.
    `operators` are the uids that the operator's socket is for, beside the governor's own. `store`
    is the store's id, by which grants name this governor, and `grant_keys` the folder of the keys
    that sign them (None: they live in memory). `brokers` make credentials (None: nobody does, as
    where governor and agent are one process: nothing could be kept from it there).
    """

    level: str
    leases: bool = True
    operators: tuple[int, ...] = ()
    store: str = "memory"
    grant_keys: Path | None = None
    brokers: Brokers | None = None


class Lost(Struct, frozen=True):
    """Denials that nobody could record: how many, from when to when, and why (code → how many)."""

    count: int = 0
    since: int = 0
    until: int = 0
    codes: dict[str, int] = {}

    def and_then(self, later: Lost) -> Lost:
        """Return these and those that came later as one."""
        if not self.count or not later.count:
            return later if later.count else self
        codes = {code: self.codes.get(code, 0) for code in (*self.codes, *later.codes)}
        return Lost(
            self.count + later.count,
            min(self.since, later.since),
            max(self.until, later.until),
            {code: count + later.codes.get(code, 0) for code, count in codes.items()},
        )


class Core:
    """Shared ground of one governor. Safe for use by many threads."""

    def __init__(
        self, store: Store, keys: Keys, setting: Setting, *, clock: Clock, chance: Chance
    ) -> None:
        self.store = store
        self.brokers = setting.brokers
        self.keyring = Keyring(keys.payload)
        self.recorder = Recorder(chance)
        self.clock = clock
        self.level = setting.level
        self.leases = setting.leases
        # Whoever acts under one of these could be the governor, or the operator, as far as we know.
        self.own_uids = frozenset({-1, 0, os.geteuid(), *setting.operators})
        self.differs: Callable[[str], bool] = lambda _active: False
        self.store_id = setting.store
        # The audience of proofs: each start of a governor is another, so none survives a restart.
        self.instance = os.urandom(32).hex()
        self.grant_keys = GrantKeys(setting.grant_keys)
        self.chains = Chains()
        self.plans = Plans()
        self.proofs = Proofs()
        self._chance = chance
        self._mac = Mac(keys.digest)
        self.marker = Marker(keys.digest)
        # What stands for a value in history, and the partitions of it that were used last.
        self.atoms = Atomiser(self._atom)
        self.shelf = Shelf()
        self.reading = threading.Lock()
        # What says, by fingerprints alone, where a value came from.
        self.imprints = Imprints(bytes.fromhex(self.keyed("imprints")))
        self.indexes = Indexes()
        # When history was looked through last for what no window reaches.
        self.swept = 0
        self._engines: dict[str, Engine] = {}
        self._latest = ""
        self._lock = threading.Lock()
        self._lost = Lost()
        # Told of each turn that appended to the log, once it was committed.
        self.appended: Callable[[], None] = _nothing
        self._ended = False

    def vault(self, tx: Tx, now: int) -> Vault:
        """Return what seals and opens values within a transaction."""
        return Vault(self.keyring, self._chance, tx, now)

    def id(self, prefix: str) -> str:
        """Return a fresh id."""
        return new_id(self._chance, prefix)

    def handle(self) -> str:
        """Return a fresh session handle."""
        return f"ses_{self._chance.draw(32).hex()}"

    def keyed(self, text: str) -> str:
        """Return the HMAC (hex) of `text` under the store's key: safe to keep, useless to guess."""
        return self._mac.hex(text.encode("utf-8", "surrogatepass"))

    def _atom(self, text: str) -> str:
        # INVARIANT: I9 — an agent chooses this text, and whoever reads the store sees what comes
        # of it: it must never be the digest of a row, or of a link of a chain, that it has made up.
        return self.keyed(f"atom|{text}")

    @staticmethod
    def handle_hash(handle: str) -> str:
        """Return the form a handle is stored in. Handles are random, so a bare hash is safe."""
        return hashlib.sha256(handle.encode("utf-8", "surrogatepass")).hexdigest()

    def engine(self, tx: Tx, digest: str) -> Engine:
        """Return the engine of an activated bundle, from the store's own copy if need be."""
        with self._lock:
            self._latest = digest
            known = self._engines.get(digest)
        if known is not None:
            return known
        row = tx.get(BundleRow, digest)
        if row is None:
            raise StoreError(
                f"the active bundle {digest[:12]} is not in the store", code="store_corrupt"
            )
        bundle = load_files(row.files)
        if bundle.digest != digest:
            raise tampered("the files of the active bundle are not those of its digest")
        return self.adopt(bundle)

    def adopt(self, bundle: Bundle) -> Engine:
        """Build (or return) the engine of a bundle and remember it; the oldest is forgotten."""
        with self._lock:
            engine = self._engines.get(bundle.digest)
            if engine is None:
                engine = self._engines[bundle.digest] = Engine(bundle)
                while len(self._engines) > _ENGINES:
                    del self._engines[next(iter(self._engines))]
            return engine

    def latest(self) -> Bundle | None:
        """The bundle last seen in force. A hint for what to prepare, no ground to decide on."""
        engine = self.latest_engine()
        return engine.bundle if engine is not None else None

    def latest_engine(self) -> Engine | None:
        """The engine of that bundle."""
        with self._lock:
            return self._engines.get(self._latest)

    def level_of(self, caller: Caller | None) -> str:
        """Return how far a caller is separated from this governor: the kernel says by which uid.

        An operator is meant to be who they are; what counts for their acts is whether agents could
        have been it, and that the installation says.
        """
        if caller is None or caller.operator or self.level in ("embedded", "offline"):
            return self.level
        return "same-uid" if caller.uid in self.own_uids else "separate"

    def write(
        self, job: Callable[[Turn], T], *, relaxed: bool = False, caller: Caller | None = None
    ) -> T:
        """Run a job in a write transaction. What a failure lost before is owned up to first.

        A job that needs history that is not at hand is undone, and run again once it is.
        """
        for _ in range(_READ_IN):
            try:
                return self._write(job, relaxed=relaxed, caller=caller)
            except NotAtHandError as wanted:
                wanted.bring()
        return self._write(job, relaxed=relaxed, caller=caller, at_once=True)

    def _write(
        self,
        job: Callable[[Turn], T],
        *,
        relaxed: bool,
        caller: Caller | None,
        at_once: bool = False,
    ) -> T:
        with self._lock:
            lost, self._lost = self._lost, Lost()
        grown = False
        cleared: dict[str, Cleared] = {}

        def turn(tx: Tx) -> T:
            nonlocal grown, cleared
            if self._ended:
                raise failure("store_closed", "this governor has ended")
            turn = Turn(self, tx, caller, relaxed=relaxed and not lost.count, at_once=at_once)
            if lost.count:
                _own_up(turn, lost)
            result = job(turn)
            turn.finish()
            grown, cleared = turn.tx.appended, turn.cleared
            return result

        try:
            result = self.store.write(turn, relaxed=relaxed and not lost.count)
        except BaseException:
            if lost.count:
                with self._lock:
                    self._lost = lost.and_then(self._lost)
            raise
        if cleared:
            self.chains.settle(cleared)
        if grown:
            self.appended()
        return result

    def end(self, job: Callable[[Turn], T]) -> T:
        """Run the last job of all: whatever else asks to write after it is refused."""

        def last(turn: Turn) -> T:
            result = job(turn)
            # INVARIANT: nothing follows the record that says that this governor ended in order.
            self._ended = True
            return result

        return self.write(last)

    def count_lost(self, code: str) -> None:
        """Note that a denial left without a record, and the code of what kept it from having one.

        It is owned up to with the next write that succeeds.
        """
        now = self.clock.now()
        with self._lock:
            self._lost = self._lost.and_then(Lost(1, now, now, {code: 1}))


def tampered(message: str) -> StoreError:
    """The store holds what no governor wrote."""
    return StoreError(
        message,
        code="store_tampered",
        hint="`bridle audit verify` names each difference; restore a backup, or start a new store",
    )


def _nothing() -> None:
    """Nobody signs the log of this governor."""


def _own_up(turn: Turn, lost: Lost) -> None:
    turn.record(
        Entry(
            kind=LeafKind.DEGRADED,
            chain=SYSTEM_CHAIN,
            ids={"level": turn.level},
            body={
                "denied_unrecorded": lost.count,
                "since": lost.since,
                "until": lost.until,
                "codes": lost.codes,
            },
        )
    )
