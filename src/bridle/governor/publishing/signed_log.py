"""The signed log of one governor, from its opening to its close: the one door to this folder."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from typing import Any

from msgspec import structs

from bridle import __version__
from bridle.bundle.bundle import Manifest
from bridle.governor.audit.opening import Left
from bridle.governor.ground.core import Core
from bridle.governor.ground.turn import Turn
from bridle.governor.publishing import keys, records
from bridle.governor.publishing.files import Files
from bridle.governor.publishing.keys import LogKeys
from bridle.governor.publishing.publisher import Publisher
from bridle.ledger import checkpoint, note
from bridle.model.errors import BridleError, BundleError, NotFoundError, RefusedError
from bridle.store.base import Tx
from bridle.store.rows import BundleRow, LogKeyRow

_log = logging.getLogger("bridle.governor")

MOST_KEYS = 8
"""How many keys may sign at once: readers bound how many signatures they look at."""


class SignedLog:
    """What a governor does for its log beside appending to it.

    `begin` in the governor's first turn, `stand` after it; `end` instead of a last one.
    """

    def __init__(self, core: Core, held: LogKeys, files: Files) -> None:
        # Held from making a key until a row names it: what no row names is swept.
        self.rotating = threading.Lock()
        self._core = core
        self._held = held
        self._publisher = Publisher(core, held, files)
        self._process = os.getpid()
        self._open = False

    def prepare(self, manifest: Manifest) -> LogKeyRow | None:
        """Read the keys; make one where the log has none, and return what to record of it."""
        found = self._core.write(lambda turn: keys.rows(turn.tx))
        self._held.load(found)
        if found:
            return None
        name = manifest.origin or keys.fresh_origin(manifest.name)
        return _row(self._held.make(name).key, self._core.clock.now())

    def begin(self, turn: Turn, first: LogKeyRow | None, left: Left, manifest: Manifest) -> None:
        """Record that a governor stands ready; `first` is the log's first key.

        `left` says how the one before it ended, `manifest` what it might have lost.
        """
        if left.running:
            relaxed = manifest.durability == "relaxed"
            records.interrupted(turn, left.time, manifest.relaxed_ms if relaxed else 0)
        if first is not None:
            records.key(turn, structs.replace(first, added=turn.now), {})
        records.opened(turn, __version__)

    def sign(self, turn: Turn) -> None:
        """Sign the log as it is at the end of a turn."""
        turn.finish()
        self._publisher.sign(turn.tx)

    def stand(self) -> None:
        """From here on, sign and publish what is appended."""
        self._open = True
        self._sweep()
        self._core.appended = self._publisher.appended
        self._publisher.publish()

    def end(self) -> None:
        """Record and sign that the governor ends in order, as far as the store lets it."""
        self._publisher.stop()
        if not self._open or os.getpid() != self._process:
            return
        self._open = False

        def last(turn: Turn) -> None:
            records.closed(turn)
            self._publisher.sign(turn.tx)

        try:
            self._publisher.examine()
            self._core.end(last)
            self._publisher.publish()
        except BridleError as problem:
            _log.error("the end could not be recorded: %s [%s]", problem.message, problem.code)

    def add(self, turn: Turn, made: LogKeyRow, by: dict[str, str]) -> None:
        """Have one more key sign, from this turn on."""
        records.key(turn, structs.replace(made, added=turn.now), by)
        self.sign(turn)

    def retire(self, turn: Turn, key: str, by: dict[str, str]) -> None:
        """Have a key sign no more, from this turn on. Raises `NotFoundError`, `RefusedError`."""
        signing = keys.signing(turn.tx)
        row = next((each for each in signing if each.id == key), None)
        if row is None:
            raise NotFoundError(
                f"no key {key[:64]!r} signs this log", hint="`bridle audit keys` lists them"
            )
        if signing == [row]:
            raise RefusedError(
                "this is the only key that signs",
                code="last_key",
                hint="add one first: `bridle audit rotate-key`",
            )
        records.key(turn, structs.replace(row, retired=turn.now), by)
        self.sign(turn)

    def make(self) -> LogKeyRow:
        """Make a key that `add` can put to use."""
        self._publisher.examine()
        found, name = self._core.write(lambda turn: (keys.rows(turn.tx), keys.origin(turn.tx)))
        if sum(not row.retired for row in found) >= MOST_KEYS:
            raise RefusedError(
                f"{MOST_KEYS} keys sign this log already",
                code="too_many_keys",
                hint="retire one first: `bridle audit rotate-key --retire ID`",
            )
        taken = {row.id for row in found}
        return _row(self._held.make(name, taken).key, self._core.clock.now())

    def rotated(self) -> list[dict[str, Any]]:
        """After `add` or `retire`: publish, drop what signs no more, and list all keys."""
        self._publisher.publish()
        self._sweep()
        return self._core.write(lambda turn: listed(turn.tx))

    def _sweep(self) -> None:
        found = self._core.write(lambda turn: keys.rows(turn.tx))
        try:
            self._held.forget(found)
        except OSError as problem:
            _log.error("a key that signs no more could not be deleted: %s", problem)


def listed(tx: Tx) -> list[dict[str, Any]]:
    """All keys of a log, in order of adding, as `bridle audit keys` lists them."""
    return [
        {
            "id": row.id,
            "key": row.key,
            "state": records.RETIRED if row.retired else "signs",
            "added": row.added,
            "retired": row.retired,
        }
        for row in keys.rows(tx)
    ]


def overview(tx: Tx) -> Mapping[str, Any]:
    """How the log stands: its name, the size of the newest checkpoint, records beyond it."""
    kept = tx.checkpoints()
    size = checkpoint.parse(note.parse(kept[-1]).text).size if kept else 0
    return {"origin": keys.origin(tx), "signed": size, "unsigned": tx.frontier().size - size}


def manifest_in_force(turn: Turn) -> Manifest:
    """The manifest of the active bundle; of one that an earlier version let pass, its name."""
    try:
        return turn.bundle.manifest
    except BundleError:
        row = turn.tx.get(BundleRow, turn.globals.active)
        return Manifest(name=row.name if row is not None else "")


def _row(key: note.Key, added: int) -> LogKeyRow:
    return LogKeyRow(id=key.id.hex(), key=str(key), added=added)
