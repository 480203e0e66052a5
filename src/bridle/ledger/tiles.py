"""Tiles and entry bundles (C2SP `tlog-tiles`): a log as static files, read by anybody's program.

A tile holds up to 256 hashes: at level 0 those of leaves, at level n + 1 the roots of full tiles of
level n. An entry bundle holds up to 256 leaves as written. Format: <https://c2sp.org/tlog-tiles>.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

from msgspec import Struct

from bridle.ledger.errors import LedgerError
from bridle.ledger.tree import HASH_BYTES, folded, frontier_of

WIDTH = 256
BITS = 8
MOST_ENTRY = 65_535
"""Longest entry of a bundle, in bytes."""
_LENGTH = 2

Hashes = Callable[[int, int, int], Sequence[bytes]]
"""`hashes(level, start, end)`: those at `start <= index < end` of a level of tiles."""


class Tile(Struct, frozen=True):
    """Place of one tile: its level, its number, and how many hashes (1 to 256) it holds."""

    level: int
    number: int
    width: int

    @property
    def path(self) -> str:
        """Where it lies."""
        return f"tile/{self.level}/{numbered(self.number, self.width)}"

    @property
    def bundle(self) -> str:
        """Where the entries of a tile of level 0 lie."""
        return f"tile/entries/{numbered(self.number, self.width)}"

    @property
    def start(self) -> int:
        """Index of its first hash in its level."""
        return self.number * WIDTH


class OpenTiles:
    """The tiles of a log that are not full yet, for whoever goes through its leaf hashes in order.

    Append each to `leaves`; where there are 256, go through `fill`.
    """

    __slots__ = ("_rows", "leaves")

    def __init__(self) -> None:
        self.leaves: list[bytes] = []
        self._rows = [self.leaves]

    def fill(self, size: int) -> Iterator[tuple[int, int, bytes]]:
        """Hash the tiles that are full at this size into the levels above.

        Yields level, number and hash of each root, lowest level first.
        """
        level = 0
        while len(row := self._rows[level]) == WIDTH:
            root = _root(row)
            row.clear()
            level += 1
            if level == len(self._rows):
                self._rows.append([])
            self._rows[level].append(root)
            yield level, (size >> (BITS * level)) - 1, root

    def full(self) -> tuple[bytes, ...]:
        """Return the roots of the full subtrees, largest first: the hashes of a `Frontier`."""
        return tuple(each for row in reversed(self._rows) for each in frontier_of(row).hashes)


def numbered(number: int, width: int) -> str:
    """Write the number of a tile as a path: groups of three digits, and its width if partial."""
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join([*(f"x{each}" for each in groups[:-1]), groups[-1]])
    return path if width == WIDTH else f"{path}.p/{width}"


def tiles_of(size: int) -> Iterator[Tile]:
    """Every tile of a log of this size, lowest level first, in order of number."""
    level = 0
    while size:
        full, rest = divmod(size, WIDTH)
        yield from (Tile(level, number, WIDTH) for number in range(full))
        if rest:
            yield Tile(level, full, rest)
        level, size = level + 1, full


def root_reader(hashes: Hashes) -> Callable[[int, int], bytes]:
    """Return what gives the root of a range of leaves from tiles: for `tree.inclusion_proof`.

    A root of m leaves reads O(log m) runs of at most 255 hashes. The range must start where a
    subtree of its largest size does, as in all proofs.
    """

    def root(start: int, end: int) -> bytes:
        parts: list[bytes] = []
        while start < end:
            bits = (end - start).bit_length() - 1
            if start & ((1 << bits) - 1):
                raise LedgerError("no subtree starts there", code="tiles_incomplete")
            level, inner = divmod(bits, BITS)
            at = start >> (level * BITS)
            found = hashes(level, at, at + (1 << inner))
            if len(found) != 1 << inner:
                raise LedgerError("hashes of the log are missing", code="tiles_incomplete")
            parts.append(frontier_of(found).root())
            start += 1 << bits
        return folded(parts)

    return root


def entries(leaves: Sequence[bytes]) -> bytes:
    """Write an entry bundle: each leaf behind its length of two bytes.

    Raises `LedgerError` (`entries_invalid`) unless there are 1 to 256 of at most 65,535 bytes.
    """
    if not 0 < len(leaves) <= WIDTH or max(map(len, leaves)) > MOST_ENTRY:
        raise _not_entries()
    return b"".join(len(each).to_bytes(_LENGTH, "big") + each for each in leaves)


def leaves(bundle: bytes) -> list[bytes]:
    """Read an entry bundle of 1 to 256 leaves. Raises `LedgerError` (`entries_invalid`)."""
    found: list[bytes] = []
    at = 0
    while at < len(bundle):
        length = int.from_bytes(bundle[at : at + _LENGTH], "big")
        at += _LENGTH + length
        if at > len(bundle) or len(found) == WIDTH:
            raise _not_entries()
        found.append(bundle[at - length : at])
    if not found:
        raise _not_entries()
    return found


def split(tile: bytes) -> list[bytes]:
    """Read the hashes of a tile. Raises `LedgerError` (`tiles_incomplete`)."""
    if len(tile) % HASH_BYTES or not 0 < len(tile) <= WIDTH * HASH_BYTES:
        raise LedgerError("not a tile", code="tiles_incomplete")
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


def _not_entries() -> LedgerError:
    return LedgerError("not a bundle of entries", code="entries_invalid")


def _root(tile: list[bytes]) -> bytes:
    """Return the root of a full tile."""
    row = tile
    while len(row) > 1:
        row = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(row[::2], row[1::2], strict=True)
        ]
    return row[0]
