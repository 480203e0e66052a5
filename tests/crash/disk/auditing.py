"""Whether the ledger says what callers were told. Read with nothing of Bridle's."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from crash.disk.acting import FAILURES, Told


def audit(database: Path, told: Told) -> None:
    """Each record that was acknowledged lies where its receipt says; each gap in its numbers."""
    assert told.wrong == []
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute('SELECT "data", "hash" FROM "leaves" ORDER BY "index"')
        leaves, hashes = [], []
        for data, digest in found.fetchall():
            leaves.append(json.loads(data))
            hashes.append(digest.hex())
    lost = [at for at, digest in told.receipts.items() if hashes[at : at + 1] != [digest]]
    assert lost == [], f"acknowledged and lost: {lost}"
    decided = [leaf for leaf in leaves if leaf["kind"] == "decision"]
    assert len(decided) == told.decided, "what nobody was told is on record"
    _owned_up([leaf["body"] for leaf in leaves if leaf["kind"] == "degraded"], told)


def owned_up(database: Path) -> bool:
    """Whether the log tells of a gap, all in one record as it does."""
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute('SELECT "data" FROM "leaves"').fetchall()
    return any("denied_unrecorded" in json.loads(data)["body"] for (data,) in found)


def _owned_up(bodies: list[dict[str, Any]], told: Told) -> None:
    gaps = [body for body in bodies if "denied_unrecorded" in body]
    counted = sum(gap["denied_unrecorded"] for gap in gaps)
    assert counted == len(told.unrecorded), "denials that nobody owned up to, or that nobody was"
    for gap in gaps:
        assert set(gap["codes"]) <= FAILURES
        assert sum(gap["codes"].values()) == gap["denied_unrecorded"]
        mine = [each for each in told.unrecorded if _meet(gap, each)]
        assert len(mine) >= gap["denied_unrecorded"], "the gap was at another time"
    left = [each for each in told.unrecorded if not any(_meet(gap, each) for gap in gaps)]
    assert left == [], "denials in no gap"


def _meet(gap: dict[str, Any], asked_and_told: tuple[int, int]) -> bool:
    asked, answered = asked_and_told
    return gap["since"] <= answered and asked <= gap["until"]
