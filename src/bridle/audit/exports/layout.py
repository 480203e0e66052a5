"""Where each file of an export lies, and which paths an export of a given size has."""

from __future__ import annotations

from bridle.bundle.folder import is_bundle_file
from bridle.ledger.tiles import BITS, WIDTH, Tile, numbered

CHECKPOINT = "checkpoint"
CHECKPOINTS = "checkpoints"
TRUST = "trust-policy"
GUIDE = "README.md"
BUNDLES = "policy-bundles"
PAYLOADS = "payloads"
DEEPEST = 12
"""No path of an export has more parts."""

_SUFFIX = ".jsonl"
_MOST_DIGITS = 30


def payloads(tile: Tile) -> str:
    """Where the opened payloads of a tile of leaves lie."""
    return f"{PAYLOADS}/{numbered(tile.number, tile.width)}{_SUFFIX}"


def tile_at(level: int, number: int, size: int) -> Tile | None:
    """Return tile `number` of a level in a log of `size` leaves; None where there is none."""
    width = min(WIDTH, (size >> (BITS * level)) - number * WIDTH)
    return Tile(level, number, width) if width > 0 else None


def belongs(path: str, size: int, *, opened: bool, bundles: frozenset[str]) -> bool:
    """Tell whether a file of that path may be part of an export of `size` leaves.

    `opened` says that payloads are included, `bundles` are the digests the log names. Checkpoints
    of earlier sizes may be.
    """
    top, _, rest = path.partition("/")
    if top == BUNDLES:
        digest, _, name = rest.partition("/")
        return digest in bundles and is_bundle_file(name)
    if top == CHECKPOINTS:
        return rest.isascii() and rest.isdigit() and str(int(rest)) == rest and int(rest) < size
    if top == PAYLOADS:
        tile = _tile(0, rest.removesuffix(_SUFFIX), size)
        return opened and tile is not None and payloads(tile) == path
    if top == "tile":
        return _is_tile(path, rest, size)
    return path in {CHECKPOINT, TRUST, GUIDE}


def _is_tile(path: str, rest: str, size: int) -> bool:
    level, _, name = rest.partition("/")
    if level == "entries":
        tile = _tile(0, name, size)
        return tile is not None and tile.bundle == path
    if not (level.isascii() and level.isdigit() and len(level) <= 2):
        return False
    tile = _tile(int(level), name, size)
    return tile is not None and tile.path == path


def _tile(level: int, name: str, size: int) -> Tile | None:
    """Return the tile that a name may mean: the caller compares what it is called."""
    digits = name.partition(".p/")[0].replace("x", "").replace("/", "")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > _MOST_DIGITS:
        return None
    return tile_at(level, int(digits), size)
