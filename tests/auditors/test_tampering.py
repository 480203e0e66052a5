"""A log tampered with, file by file: who notices, and who does not.

The table is frozen: that a program starts to notice, or stops, is seen. It shows why Bridle's own
verification recomputes everything from the leaves, and why it looks at the tiles as well.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from auditors import logs
from auditors.governing import Export
from auditors.logs import KEY, LARGE
from auditors.programs import ABLE, Programs, RefusedError
from bridle.ledger import tiles
from bridle.ledger.tree import leaf_hash

pytestmark = pytest.mark.auditors

SIZE = 1_000

Tamper = Callable[[Path], object]
Way = tuple[str, str]


def at(folder: Path, path: str) -> Path:
    """Find a file; `LAST` is the one that is not full, at the end of its level."""
    level = path.removesuffix("/LAST")
    return folder / path if level == path else next((folder / level).glob("*.p/*"))


def rewritten(path: str, change: Callable[[bytes], bytes]) -> Tamper:
    return lambda folder: at(folder, path).write_bytes(change(at(folder, path).read_bytes()))


def bit(path: str, place: int) -> Tamper:
    """Flip a bit of one byte of a file."""
    return rewritten(path, lambda data: flipped(data, place % len(data)))


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 2]) + data[place + 1 :]


def gone(path: str) -> Tamper:
    return lambda folder: at(folder, path).unlink()


def swapped(one: str, other: str) -> Tamper:
    def tamper(folder: Path) -> None:
        first, second = (folder / one).read_bytes(), (folder / other).read_bytes()
        (folder / one).write_bytes(second)
        (folder / other).write_bytes(first)

    return tamper


def line(number: int, change: Callable[[bytes], bytes]) -> Tamper:
    """Change a line of the checkpoint: 1 is the size, 2 the root."""

    def changed(data: bytes) -> bytes:
        lines = data.split(b"\n")
        return b"\n".join([*lines[:number], change(lines[number]), *lines[number + 1 :]])

    return rewritten("checkpoint", changed)


def both_swapped(folder: Path) -> None:
    swapped("tile/entries/000", "tile/entries/001")(folder)
    swapped("tile/0/000", "tile/0/001")(folder)


def forged(folder: Path) -> None:
    """Write another leaf, and its hash into the tile, but not into the tile above."""
    bundle = folder / "tile/entries/001"
    leaves = tiles.leaves(bundle.read_bytes())
    leaves[77] = b"forged"
    bundle.write_bytes(tiles.entries(leaves))
    (folder / "tile/0/001").write_bytes(b"".join(map(leaf_hash, leaves)))


def signed_by_another(folder: Path) -> None:
    shutil.rmtree(folder / "tile")
    logs.write(folder, logs.leaves(SIZE), logs.OTHER)


# What is done, and to which parts of the log.
CASES: dict[str, tuple[set[str], Tamper]] = {
    "a bit of an entry": ({"entries"}, bit("tile/entries/001", 40)),
    "a bit of the last bundle": ({"entries"}, bit("tile/entries/LAST", 40)),
    "the length of an entry": ({"entries"}, bit("tile/entries/001", 1)),
    "two bundles swapped": ({"entries"}, swapped("tile/entries/000", "tile/entries/001")),
    "a bundle missing": ({"entries"}, gone("tile/entries/001")),
    "the last bundle missing": ({"entries"}, gone("tile/entries/LAST")),
    "a bundle cut": ({"entries"}, rewritten("tile/entries/001", lambda data: data[:-3])),
    "the last entry gone": (
        {"entries"},
        rewritten("tile/entries/LAST", lambda data: tiles.entries(tiles.leaves(data)[:-1])),
    ),
    "an entry more at the end": (
        {"entries"},
        rewritten("tile/entries/LAST", lambda data: data + tiles.entries([b"more"])),
    ),
    "an entry twice": (
        {"entries"},
        rewritten("tile/entries/001", lambda data: tiles.entries(tiles.leaves(data)[:1]) + data),
    ),
    "two tiles swapped": ({"tiles"}, swapped("tile/0/000", "tile/0/001")),
    "a bit of a full tile": ({"tiles"}, bit("tile/0/001", 40)),
    "a bit of the last tile": ({"tiles"}, bit("tile/0/LAST", 40)),
    "a bit of the tile above": ({"tiles"}, bit("tile/1/LAST", 40)),
    "a tile cut": ({"tiles"}, rewritten("tile/0/001", lambda data: data[:-1])),
    "a tile short of a hash": ({"tiles"}, rewritten("tile/0/001", lambda data: data[:-32])),
    "a hash more at the end": (
        {"tiles"},
        rewritten("tile/0/LAST", lambda data: data + bytes(32)),
    ),
    "a tile missing": ({"tiles"}, gone("tile/0/001")),
    "the tile above missing": ({"tiles"}, gone("tile/1/LAST")),
    "bundles swapped, and their tiles": ({"entries", "tiles"}, both_swapped),
    "a leaf forged, and its hash": ({"entries", "tiles"}, forged),
    "another log by another key": ({"signature"}, signed_by_another),
    "a bit of the signature": ({"signature"}, bit("checkpoint", -30)),
    "a bit of the signed root": (
        {"signature", "entries", "tiles"},
        line(2, lambda root: flipped(root, 3)),
    ),
    "a smaller size": (
        {"signature", "entries", "tiles"},
        line(1, lambda size: b"%d" % (int(size) - 1)),
    ),
}

# What each way of asking looks at. pymerkle and scitt-cose know trees, not notes.
LOOKS: dict[Way, set[str]] = {
    ("bridle", "export"): {"entries", "tiles", "signature"},
    ("go", "entries"): {"entries", "signature"},
    ("go", "tiles"): {"tiles", "signature"},
    ("tlog-scales", "entries"): {"entries", "tiles", "signature"},
    ("tlog-scales", "tiles"): {"tiles", "signature"},
    ("pymerkle", "entries"): {"entries"},
    ("scitt-cose", "entries"): {"entries"},
}

# What a program looks at and yet does not notice. From the highest tiles alone, as tlog-scales
# computes a root by itself, full tiles below go unseen; Go's TileHashReader did much the same until
# CVE-2026-56865. What lies behind the last entry or hash is never read.
OVERLOOKED: dict[Way, set[str]] = {
    ("tlog-scales", "entries"): {"an entry more at the end", "a hash more at the end"},
    ("tlog-scales", "tiles"): {
        "two tiles swapped",
        "a bit of a full tile",
        "a tile cut",
        "a tile short of a hash",
        "a hash more at the end",
        "a tile missing",
        "bundles swapped, and their tiles",
        "a leaf forged, and its hash",
    },
}


CALLED = {
    ("bridle", "export"): "Bridle",
    ("go", "entries"): "Go, entries",
    ("go", "tiles"): "Go, tiles",
}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "audit.md"


def missed_by(way: Way, how: str) -> bool:
    """Whether that way of asking is expected not to notice."""
    touched, _ = CASES[how]
    return not LOOKS[way] & touched or how in OVERLOOKED.get(way, ())


def test_the_page_for_auditors_shows_the_table():
    shown = [way for way in LOOKS if way[0] not in {"pymerkle", "scitt-cose"}]
    columns = {CALLED.get(way, f"{way[0]}, {way[1]}"): way for way in shown}
    columns["pymerkle, scitt-cose"] = ("pymerkle", "entries")
    rows = [["done to the export", *columns], ["---"] * (len(columns) + 1)]
    for how in CASES:
        assert missed_by(("pymerkle", "entries"), how) == missed_by(("scitt-cose", "entries"), how)
        rows.append([how, *("-" if missed_by(way, how) else "yes" for way in columns.values())])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    assert table in PAGE.read_text("utf-8"), table


def test_all_who_read_logs_are_in_the_table():
    able = {(name, do) for name, can in ABLE.items() for do in ("entries", "tiles") if do in can}
    assert {*LOOKS} == able - {("bridle", "entries")} | {("bridle", "export")}


@pytest.fixture
def copied(governed: Export, tmp_path: Path) -> Iterator[Path]:
    """A copy of an export, to be tampered with."""
    folder = tmp_path / "export"
    shutil.copytree(governed.folder, folder)
    yield folder
    shutil.rmtree(folder)


def test_untouched_all_find_it_good(asked, governed):
    assert not [way for way in LOOKS if notices(asked, way, governed.folder, governed.keys)]


@pytest.mark.parametrize("how", CASES)
def test_bridle_notices_and_the_others_notice_what_they_look_at(
    how, asked, governed, copied, pytestconfig
):
    _, tamper = CASES[how]
    tamper(copied)
    missed = {way for way in LOOKS if not notices(asked, way, copied, governed.keys)}
    pytestconfig.stash[logs.TABLE][how] = missed
    assert ("bridle", "export") not in missed
    assert missed == {way for way in LOOKS if missed_by(way, how)}


def notices(asked: Programs, way: Way, folder: Path, keys: list[str]) -> bool:
    name, do = way
    try:
        asked[name].ask(do, dir=folder, keys=keys)
    except RefusedError:
        return True
    return False


@pytest.mark.parametrize("path", ["tile/0/255", "tile/1/000", "tile/1/001.p/1", "tile/2/000.p/1"])
def test_a_bit_at_any_level_of_a_large_log_is_noticed_by_go_and_by_us(path, asked, log, tmp_path):
    shutil.copytree(log(LARGE).folder, tmp_path / "log")
    bit(path, 17)(tmp_path / "log")
    assert notices(asked, ("go", "tiles"), tmp_path / "log", [KEY])
    assert notices(asked, ("bridle", "entries"), tmp_path / "log", [KEY])


@pytest.mark.parametrize("name", ["go", "tlog-scales"])
def test_a_fork_and_a_rollback_show_against_a_checkpoint_that_was_kept(name, asked, log, tmp_path):
    kept, old = log(SIZE), 700
    fork = logs.write(tmp_path / "fork", [b"another", *kept.leaves[1:], b"later"])
    # By itself it is as good as the first: the same key has signed it.
    asked[name].ask("entries", dir=fork.folder, keys=[KEY])
    roots = asked[name].ask("grown", dir=fork.folder, keys=[KEY], indices=[old])["roots"]
    assert roots != [kept.root_at(old)]
    for program in (name, "bridle"):
        with pytest.raises(RefusedError):
            asked[program].ask(
                "consistency",
                old=old,
                size=fork.size,
                old_root=kept.root_at(old),
                root=fork.root,
                proof=fork.grown(old),
            )
    rolled = logs.write(tmp_path / "rolled", kept.leaves[:old])
    with pytest.raises(RefusedError):
        asked[name].ask("grown", dir=rolled.folder, keys=[KEY], indices=[SIZE])
