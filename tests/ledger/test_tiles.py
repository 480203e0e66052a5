"""Tiles: the places and sizes of the specification, and proofs that need few of their hashes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.ledger import tiles
from bridle.ledger.errors import LedgerError
from bridle.ledger.tiles import WIDTH, Tile, numbered, tiles_of
from bridle.ledger.tree import (
    EMPTY_ROOT,
    consistency_proof,
    consistent,
    frontier_of,
    includes,
    inclusion_proof,
    node_hash,
    range_root,
)
from ledger.worked import WORDS, code_of, mutations, outcome

MOST = 200_000
DIGESTS = [sha256(b"%d" % number).digest() for number in range(600)]


class Log:
    """Tiles of a log, level by level, that give out only what a log of `size` leaves has."""

    def __init__(self, digests: Sequence[bytes]) -> None:
        self.levels = [list(digests)]
        while len(self.levels[-1]) >= WIDTH:
            below = self.levels[-1]
            starts = range(0, len(below) - WIDTH + 1, WIDTH)
            self.levels.append([frontier_of(below[at : at + WIDTH]).root() for at in starts])
        self.runs: list[int] = []

    def of(self, size: int) -> tiles.Hashes:
        def hashes(level: int, start: int, end: int) -> Sequence[bytes]:
            there = {tile.level: tile.start + tile.width for tile in tiles_of(size)}
            assert 0 <= start < end <= there[level]
            self.runs.append(end - start)
            return self.levels[level][start:end]

        return hashes


@pytest.mark.parametrize(
    ("number", "width", "path"),
    [
        (0, 256, "000"),
        (5, 256, "005"),
        (999, 256, "999"),
        (1_000, 256, "x001/000"),
        (1_234_067, 256, "x001/x234/067"),
        (1_234_067, 7, "x001/x234/067.p/7"),
        (0, 1, "000.p/1"),
        (0, 255, "000.p/255"),
        (10**9, 256, "x001/x000/x000/000"),
        ((1 << 55) - 1, 256, "x036/x028/x797/x018/x963/967"),
    ],
)
def test_numbers_are_paths_as_the_specification_has_them(
    number: int, width: int, path: str
) -> None:
    assert numbered(number, width) == path
    assert Tile(3, number, width).path == f"tile/3/{path}"
    assert Tile(0, number, width).bundle == f"tile/entries/{path}"


def shape(size: int) -> list[tuple[int, int, int]]:
    """For each level: how many full tiles, and the width of the partial one."""
    found: dict[int, list[int]] = {}
    for tile in tiles_of(size):
        assert 0 < tile.width <= WIDTH
        row = found.setdefault(tile.level, [0, 0])
        if tile.width == WIDTH:
            row[0] += 1
        else:
            assert row[1] == 0
            row[1] = tile.width
    return [(level, full, rest) for level, (full, rest) in found.items()]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, []),
        (1, [(0, 0, 1)]),
        (255, [(0, 0, 255)]),
        (256, [(0, 1, 0), (1, 0, 1)]),
        (257, [(0, 1, 1), (1, 0, 1)]),
        (65_536, [(0, 256, 0), (1, 1, 0), (2, 0, 1)]),
        (70_000, [(0, 273, 112), (1, 1, 17), (2, 0, 1)]),
        (1_234_067, [(0, 4_820, 147), (1, 18, 212), (2, 0, 18)]),
    ],
)
def test_sizes_have_the_tiles_of_the_specification(
    size: int, expected: list[tuple[int, int, int]]
) -> None:
    assert shape(size) == expected


@given(size=st.integers(0, MOST))
def test_the_partial_tile_of_every_level_has_the_width_of_the_formula(size: int) -> None:
    found = list(tiles_of(size))
    assert found == sorted(found, key=lambda tile: (tile.level, tile.number))
    for level in range(4):
        partial = [each.width for each in found if each.level == level and each.width < WIDTH]
        rest = size // WIDTH**level % WIDTH
        assert partial == ([rest] if rest else [])
        assert sum(each.width for each in found if each.level == level) == size // WIDTH**level


@pytest.fixture(scope="module")
def small() -> Log:
    return Log(DIGESTS)


@cache
def defined(start: int, end: int) -> bytes:
    """The definition of RFC 6962, section 2.1, over `DIGESTS`."""
    if start == end:
        return EMPTY_ROOT
    if end - start == 1:
        return DIGESTS[start]
    half = 1
    while half * 2 < end - start:
        half *= 2
    return node_hash(defined(start, start + half), defined(start + half, end))


def edges(size: int) -> Iterator[int]:
    """Indexes where something changes: ends, middles, and the borders of tiles."""
    near = {0, 1, 127, 128, 254, 255, 256, 257, 383, 384, 511, 512, 513, size // 2, size - 2}
    yield from sorted(each for each in near | {size - 1} if 0 <= each < size)


def test_every_size_up_to_600_has_the_roots_and_proofs_of_its_leaves(small: Log) -> None:
    for size in range(1, 601):
        root = tiles.root_reader(small.of(size))
        assert root(0, size) == defined(0, size)
        for index in edges(size):
            proof = inclusion_proof(root, index, size)
            assert proof == inclusion_proof(defined, index, size)
            assert includes(index, size, DIGESTS[index], proof, defined(0, size))
            steps = consistency_proof(root, index + 1, size)
            assert steps == consistency_proof(defined, index + 1, size)
            assert consistent(index + 1, size, defined(0, index + 1), defined(0, size), steps)


@pytest.mark.slow
def test_every_index_of_every_size_up_to_600_has_the_proofs_of_its_leaves(small: Log) -> None:
    for size in range(1, 601):
        root = cache(tiles.root_reader(small.of(size)))
        for index in range(size):
            assert inclusion_proof(root, index, size) == inclusion_proof(defined, index, size)
            steps = consistency_proof(root, index + 1, size)
            assert steps == consistency_proof(defined, index + 1, size)


@pytest.fixture(scope="module")
def large() -> Log:
    return Log([sha256(b"%d" % number).digest() for number in range(MOST)])


@given(data=st.data(), size=st.one_of(st.integers(1, MOST), st.sampled_from([65_536, 70_000])))
def test_sizes_up_to_200000_have_sound_proofs_from_tiles(
    large: Log, data: st.DataObject, size: int
) -> None:
    index = data.draw(st.integers(0, size - 1))
    root = tiles.root_reader(large.of(size))
    whole = root(0, size)
    assert includes(index, size, large.levels[0][index], inclusion_proof(root, index, size), whole)
    old = data.draw(st.integers(1, size))
    steps = consistency_proof(root, old, size)
    assert consistent(old, size, tiles.root_reader(large.of(old))(0, old), whole, steps)


@given(size=st.integers(1, 5_000))
def test_the_root_from_tiles_is_the_root_from_leaves(large: Log, size: int) -> None:
    leaves = large.levels[0][:size]
    assert tiles.root_reader(large.of(size))(0, size) == range_root(leaves)(0, size)


@given(size=st.integers(1, (1 << 63) - 1), data=st.data())
def test_a_proof_reads_a_number_of_hashes_that_grows_with_the_depth_of_the_tree(
    size: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, size - 1))
    reads: list[int] = []

    def hashes(level: int, start: int, end: int) -> list[bytes]:
        assert 0 <= start < end <= size >> (8 * level)
        reads.append(end - start)
        return [bytes(32)] * (end - start)

    assert len(inclusion_proof(tiles.root_reader(hashes), index, size)) <= size.bit_length()
    # A tile has 255 hashes beside the path for every 8 levels, and the right edge as many again.
    levels = -(-size.bit_length() // 8)
    assert sum(reads) <= 2 * 255 * levels
    assert len(reads) <= 2 * size.bit_length()


@pytest.mark.parametrize("given_", [0, 1, 3, 5])
def test_tiles_that_hold_more_or_less_than_asked_for_are_refused(given_: int) -> None:
    root = tiles.root_reader(lambda *_: DIGESTS[:given_])
    assert code_of(lambda: root(0, 4)) == "tiles_incomplete"


@pytest.mark.parametrize(("start", "end"), [(1, 3), (2, 6), (4, 12), (128, 384), (255, 511)])
def test_a_range_that_is_no_subtree_has_no_root(small: Log, start: int, end: int) -> None:
    root = tiles.root_reader(small.of(600))
    assert code_of(lambda: root(start, end)) == "tiles_incomplete"


def test_the_worked_example_is_bundled_byte_for_byte() -> None:
    bundle = bytes.fromhex("00036f6e65000374776f000574687265650004666f7572000466697665")
    assert tiles.entries(WORDS) == bundle
    assert tiles.leaves(bundle) == WORDS


BUNDLE = tiles.entries(WORDS)
NO_BUNDLES = {
    "nothing": b"",
    "half a length": b"\x00",
    "half a length behind entries": BUNDLE + b"\x00",
    "a length and nothing": b"\x00\x01",
    "an entry cut short": BUNDLE[:-1],
    "a length too long": b"\xff\xff" + b"x" * 65_534,
    "257 entries": b"\x00\x01x" * 257,
    "257 empty entries": b"\x00\x00" * 257,
    "16 megabytes of empty entries": b"\x00" * (1 << 24),
}


@pytest.mark.parametrize("name", NO_BUNDLES)
def test_what_is_no_bundle_is_refused(name: str) -> None:
    assert code_of(lambda: tiles.leaves(NO_BUNDLES[name])) == "entries_invalid"


@pytest.mark.parametrize("leaves", [[], [b"x"] * 257, [b"x" * 65_536], [b"", b"y" * 70_000]])
def test_a_bundle_that_could_not_be_read_back_is_not_written(leaves: list[bytes]) -> None:
    assert code_of(lambda: tiles.entries(leaves)) == "entries_invalid"


@given(leaves=st.lists(st.binary(max_size=40), min_size=1, max_size=256))
def test_what_is_bundled_is_read_back(leaves: list[bytes]) -> None:
    assert tiles.leaves(tiles.entries(leaves)) == leaves


def test_the_longest_entries_are_bundled() -> None:
    leaves = [b"", b"x" * 65_535]
    assert tiles.leaves(tiles.entries(leaves)) == leaves


@given(data=st.one_of(mutations(BUNDLE), st.binary(max_size=80)))
def test_any_bytes_are_refused_or_a_bundle_of_just_those_entries(data: bytes) -> None:
    code, found = outcome(lambda: tiles.leaves(data))
    assert code in {"", "entries_invalid"}
    assert code or tiles.entries(found) == data


@pytest.mark.parametrize("size", [1, 32, 33, 8_191, 8_192])
def test_a_tile_is_split_at_every_32_bytes(size: int) -> None:
    code, found = outcome(lambda: tiles.split(bytes(size)))
    assert (code, found) == (("", [bytes(32)] * (size // 32)) if size % 32 == 0 else (
        "tiles_incomplete", None))  # fmt: skip


@pytest.mark.parametrize("size", [0, 31, 8_193, 8_224, 1 << 24])
def test_what_is_no_tile_is_refused(size: int) -> None:
    with pytest.raises(LedgerError) as caught:
        tiles.split(bytes(size))
    assert caught.value.code == "tiles_incomplete"
