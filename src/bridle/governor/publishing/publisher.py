"""Signs checkpoints of the log, and puts them where others find them.

A log never signs two checkpoints of which one is not the other's past. What keeps it so:

- What is signed is read, signed and kept in one strict write transaction. The note is let out of it
  only by a commit that waited for the disk, which covers all relaxed commits before it. A process
  that dies between signing and commit takes the note with it; a commit that fails, too.
- The log only grows: leaves are never changed or dropped, and each job that is undone takes its
  leaves with it before the transaction commits.
- Nothing is signed that does not extend the newest checkpoint that is kept, by the hashes that are
  kept; nor the newest that this process has let out.
- One governor per store: the lock is held from before the keys are read until after the last
  signature. Copies of a store that have its keys are kept apart by what they left elsewhere: at
  opening the log must hold every checkpoint that lies beside the store and in copies of it
  (`bridle.governor.audit.opening`), and before each signature every one that somebody else has put
  into a copy. So a store that was put back is refused, unless all that was put back with it: which
  is why a copy belongs where no backup of the store reaches.

The same text gives the same signature, so that nothing is lost where one is made twice. Disks that
say that they have written what they have not are outside all of this.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from bridle.governor.ground.core import Core
from bridle.governor.publishing import keys
from bridle.governor.publishing.files import Files
from bridle.governor.publishing.keys import LogKeys
from bridle.ledger import checkpoint, tiles
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.errors import LedgerError
from bridle.ledger.note import parse
from bridle.ledger.tree import EMPTY_ROOT
from bridle.model.errors import BridleError
from bridle.store.base import Tx
from bridle.store.failures import failure

_log = logging.getLogger("bridle.governor")

EVERY_S = 0.5
"""Checkpoints are signed so long after the first record that the newest does not cover."""


class Publisher:
    """Signs for one governor. Safe for use by many threads.

    Its thread starts with the first record after a checkpoint. What fails is logged once, and
    tried again; decisions never wait for it, and none is lost with it.
    """

    def __init__(self, core: Core, held: LogKeys, files: Files) -> None:
        self._core = core
        self._held = held
        self._files = files
        self._process = os.getpid()
        self._publishing = threading.Lock()
        self._changed = threading.Condition()
        self._since: float | None = None
        self._stopped = False
        self._failing = False
        self._thread: threading.Thread | None = None
        self._newest = Checkpoint("", 0, EMPTY_ROOT)

    @property
    def keys(self) -> LogKeys:
        """The private keys it signs with."""
        return self._held

    def sign(self, tx: Tx) -> bytes:
        """Return the newest checkpoint, signed now if none covers the log as it is.

        Only for a strict transaction, of which the note must not leave before its commit.
        """
        kept, frontier = tx.checkpoints(), tx.frontier()
        newest = _read(kept[-1]) if kept else Checkpoint("", 0, EMPTY_ROOT)
        if kept and newest.size == frontier.size:
            return kept[-1]
        root = frontier.root()
        # INVARIANT: nothing is signed that does not extend what was signed before.
        for before in {newest, self._newest}:
            _assert_extends(tx, before, frontier.size, root)
        found = keys.rows(tx)
        signers = self._held.signers([row for row in found if not row.retired])
        data = checkpoint.sign(Checkpoint(keys.origin(tx), frontier.size, root), signers)
        # Where other keys sign from here on, the last checkpoint of those before stays: by it,
        # whoever trusts them learns of these.
        same = bool(kept) and _ids(kept[-1]) == _ids(data)
        tx.put_checkpoint(frontier.size, data, instead=newest.size if same else None)
        return data

    def publish(self) -> bool:
        """Sign if there is something to sign, and put the newest everywhere.

        Returns whether it lies everywhere now; where it does not, that is tried again.
        """
        if os.getpid() != self._process:
            # Neither the store nor the locks of this are the child's.
            return False
        with self._publishing:
            # Whatever is appended from here on asks for the next one.
            self._since = None
            try:
                self._examine()
                note = self._core.store.write(self.sign)
                self._newest = _read(note)
                done = self._files.put(note)
                self._failed(None)
            except BridleError as problem:
                done = False
                self._failed(problem)
        if not done:
            self.appended()
        return done

    def examine(self) -> None:
        """Raise `StoreError` where a copy shows that another governor signs this log, too."""
        with self._publishing:
            self._examine()

    def _examine(self) -> None:
        strange = self._files.strange()
        held = self._core.store.write(partial(_held_of, strange=strange)) if strange else []
        for path in held:
            self._files.accept(path)

    def appended(self) -> None:
        """Note that the log has grown."""
        if self._since is not None or self._stopped:
            return
        with self._changed:
            self._since = time.monotonic()
            if self._thread is None and not self._stopped:
                self._start()
            self._changed.notify()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="bridle-publisher", daemon=True)
        try:
            thread.start()
        except RuntimeError as problem:
            # The record is committed: whoever made it is not told of this. The next one tries anew.
            _log.error("no checkpoints are signed for now: %s", problem)
            self._since = None
            return
        self._thread = thread

    def stop(self) -> None:
        """End the thread. Harmless in a process that was forked off: it has none."""
        if os.getpid() != self._process:
            return
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _failed(self, problem: BridleError | None) -> None:
        if problem is not None and not self._failing:
            _log.error("no checkpoint could be signed: %s [%s]", problem.message, problem.code)
        self._failing = problem is not None

    def _run(self) -> None:
        while self._wait():
            try:
                self.publish()
            except Exception:
                # Whatever it was: the next one may do, and nobody else would try.
                _log.exception("no checkpoint could be signed")
                self.appended()

    def _wait(self) -> bool:
        """Wait until a checkpoint is due; False once stopped."""
        with self._changed:
            while not self._stopped:
                since = self._since
                left = None if since is None else since + EVERY_S - time.monotonic()
                if left is not None and left <= 0:
                    return True
                self._changed.wait(left)
        return False


def _read(note: bytes) -> Checkpoint:
    return checkpoint.parse(parse(note).text)


def _held_of(tx: Tx, strange: Mapping[Path, bytes]) -> list[Path]:
    """Return where checkpoints of this log lie. Raises `StoreError` if it does not hold one."""
    verifiers, frontier, found = keys.verifiers(tx), tx.frontier(), list[Path]()
    for path, data in strange.items():
        try:
            signed = checkpoint.read(data, verifiers).checkpoint
        except LedgerError:
            continue  # nobody with a key of this log wrote it: it is left alone
        # INVARIANT: I7 — where the same key signed another log, this one is not gone on with.
        _assert_extends(tx, signed, frontier.size, frontier.root())
        found.append(path)
    return found


def _ids(note: bytes) -> set[bytes]:
    return {line.id for line in parse(note).signatures}


def _assert_extends(tx: Tx, before: Checkpoint, size: int, root: bytes) -> None:
    """Raise `StoreError` unless a log of this size and root continues the one before."""
    if before.size > size:
        raise failure(
            "store_rolled_back", f"the log has {size} records, and {before.size} were signed"
        )
    hashed = tiles.root_reader(tx.hashes)
    if hashed(0, size) != root or (before.size and hashed(0, before.size) != before.root):
        raise failure("store_tampered", "the log is not the one that was signed before")
