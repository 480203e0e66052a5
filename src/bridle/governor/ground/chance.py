"""Where ids and random bytes come from, so that offline runs can be deterministic."""

from __future__ import annotations

import hashlib
import os
from typing import Protocol


class Chance(Protocol):
    """A source of random bytes."""

    def draw(self, count: int) -> bytes:
        """Return `count` bytes nobody can predict (offline: bytes that follow from the seed)."""
        ...


class SystemChance:
    """The operating system's generator."""

    def draw(self, count: int) -> bytes:
        """Return `count` random bytes."""
        return os.urandom(count)


class SeededChance:
    """Bytes that follow from a seed: for throw-away stores that must be repeatable. Not secret."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._count = 0

    def draw(self, count: int) -> bytes:
        """Return the next `count` bytes of the sequence."""
        self._count += 1
        return hashlib.shake_256(self._seed + self._count.to_bytes(8, "big")).digest(count)


def new_id(chance: Chance, prefix: str) -> str:
    """Return `<prefix>_` and 128 random bits in hex."""
    return f"{prefix}_{chance.draw(16).hex()}"
