"""Fills in the hashes of tiles where a store was made before they were kept.

It goes by the leaf hashes as they lie there. Whether those, and the hashes of tiles that are there
already, are what the leaves hash to is for `bridle.governor.publishing` to find out.
"""

from __future__ import annotations

from collections.abc import Iterator

import apsw

from bridle.ledger.tiles import BITS, WIDTH, OpenTiles
from bridle.store.failures import failure
from bridle.store.sqlite.statements import execute_of

_HASHES = 'SELECT "hash" FROM "leaves" ORDER BY "index"'


def fill(connection: apsw.Connection) -> int:
    """Add what is missing, reading each leaf hash once. Returns how many there were to add."""
    execute = execute_of(connection)
    missing = sum(wanted - found for wanted, found in _counts(connection))
    if missing <= 0:
        return 0
    execute("BEGIN IMMEDIATE")
    try:
        digests = (digest for (digest,) in execute(_HASHES))
        for place in _subtrees(digests):
            execute('INSERT OR IGNORE INTO "subtrees" VALUES (?, ?, ?)', place)
        execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            execute("ROLLBACK")
        raise
    return missing


def _counts(connection: apsw.Connection) -> Iterator[tuple[int, int]]:
    """For each level of tiles: how many hashes it should have, and how many it has."""
    execute = execute_of(connection)
    size, level = execute('SELECT "size" FROM "log"').get, 1
    if size is None or size < 0:
        raise failure("store_corrupt", f"the log has {size} records")
    while wanted := size >> (BITS * level):
        counted = execute('SELECT count(*) FROM "subtrees" WHERE "level" = ?', (level,)).get
        yield wanted, int(counted)
        level += 1


def _subtrees(digests: Iterator[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Level, number and hash of every full tile, given the leaf hashes in order."""
    tiles = OpenTiles()
    for size, digest in enumerate(digests, 1):
        tiles.leaves.append(digest)
        if not size % WIDTH:
            yield from tiles.fill(size)
