"""A log tampered with, file by file: who notices, and who does not.

The table is frozen: that a program starts to notice, or stops, is seen. What it shows is why
Bridle's own verification recomputes everything from the leaves, and why it looks at tiles too.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from auditors import logs
from auditors.logs import KEY, Log
from auditors.programs import ABLE, RefusedError
from bridle.ledger import tiles

pytestmark = pytest.mark.auditors

WAYS = [(name, do) for name, can in ABLE.items() for do in ("entries", "tiles") if do in can]
SIZE = 1_000

Tamper = Callable[[Path], object]


def bit(path: str, at: int, mask: int = 1) -> Tamper:
    """Flip a bit of the byte `at` of a file."""

    def tamper(folder: Path) -> None:
        data = bytearray((folder / path).read_bytes())
        data[at] ^= mask
        (folder / path).write_bytes(data)

    return tamper


def rewritten(path: str, change: Callable[[bytes], bytes]) -> Tamper:
    return lambda folder: (folder / path).write_bytes(change((folder / path).read_bytes()))


def gone(path: str) -> Tamper:
    return lambda folder: (folder / path).unlink()


def swapped(one: str, other: str) -> Tamper:
    def tamper(folder: Path) -> None:
        first, second = (folder / one).read_bytes(), (folder / other).read_bytes()
        (folder / one).write_bytes(second)
        (folder / other).write_bytes(first)

    return tamper


def forged(folder: Path) -> None:
    """Write another leaf, and its hash into the tile, but not into the tile above."""
    bundle, tile = folder / "tile/entries/001", folder / "tile/0/001"
    leaves = tiles.leaves(bundle.read_bytes())
    leaves[77] = b"forged"
    bundle.write_bytes(tiles.entries(leaves))
    tile.write_bytes(b"".join(logs.leaf_hash(each) for each in leaves))


def replaced(change: Callable[[list[bytes]], list[bytes]]) -> Tamper:
    """Sign the log of other leaves with another key."""

    def tamper(folder: Path) -> None:
        shutil.rmtree(folder)
        logs.write(folder, change(logs.leaves(SIZE)), logs.OTHER)

    return tamper


def with_note_of(change: Callable[[list[bytes]], list[bytes]], tmp: Path, keep: str) -> Tamper:
    raise NotImplementedError


LAST = f"{SIZE // 256:03d}.p/{SIZE % 256}"
CASES: dict[str, Tamper] = {
    "a bit of an entry": bit("tile/entries/001", 40),
    "a bit of the last bundle": bit(f"tile/entries/{LAST}", 40),
    "the length of an entry": bit("tile/entries/001", 1),
    "two bundles swapped": swapped("tile/entries/000", "tile/entries/001"),
    "two tiles swapped": swapped("tile/0/000", "tile/0/001"),
    "bundles and tiles swapped": lambda folder: (
        swapped("tile/entries/000", "tile/entries/001")(folder),
        swapped("tile/0/000", "tile/0/001")(folder),
    ),
    "a bundle missing": gone("tile/entries/002"),
    "the last bundle missing": gone(f"tile/entries/{LAST}"),
    "a bundle cut": rewritten("tile/entries/002", lambda data: data[:-3]),
    "the last entry gone": rewritten(
        f"tile/entries/{LAST}", lambda data: tiles.entries(tiles.leaves(data)[:-1])
    ),
    "an entry more in the last bundle": rewritten(
        f"tile/entries/{LAST}", lambda data: data + tiles.entries([b"more"])
    ),
    "an entry twice": rewritten(
        "tile/entries/001", lambda data: tiles.entries(tiles.leaves(data)[:1]) + data
    ),
    "a bit of a full tile": bit("tile/0/001", 40),
    "a bit of the last tile": bit(f"tile/0/{LAST}", 40),
    "a bit of a tile above": bit("tile/1/000.p/3", 40),
    "a tile cut": rewritten("tile/0/001", lambda data: data[:-1]),
    "a tile short of a hash": rewritten("tile/0/001", lambda data: data[:-32]),
    "the last tile with a hash more": rewritten(f"tile/0/{LAST}", lambda data: data + bytes(32)),
    "a tile missing": gone("tile/0/001"),
    "the tile above missing": gone("tile/1/000.p/3"),
    "a leaf forged, and its hash in the tile": forged,
    "all of it written anew, with another key": replaced(lambda leaves: [*leaves[:-1], b"new"]),
    "a bit of the checkpoint's root": bit("checkpoint", 30, 2),
    "a bit of the signature": bit("checkpoint", -30, 2),
    "a smaller size in the checkpoint": rewritten(
        "checkpoint", lambda data: data.replace(b"\n1000\n", b"\n999\n")
    ),
}


def noticed(program, do: str, folder: Path) -> bool:
    try:
        program.ask(do, dir=folder, keys=[KEY])
    except RefusedError:
        return True
    return False


def test_table(asked, log, tmp_path, capsys):
    rows = {}
    for how, tamper in CASES.items():
        folder = tmp_path / "log"
        shutil.copytree(log(SIZE).folder, folder)
        tamper(folder)
        rows[how] = [not noticed(asked[name], do, folder) for name, do in WAYS]
        shutil.rmtree(folder)
    with capsys.disabled():
        print(WAYS)
        for how, row in rows.items():
            print(f"{how:45}", *("MISS" if each else " .  " for each in row))
