"""Writes an export: what the newest checkpoint covers, verified while it is written.

It is made beside its place and moved there as a whole, so an export is complete or not there.
Nothing is signed here: whoever can read a store can export it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from msgspec import Struct, structs

from bridle.audit import openers
from bridle.audit.exports import guide, layout, openings
from bridle.audit.proving import newest
from bridle.audit.word import Given, every_key, judge, size_of
from bridle.ledger import tiles, trustfile
from bridle.ledger.errors import LedgerError
from bridle.ledger.leaf import Opening, parse
from bridle.ledger.tiles import WIDTH, Tile
from bridle.ledger.tree import leaf_hash
from bridle.ledger.verify import Opener, Report, Verification
from bridle.ledger.verify.log import Beside
from bridle.model.errors import StoreError, UsageError
from bridle.store.base import StoredLeaf, Tx
from bridle.store.place import Place
from bridle.store.rows import BundleRow
from bridle.store.sqlite.reading import snapshot

Progress = Callable[[int, int], None]
"""`progress(done, all)`: told of records, a tile at a time."""

_VERIFY = "`bridle audit verify` says what is wrong with the store."


class Exported(Struct, frozen=True):
    """What was written. `unsigned` records are newer than the checkpoint, and not in the export."""

    origin: str
    size: int
    root: str
    unsigned: int
    opened: bool
    files: int
    bytes: int


def export(
    where: Place, out: Path, *, opened: bool = False, progress: Progress | None = None
) -> Exported:
    """Write the export of a store into the folder `out`, which must be empty or not be there.

    `opened` includes payloads, which needs the store's keys. Raises `UsageError` (`not_empty`),
    `StoreError` (`checkpoint_missing`, `export_refused` for a log that does not verify), and as
    reading a store does.
    """
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise UsageError(
            f"{out} is there already, and not an empty folder",
            code="not_empty",
            hint="Name a folder that is not there yet.",
        )
    with snapshot(where.database) as tx, _draft(out) as draft:
        writing = _Export(tx, draft, _opener(tx, where) if opened else None)
        found = writing.write(progress or (lambda _done, _all: None))
        draft.rename(out)
    return found


def _opener(tx: Tx, where: Place) -> Opener:
    opener = openers.opener(tx, where)
    if opener is None:
        raise StoreError(
            "payloads cannot be opened: the store's payload key is not there",
            code="key_missing",
            hint="Export without --payloads, or where the store's keys are.",
        )
    return opener


@contextmanager
def _draft(out: Path) -> Generator[Path]:
    """Yield a new folder beside `out`; it is gone afterwards unless it was moved."""
    parent = out.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        draft = parent / f".{out.name}.{os.urandom(8).hex()}"
        draft.mkdir(mode=0o700)
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as problem:
        message = f"{out} cannot be written: {problem.strerror or problem}"
        raise StoreError(message, code="export_failed") from problem


class _Export:
    """One export on its way to disk."""

    def __init__(self, tx: Tx, folder: Path, opener: Opener | None) -> None:
        self._tx, self._folder, self._opener = tx, folder, opener
        self._files = self._bytes = 0
        self._levels: dict[int, list[bytes]] = {}
        signed, self._newest = newest(tx)
        self._given = [Given(layout.CHECKPOINT, signed)]
        for each in tx.checkpoints()[:-1]:
            given = Given("", each)
            path = f"{layout.CHECKPOINTS}/{size_of(given)}"
            self._given.append(Given(path, each))

    def write(self, progress: Progress) -> Exported:
        size = self._newest.size
        beside: Beside = openings.Unopened() if self._opener is None else openings.OpenedPayloads()
        passing = Verification(beside, sizes=map(size_of, self._given), completed=self._completed)
        for number in range(-(-size // WIDTH)):
            tile = layout.tile_at(0, number, size)
            assert tile is not None
            for line in self._tile(tile):
                passing.take(line)
            progress(min(tile.start + WIDTH, size), size)
        for level, hashes in sorted(self._levels.items()):
            if hashes:
                self._put(self._tile_of(level, hashes).path, b"".join(hashes))
        report = passing.finish(size=size)
        judge(self._given, report, None, passing.found)
        if passing.found.kept:
            flaw = passing.found.kept[0]
            where = f"leaf {flaw.index}: " if flaw.index >= 0 else ""
            message = f"the log does not verify: {where}{flaw.message} [{flaw.code}]"
            raise StoreError(message, code="export_refused", hint=_hint(flaw.code))
        self._beside(report)
        return Exported(
            origin=self._newest.origin,
            size=size,
            root=self._newest.root.hex(),
            unsigned=self._tx.frontier().size - size,
            opened=self._opener is not None,
            files=self._files,
            bytes=self._bytes,
        )

    def _tile(self, tile: Tile) -> Iterator[StoredLeaf]:
        """Write what belongs to one tile of leaves, and yield these."""
        stored = list(self._tx.leaves(tile.start, tile.start + tile.width))
        hashes = [leaf_hash(each.data) for each in stored]
        lines = [self._line(each, digest) for each, digest in zip(stored, hashes, strict=True)]
        self._put(tile.bundle, tiles.entries([each.data for each in stored]))
        self._put(tile.path, b"".join(hashes))
        if any(lines):
            self._put(layout.payloads(tile), b"".join(each + b"\n" for each in lines if each))
        for each, line in zip(stored, lines, strict=True):
            # From here on what is beside a leaf is its line of opened payloads.
            yield structs.replace(each, sealed=line)

    def _line(self, stored: StoredLeaf, digest: bytes) -> bytes:
        if self._opener is None or not stored.sealed:
            return b""
        found: dict[str, Opening] = self._opener(stored, digest)
        return openings.line(stored.index, parse(stored.data), found)

    def _completed(self, level: int, number: int, root: bytes) -> None:
        """Keep the hash of a full tile; a tile of them that is full is written."""
        hashes = self._levels.setdefault(level, [])
        hashes.append(root)
        if len(hashes) == WIDTH:
            self._put(Tile(level, number // WIDTH, WIDTH).path, b"".join(hashes))
            hashes.clear()

    def _tile_of(self, level: int, hashes: list[bytes]) -> Tile:
        count = self._newest.size >> (tiles.BITS * level)
        return Tile(level, count // WIDTH, len(hashes))

    def _beside(self, report: Report) -> None:
        """Write what follows from the log: checkpoints, keys, guide, bundles."""
        for given in self._given:
            self._put(given.name, given.data)
        keys = every_key(report.keys, self._newest.size)
        self._put(layout.TRUST, trustfile.render(keys))
        origin, opened = keys[0].name, self._opener is not None
        self._put(layout.GUIDE, guide.written(origin, self._newest.size, keys, opened=opened))
        for digest in report.bundles:
            row = self._tx.get(BundleRow, digest)
            if row is None:
                message = f"the bundle {digest[:12]} that the log names is not in the store"
                raise StoreError(message, code="export_refused", hint=_VERIFY)
            for name, text in row.files.items():
                path = f"{layout.BUNDLES}/{digest}/{name}"
                if not layout.belongs(path, 0, opened=False, bundles=frozenset({digest})):
                    raise LedgerError(f"{name!r} is no name of a bundle's file")
                self._put(path, text.encode("utf-8", "surrogatepass"))

    def _put(self, path: str, data: bytes) -> None:
        assert ".." not in PurePosixPath(path).parts
        file = self._folder / path
        for above in reversed(file.relative_to(self._folder).parents):
            (self._folder / above).mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)
        self._files += 1
        self._bytes += len(data)


def _hint(code: str) -> str:
    if code == "payload_missing":
        return "If something was erased just now: try again once that is signed, in a second."
    return _VERIFY
