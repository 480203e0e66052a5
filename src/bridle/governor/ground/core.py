"""What every part of the governor shares: store, clock, records, the bundle in force, who runs it."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable
from typing import TypeVar

from bridle.bundle.bundle import Bundle
from bridle.bundle.load import load_files
from bridle.engine.engine import Engine
from bridle.governor.ground.chance import Chance, new_id
from bridle.governor.ground.clock import Clock
from bridle.governor.ground.records import Recorder
from bridle.model.errors import StoreError
from bridle.model.record import SYSTEM_CHAIN, LeafKind
from bridle.store.base import Store, Tx
from bridle.store.rows import BundleRow, GlobalRow

T = TypeVar("T")

_ENGINES = 4


class Core:
    """Shared ground of one governor.

    `level` says how far the separation of agent and governor goes (`embedded`, `same-uid`,
    `separate`, `offline`) and stands on every record. `leases` is false only offline, where an
    action without an outcome counts as started for ever.
    """

    def __init__(
        self,
        *,
        store: Store,
        recorder: Recorder,
        clock: Clock,
        chance: Chance,
        secret: bytes,
        level: str,
        leases: bool = True,
    ) -> None:
        self.store = store
        self.recorder = recorder
        self.clock = clock
        self.chance = chance
        self.level = level
        self.leases = leases
        self.differs: Callable[[str], bool] = lambda _active: False
        self._secret = secret
        self._engines: dict[str, Engine] = {}
        self._latest = ""
        self._lock = threading.Lock()
        self._lost = 0

    def id(self, prefix: str) -> str:
        """Return a fresh id."""
        return new_id(self.chance, prefix)

    def keyed(self, text: str) -> str:
        """Return the HMAC (hex) of `text` under the store's key: safe to keep, useless to guess against."""
        return hmac.digest(self._secret, text.encode(), "sha256").hex()

    @staticmethod
    def handle_hash(handle: str) -> str:
        """Return the form in which a session handle is stored. Handles are random, so a bare hash is safe."""
        return hashlib.sha256(handle.encode("utf-8", "surrogatepass")).hexdigest()

    def globals(self, tx: Tx) -> GlobalRow:
        """Read the global row inside the transaction, never from a cache."""
        return tx.get(GlobalRow, "global") or GlobalRow()

    def engine(self, tx: Tx, digest: str) -> Engine:
        """Return the engine of an activated bundle, building it from the store's own copy if need be."""
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
        return self.adopt(load_files(row.files))

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
        """The bundle last seen in force. A hint for what to prepare, never the ground of a decision."""
        with self._lock:
            engine = self._engines.get(self._latest)
        return engine.bundle if engine is not None else None

    def write(self, job: Callable[[Tx], T], *, relaxed: bool = False) -> T:
        """Run a job in a write transaction. Decisions that an earlier failure lost are owned up to first."""
        with self._lock:
            lost, self._lost = self._lost, 0
        if not lost:
            return self.store.write(job, relaxed=relaxed)

        def with_gap(tx: Tx) -> T:
            self._own_up(tx, lost)
            return job(tx)

        try:
            return self.store.write(with_gap)
        except BaseException:
            with self._lock:
                self._lost += lost
            raise

    def count_lost(self) -> None:
        """Note that a denial left without a record, because the store did not answer."""
        with self._lock:
            self._lost += 1

    def _own_up(self, tx: Tx, lost: int) -> None:
        self.recorder.write(
            tx,
            LeafKind.DEGRADED,
            SYSTEM_CHAIN,
            self.clock.now(),
            ids={"level": self.level},
            body={"denied_unrecorded": lost},
        )
