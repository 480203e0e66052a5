"""Opens the ground a governor stands on: where things lie, the store's lock, keys, clock."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from msgspec import Struct

from bridle.brokers import sealed_file
from bridle.brokers.registry import Brokers
from bridle.bundle.bundle import Bundle
from bridle.bundle.load import load, load_files
from bridle.governor.audit.opening import Left, assert_witnessed
from bridle.governor.ground.chance import SystemChance
from bridle.governor.ground.clock import WallClock
from bridle.governor.ground.core import Core, Keys, Setting
from bridle.governor.publishing.files import Files
from bridle.ledger import leaf
from bridle.model.errors import BundleError, StoreError
from bridle.store import keys
from bridle.store.base import Store, Tx
from bridle.store.failures import failure
from bridle.store.place import Place, assert_apart, overlaps, place_at, place_of
from bridle.store.rows import BundleRow, GlobalRow
from bridle.store.sqlite import RELAXED_MS, open_store

_log = logging.getLogger("bridle.governor")


class Site(Struct, frozen=True):
    """How a governor is installed.

    `state` and `runtime` override where store and sockets lie. `operators` are the uids with a
    socket of their own; `agents_apart` says that agents reach theirs by a group, under other uids.
    Each file of `copies` gets every checkpoint that is signed; in those of `told` others are told
    of records.
    """

    state: Path | None = None
    runtime: Path | None = None
    operators: tuple[int, ...] = ()
    agents_apart: bool = False
    copies: tuple[Path, ...] = ()
    told: tuple[Path, ...] = ()

    def place(self, bundle: Path) -> Place:
        """Return where store and sockets of a bundle lie, made on first use."""
        if self.state is None:
            return place_of(bundle)
        return place_at(self.state, runtime=self.runtime)

    @property
    def level(self) -> str:
        """How far agents are from the governor, as far as the installation says.

        Each agent's own record goes by the uid the kernel names, whatever was intended.
        """
        mine = os.geteuid()
        own = mine != 0 and mine not in self.operators
        return "separate" if own and (self.operators or self.agents_apart) else "same-uid"


class Ground(Struct, frozen=True, kw_only=True):
    """What `prepare` found and opened. `bundle` is the one on disk, if it could be used.

    `files` are where signed checkpoints go, `left` says how the last governor left the store.
    """

    core: Core
    root: Path
    place: Place
    site: Site = Site()
    bundle: Bundle | None = None
    files: Files
    left: Left

    def assert_apart(self, bundle: Bundle) -> None:
        """Refuse (`StoreError`) a bundle whose tools could write store, keys or bundle."""
        _assert_apart(self.place, self.root, bundle, self.site)


def prepare(bundle: Path, *, site: Site, embedded: bool) -> Ground:
    """Open the store of a bundle, made on first use, and check that nobody else can reach it.

    Raises `StoreError`, each cause with its own code, and `BundleError` where there is neither a
    usable bundle on disk nor an active one in the store.
    """
    root = Path(bundle).resolve()
    loaded, problem = _try_load(root)
    place = site.place(root)
    store = open_store(
        place.database, relaxed_ms=loaded.manifest.relaxed_ms if loaded else RELAXED_MS
    )
    try:
        active = store.write(_active_files)
        for each in _concerned(active, loaded, problem):
            _assert_apart(place, root, each, site)
        core = _core(place, store, site, embedded=embedded)
        files = Files(place.checkpoint, site.copies)
        left = assert_witnessed(core, noted := files.noted())
    except BaseException:
        store.close()
        raise
    for path in set(files.paths) - set(noted) if left.time else ():
        _log.warning("there is no checkpoint at %s: nothing to compare the log with", path)
    if loaded is not None:
        core.adopt(loaded)
    return Ground(
        core=core, root=root, place=place, site=site, bundle=loaded, files=files, left=left
    )


def _concerned(
    files: dict[str, str] | None, loaded: Bundle | None, problem: BundleError | None
) -> list[Bundle]:
    """The bundle on disk, and the one in force where that is another. Raises if there is none."""
    if files is None and problem is not None:
        raise problem
    found = [loaded] if loaded is not None else []
    if files is None or (loaded is not None and loaded.files == files):
        return found
    try:
        return [*found, load_files(files)]
    except BundleError:
        # An earlier version let it pass: nothing is decided under it, but it can be replaced.
        return found


def _try_load(root: Path) -> tuple[Bundle | None, BundleError | None]:
    """A broken bundle on disk does not keep the active one from being overseen."""
    try:
        return load(root), None
    except BundleError as problem:
        return None, problem


def _active_files(tx: Tx) -> dict[str, str] | None:
    state = tx.get(GlobalRow, "global")
    row = tx.get(BundleRow, state.active) if state is not None and state.active else None
    return row.files if row is not None else None


def _assert_apart(place: Place, root: Path, bundle: Bundle, site: Site) -> None:
    # INVARIANT: I9 — store, keys and bundle lie where no governed tool can write.
    writes = [w for system in bundle.systems.values() for w in system.writes]
    assert_apart(place, root, writes, operators=frozenset(site.operators))
    for option, paths in (("--checkpoint-copy", site.copies), ("--emit", site.told)):
        for path, written in overlaps(paths, writes):
            raise StoreError(
                f"{path} lies where tools write ({written})",
                code="place_exposed",
                hint=f"name a file elsewhere with {option}",
            )
    for copy in site.copies:
        _assert_elsewhere(copy, place, root)


def _assert_elsewhere(copy: Path, place: Place, root: Path) -> None:
    """Refuse a copy in the store's own folder, or the bundle's.

    Whoever puts the store's back puts it back too, and some names there are not ours to give.
    """
    where = Path(os.path.realpath(copy.parent))
    for folder in {place.folder, root} & {where, *where.parents}:
        raise StoreError(
            f"the copy {copy} of the checkpoint lies in {folder}",
            code="place_invalid",
            hint="name a file elsewhere with --checkpoint-copy, best on another disk",
        )


def _core(place: Place, store: Store, site: Site, *, embedded: bool) -> Core:
    held = Keys(
        payload=keys.load_or_create(place.payload_key),
        digest=keys.load_or_create(place.payload_key.with_name("digest.key")),
    )
    return Core(
        store,
        held,
        Setting(
            "embedded" if embedded else site.level,
            operators=site.operators,
            store=place.id,
            grant_keys=place.keys,
            # INVARIANT: I9 — an embedded governor has none: it lives in the agent's process.
            brokers=None if embedded else Brokers(sealed_file.kept_in(place.keys)),
        ),
        clock=WallClock(store.write(_latest_time)),
        chance=SystemChance(),
    )


def _latest_time(tx: Tx) -> int:
    """The time of the log's last leaf: a clock stepped back since must not go below it."""
    size = tx.frontier().size
    last = next(iter(tx.leaves(size - 1)), None) if size else None
    if size and last is None:
        raise failure("store_corrupt", "the last record is missing")
    return leaf.parse(last.data).time if last is not None else 0
