"""Verifies an export offline, given the log's key: every file of it, and that there is no other.

Nothing is believed: the root is recomputed from the entries, all else follows from them and is
compared. The folder may be hostile: only plain files of a plausible size are read, one tile at a
time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct, structs

from bridle.audit import plainfile
from bridle.audit.exports import guide, layout, openings, walking
from bridle.audit.word import (
    Given,
    Noted,
    Word,
    compare,
    every_key,
    judge,
    size_of,
    unvouched,
)
from bridle.bundle.folder import MAX_BYTES
from bridle.bundle.load import digest_of
from bridle.ledger import tiles, trustfile
from bridle.ledger.errors import LedgerError
from bridle.ledger.tiles import WIDTH, Tile
from bridle.ledger.tree import HASH_BYTES
from bridle.ledger.trustfile import Trust
from bridle.ledger.verify import Findings, Report, Verification
from bridle.ledger.verify.log import Beside

_MOST_NOTE = 1 << 20
_MOST_OWN = 1 << 15  # a checkpoint of ours, with as many signatures as it takes
_MOST_ENTRIES = WIDTH * (2 + 65_535)
_NO_LINE = -1, b""
_MOST_CHECKPOINTS = 10_000


class Verified(Struct, frozen=True):
    """What was found. `opened` says that payloads are included, `files` how many were compared."""

    report: Report
    word: Word
    opened: bool
    files: int
    unverified: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.report.ok


class _Entry(Struct, frozen=True):
    """A leaf as an export keeps it: `hash` from its tile, `sealed` its line of payloads."""

    index: int
    data: bytes
    sealed: bytes
    hash: bytes
    chain: str = ""
    seq: int = -1


def verify(
    folder: Path,
    trust: Trust | None = None,
    kept: tuple[Given, ...] = (),
    noted: Noted | None = None,
) -> Verified:
    """Verify the export in a folder, `kept` and `noted` being what the auditor knows of this log.

    Raises `LedgerError` (`export_missing`) where there is no folder.
    """
    if not folder.is_dir():
        raise LedgerError(f"there is no export in {folder}", code="export_missing")
    # The auditor's own link leads where it leads; those inside are nobody's to follow.
    return _Export(Path(os.path.realpath(folder)), trust, kept, noted).verify()


class _Export:
    """One look at one folder."""

    def __init__(
        self, folder: Path, trust: Trust | None, kept: tuple[Given, ...], noted: Noted | None
    ) -> None:
        self._folder, self._trust, self._noted = folder, trust, noted
        self._files = 0
        self._early = Findings()
        self._found = self._early
        self._given = [Given(layout.CHECKPOINT, self._read(layout.CHECKPOINT, _MOST_OWN) or b"")]
        self._size = max(size_of(self._given[0]), 0)
        names = walking.names(folder / layout.CHECKPOINTS, _MOST_CHECKPOINTS)
        if len(names) == _MOST_CHECKPOINTS:
            self._flaw("file_unexpected", f"{layout.CHECKPOINTS} has more files than are read")
        for name in names:
            path = f"{layout.CHECKPOINTS}/{name}"
            given = Given(path, self._read(path, _MOST_OWN) or b"")
            if str(size_of(given)) != name:
                self._flaw("checkpoint_invalid", f"{path} is not the checkpoint of that size")
            self._given.append(given)
        self._kept = kept
        self._readme = self._read(layout.GUIDE, _MOST_NOTE) or b""
        # A first guess, which the guide's own text has to confirm.
        self._opened = b"\nPayloads: included\n" in self._readme
        self._tiles: dict[int, tuple[int, bytes]] = {}

    def verify(self) -> Verified:
        given = [*self._given, *self._kept]
        beside: Beside = openings.OpenedPayloads() if self._opened else openings.Unopened()
        sizes = {*map(size_of, given), *([self._noted.size] if self._noted is not None else [])}
        passing = Verification(beside, sizes=sizes, completed=self._completed, filed=False)
        self._passing, self._found = passing, passing.found
        self._found.extend(self._early.kept)
        for entry in self._entries():
            passing.take(entry)
        report = passing.finish(size=self._size)
        word = judge(given, report, self._trust, self._found)
        compare(self._noted, report, self._found)
        self._regenerate(report)
        self._bundles(report)
        bundles = frozenset(report.bundles)
        walking.assert_nothing_else(
            self._folder,
            lambda path: layout.belongs(path, self._size, opened=self._opened, bundles=bundles),
            self._found,
        )
        return Verified(
            report=structs.replace(
                report,
                findings=tuple(self._found.kept),
                flaws=self._found.count,
                anchored=word.newest is not None,
            ),
            word=word,
            opened=self._opened,
            files=self._files,
            unverified=(*self._unverified(word), *unvouched(word, report)),
        )

    def _flaw(self, code: str, message: str) -> None:
        self._found.add(-1, code, message)

    def _read(self, path: str, most: int) -> bytes | None:
        """Return a file's bytes; None, and a flaw, where there is none to be read."""
        try:
            data = plainfile.read(self._folder / path, most)
        except LedgerError as problem:
            self._flaw("file_altered", f"{path}: {problem.message}")
            return None
        if data is None:
            self._flaw("file_missing", f"{path} is not there")
            return None
        self._files += 1
        return data

    def _entries(self) -> Iterator[_Entry]:
        """Yield the leaves as they lie there, up to the first bundle that cannot be read."""
        for number in range(-(-self._size // WIDTH)):
            tile = layout.tile_at(0, number, self._size)
            assert tile is not None
            leaves = self._leaves(tile)
            if leaves is None:
                return
            hashes = self._read(tile.path, WIDTH * HASH_BYTES) or b""
            if len(hashes) != tile.width * HASH_BYTES:
                self._flaw("tile_mismatch", f"{tile.path} has not {tile.width} hashes")
            lines = self._lines(tile) if self._opened else iter(())
            at, line = next(lines, _NO_LINE)
            for place, leaf in enumerate(leaves):
                index = tile.start + place
                own = hashes[place * HASH_BYTES : (place + 1) * HASH_BYTES]
                yield _Entry(index, leaf, line if at == index else b"", own)
                if at == index:
                    at, line = next(lines, _NO_LINE)

    def _leaves(self, tile: Tile) -> list[bytes] | None:
        data = self._read(tile.bundle, _MOST_ENTRIES)
        if data is None:
            return None
        try:
            leaves = tiles.leaves(data)
        except LedgerError as problem:
            self._flaw("entries_mismatch", f"{tile.bundle}: {problem.message}")
            return None
        if len(leaves) != tile.width:
            message = f"{tile.bundle} has {len(leaves)} records, not {tile.width}"
            self._flaw("entries_mismatch", message)
            return None
        return leaves

    def _lines(self, tile: Tile) -> Iterator[tuple[int, bytes]]:
        """Yield the lines of a tile's payloads and whose they are; a tile with none has no file.

        Ends, with a flaw, at the first that is none of a later one of its leaves.
        """
        path = layout.payloads(tile)
        last = tile.start - 1
        try:
            read = plainfile.lines(self._folder / path, openings.MOST_LINE, openings.BEGIN)
            if read is None:
                return
            self._files += 1
            for line in read:
                index = openings.index_of(line[:-1])
                if not (line.endswith(b"\n") and last < index < tile.start + tile.width):
                    last = -1
                    break
                last = index
                yield index, line[:-1]
        except LedgerError as problem:
            self._flaw("file_altered", f"{path}: {problem.message}")
            return
        if last < tile.start:
            self._flaw("file_altered", f"{path} is not a line for each of some of its records")

    def _completed(self, level: int, number: int, root: bytes) -> None:
        """Compare the hash of a full tile with where it lies in the level above."""
        at, place = divmod(number, WIDTH)
        if place == 0:
            tile = layout.tile_at(level, at, self._size)
            path = tile.path if tile is not None else ""
            data = self._read(path, WIDTH * HASH_BYTES) or b""
            if tile is None or len(data) != tile.width * HASH_BYTES:
                self._flaw("tile_mismatch", f"{path} does not have the hashes it should")
            self._tiles[level] = at, data
        data = self._tiles[level][1]
        if data[place * HASH_BYTES : (place + 1) * HASH_BYTES] != root:
            message = f"hash {number} of level {level} of the tiles is not that of its records"
            self._flaw("tile_mismatch", message)

    def _regenerate(self, report: Report) -> None:
        """Write trust policy and guide anew, and compare them."""
        keys = every_key(report.keys, self._size)
        policy: bytes | None = None
        with suppress(LedgerError):
            policy = trustfile.render(keys)
        if policy is None or self._read(layout.TRUST, _MOST_NOTE) != policy:
            self._flaw("file_altered", f"{layout.TRUST} does not name the keys of the log")
        origin = keys[0].name if keys else ""
        if self._readme not in guide.known(origin, self._size, keys, opened=self._opened):
            self._flaw("file_altered", f"{layout.GUIDE} is not the guide to this export")

    def _bundles(self, report: Report) -> None:
        """Compare each bundle that the log names with its digest."""
        for digest in report.bundles:
            path = f"{layout.BUNDLES}/{digest}"
            files: dict[str, str] = {}
            for name in walking.files(self._folder / path, layout.DEEPEST):
                if layout.belongs(f"{path}/{name}", 0, opened=False, bundles=frozenset({digest})):
                    data = self._read(f"{path}/{name}", MAX_BYTES)
                    files[name] = (data or b"").decode("utf-8", "surrogateescape")
            if not files:
                self._flaw("file_missing", f"{path} is not there")
            elif digest_of(files) != digest:
                self._flaw("bundle_altered", f"{path} is not the bundle of that digest")

    def _unverified(self, word: Word) -> Iterator[str]:
        if not word.trusted:
            yield "who signed: no --key or --trust was given, so the export vouches for itself"
        if not self._opened:
            yield "what payloads say: they are left out of this export"
