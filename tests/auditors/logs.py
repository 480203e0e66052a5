"""Logs as static files: leaves, tiles, entry bundles and a signed checkpoint."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec import Struct

from bridle.ledger import checkpoint, note, tiles
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.note import Signer
from bridle.ledger.tree import (
    consistency_proof,
    frontier_of,
    inclusion_proof,
    leaf_hash,
)

ORIGIN = "log.example/bridle/1"
SEED = bytes(range(32))
SIGNER = Signer(ORIGIN, SEED)
KEY = str(SIGNER.key)
OTHER = Signer(ORIGIN, bytes(32))
SIZES = (1, 5, 255, 256, 257, 1_000)
LARGE = 66_000
TABLE = pytest.StashKey[dict[str, set[tuple[str, str]]]]()
"""What was tampered with, and who did not notice; shown at the end."""


def secret(signer: Signer, seed: bytes) -> str:
    """Write a private key as Go's note package has it."""
    value = note.encoded(bytes([note.ED25519]) + seed)
    return f"PRIVATE+KEY+{signer.key.name}+{signer.key.id.hex()}+{value}"


def leaves(size: int) -> list[bytes]:
    """Leaves that differ in length, and that are no text."""
    return [b"%d" % index + bytes([index % 256]) * (index % 7 + 1) for index in range(size)]


class Log(Struct, frozen=True):
    """A log that lies in a folder, and all that was written there."""

    folder: Path
    leaves: list[bytes]
    levels: list[list[bytes]]
    key: str = KEY

    @property
    def size(self) -> int:
        return len(self.leaves)

    @property
    def root(self) -> bytes:
        return self.root_at(self.size)

    @property
    def note(self) -> bytes:
        return (self.folder / "checkpoint").read_bytes()

    def root_at(self, size: int) -> bytes:
        return tiles.root_reader(self._hashes)(0, size)

    def included(self, index: int) -> tuple[bytes, ...]:
        return inclusion_proof(tiles.root_reader(self._hashes), index, self.size)

    def grown(self, old: int) -> tuple[bytes, ...]:
        return consistency_proof(tiles.root_reader(self._hashes), old, self.size)

    def sample(self) -> list[int]:
        """All indices of a small log; of others those at the edges of tiles, and some between."""
        step = 1 if self.size <= 257 else 7 if self.size <= 1_000 else 8_192
        edges = {at + by for at in range(0, self.size, max(step, 256)) for by in (0, 1, 255, 256)}
        found = edges | {*range(0, self.size, step)} | {self.size - 1}
        return sorted(each for each in found if each < self.size)

    def _hashes(self, level: int, start: int, end: int) -> Sequence[bytes]:
        return self.levels[level][start:end]


def write(folder: Path, written: list[bytes], *signers: Signer) -> Log:
    """Write a log with Bridle's ledger."""
    levels = [[leaf_hash(each) for each in written]]
    while len(levels[-1]) >= tiles.WIDTH:
        below = levels[-1]
        full = range(0, len(below) - len(below) % tiles.WIDTH, tiles.WIDTH)
        levels.append([frontier_of(below[at : at + tiles.WIDTH]).root() for at in full])
    for tile in tiles.tiles_of(len(written)):
        run = slice(tile.start, tile.start + tile.width)
        put(folder / tile.path, b"".join(levels[tile.level][run]))
        if tile.level == 0:
            put(folder / tile.bundle, tiles.entries(written[run]))
    root = frontier_of(levels[0]).root()
    claimed = Checkpoint(ORIGIN, len(written), root)
    put(folder / "checkpoint", checkpoint.sign(claimed, signers or (SIGNER,)))
    return Log(folder, written, levels)


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def files(folder: Path) -> dict[str, bytes]:
    """Read all files of a folder, by path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
