"""A store is verified with the public key alone: whatever is changed in any table is seen."""

import json
import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.history import FIRST, SECOND, STRANGER, History, small, trusting
from bridle.audit import stores
from bridle.audit.stores import Asked
from bridle.audit.word import Given, Noted
from bridle.ledger import checkpoint
from bridle.ledger.checkpoint import Checkpoint
from bridle.model.errors import StoreError
from bridle.store.place import Place

HOUR_OF_RECORDS = 300


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store with full tiles, a rotation, a redaction, and nothing in its log file."""
    made = small(tmp_path_factory.mktemp("whole") / "store")
    made.work(HOUR_OF_RECORDS, chain="mis_3")
    made.sign()
    made.close()
    return made.folder


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "store"))


def place(folder: Path) -> Place:
    return Place("test", folder, folder)


def codes(folder: Path, asked: Asked | None = None) -> set[str]:
    found = stores.verify(place(folder), asked or Asked(trusting(FIRST)))
    return {flaw.code for flaw in found.report.findings}


def tamper(folder: Path, *statements: str) -> None:
    with sqlite3.connect(folder / "store.db") as connection:
        before = connection.total_changes
        for each in statements:
            connection.execute(each)
        assert connection.total_changes > before
    connection.close()


def test_a_whole_store_verifies_with_the_first_key_through_a_rotation(store: Path) -> None:
    found = stores.verify(place(store), Asked(trusting(FIRST)))
    assert found.ok, found.report.findings
    assert found.word.trusted
    assert found.word.newest is not None
    assert found.word.newest.keys == (str(SECOND.key),)
    assert (found.unsigned, found.word.newest.size) == (0, found.report.size)
    assert found.report.payloads.opened > HOUR_OF_RECORDS
    assert found.unverified == ("rows: the store's digest key is not there",)


def test_without_any_key_of_the_store_all_but_values_and_rows_is_verified(store: Path) -> None:
    shutil.rmtree(store / "keys")
    found = stores.verify(place(store), Asked(trusting(FIRST)))
    assert found.ok
    assert found.report.payloads.opened == 0
    assert len(found.unverified) == 2


def test_a_log_that_vouches_for_itself_says_so(store: Path) -> None:
    found = stores.verify(place(store))
    assert found.ok
    assert not found.word.trusted
    assert any("vouches for itself" in each for each in found.unverified)


def test_a_key_that_the_log_never_had_verifies_nothing(store: Path) -> None:
    assert codes(store, Asked(trusting(STRANGER))) == {"checkpoint_unsigned"}


LAST = '(SELECT max("index") FROM "leaves")'
CHANGES = {
    "a byte of a record": (
        """UPDATE leaves SET data = CAST(replace(CAST(data AS TEXT), 'allow', 'denyy') AS BLOB)
           WHERE "index" = 41""",
        {"root_mismatch", "hash_mismatch", "checkpoint_forked"},
    ),
    "a record's own hash": (
        'UPDATE leaves SET hash = randomblob(32) WHERE "index" = 40',
        {"hash_mismatch"},
    ),
    "a record before the first": (
        """INSERT INTO leaves SELECT -1, chain || 0, seq, data, hash, sealed FROM leaves
           WHERE "index" = 3""",
        {"index_gap", "root_mismatch"},
    ),
    "a record dropped": ('DELETE FROM leaves WHERE "index" = 40', {"index_gap", "root_mismatch"}),
    "the last record dropped": (
        f'DELETE FROM leaves WHERE "index" = {LAST}',
        {"size_mismatch", "checkpoint_ahead"},
    ),
    "a record behind the last": (
        f"""INSERT INTO leaves SELECT "index" + 1, 'mis_9', 0, data, hash, sealed FROM leaves
            WHERE "index" = {LAST}""",
        {"size_mismatch", "filed_wrong"},
    ),
    "two records exchanged": (
        """UPDATE leaves SET "index" = CASE "index" WHEN 40 THEN -1 WHEN 41 THEN 40 END
           WHERE "index" IN (40, 41)""",
        {"index_gap"},
    ),
    "a record filed elsewhere": (
        """UPDATE leaves SET chain = 'mis_9' WHERE "index" = 40""",
        {"filed_wrong"},
    ),
    "a record filed below zero": (
        """UPDATE leaves SET chain = 'mis_9', seq = -1 WHERE "index" = 40""",
        {"filed_wrong"},
    ),
    "a payload changed": (
        """UPDATE leaves SET sealed = CAST(sealed || x'31' AS BLOB) WHERE "index" = 40""",
        {"payload_changed"},
    ),
    "a payload dropped": (
        """UPDATE leaves SET sealed = x'' WHERE "index" = 40""",
        {"payload_missing"},
    ),
    "a payload where none was": (
        """UPDATE leaves SET sealed = x'00' WHERE "index" = 0""",
        {"payload_changed"},
    ),
    "an erased payload put back": (
        """UPDATE leaves SET sealed = x'00' WHERE chain = 'mis_2' AND seq = 0""",
        {"payload_restored"},
    ),
    "the size": ("UPDATE log SET size = size + 1", {"root_mismatch"}),
    "the frontier": ("UPDATE log SET hashes = zeroblob(length(hashes))", {"root_mismatch"}),
    "a head": ("UPDATE chains SET hash = zeroblob(32) WHERE chain = 'mis_1'", {"head_mismatch"}),
    "a head's place": ("UPDATE chains SET seq = 99 WHERE chain = 'mis_1'", {"head_mismatch"}),
    "a head dropped": ("DELETE FROM chains WHERE chain = 'mis_1'", {"head_mismatch"}),
    "a head invented": (
        "INSERT INTO chains VALUES ('mis_9', 0, zeroblob(32))",
        {"head_mismatch"},
    ),
    "a hash of tiles": ("UPDATE subtrees SET hash = zeroblob(32)", {"subtree_mismatch"}),
    "a hash of tiles dropped": ("DELETE FROM subtrees", {"subtree_mismatch"}),
    "a hash of tiles invented": (
        "INSERT INTO subtrees VALUES (1, 77, zeroblob(32))",
        {"subtree_mismatch"},
    ),
    "the newest checkpoint dropped": (
        "DELETE FROM checkpoints WHERE size = (SELECT max(size) FROM checkpoints)",
        set(),
    ),
    "the checkpoint of a hand-over dropped": (
        "DELETE FROM checkpoints WHERE size = 5",
        {"checkpoint_missing", "checkpoint_unsigned"},
    ),
    "a checkpoint filed elsewhere": (
        "UPDATE checkpoints SET size = 100000 WHERE size = 5",
        {"checkpoint_invalid"},
    ),
    "a bundle changed": (
        "UPDATE bundles SET doc = CAST(replace(CAST(doc AS TEXT), 'permit', 'forbid') AS BLOB)",
        {"bundle_altered"},
    ),
    "a bundle dropped": ("DELETE FROM bundles", {"bundle_altered"}),
    "a checkpoint unreadable": (
        "UPDATE checkpoints SET note = x'00' WHERE size = 5",
        {"checkpoint_invalid"},
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_changed_in_a_table_is_seen(store: Path, what: str) -> None:
    statement, expected = CHANGES[what]
    # The file beside the store is a second copy of the newest checkpoint.
    tamper(store, statement)
    found = codes(store)
    assert expected <= found
    assert bool(found) == bool(expected)


def test_without_any_checkpoint_an_auditor_with_a_key_is_not_content(store: Path) -> None:
    tamper(store, "DELETE FROM checkpoints")
    (store / "checkpoint").unlink()
    assert codes(store) == {"checkpoint_unsigned"}
    without = stores.verify(place(store))
    assert without.ok
    assert any("holds no checkpoint" in each for each in without.unverified)


def test_a_rewritten_history_cannot_be_signed_by_a_key_of_ones_own(
    store: Path, tmp_path: Path
) -> None:
    forger = History(tmp_path / "forged")
    forger.signers = [STRANGER]
    # It says of itself what the true one says, and adds its own key.
    forger.key(FIRST)
    forger.signers = [STRANGER]
    forger.work(4)
    forger.sign()
    forger.close()
    assert "checkpoint_unsigned" in codes(forger.folder)
    kept = Given("kept", (store / "checkpoint").read_bytes(), own=False)
    assert "checkpoint_ahead" in codes(forger.folder, Asked(trusting(FIRST), (kept,)))


def test_a_checkpoint_file_that_is_ahead_is_a_store_that_was_put_back(tmp_path: Path) -> None:
    made = small(tmp_path / "store")
    made.close()
    earlier = (made.folder / "store.db").read_bytes()
    again = stores.verify(place(made.folder), Asked(trusting()))
    assert again.ok
    with sqlite3.connect(made.folder / "store.db") as connection:
        connection.execute("UPDATE log SET syncs = syncs + 1")
    connection.close()
    ahead = Checkpoint("log.example/desk/1", 99, bytes(32))
    (made.folder / "checkpoint").write_bytes(checkpoint.sign(ahead, [SECOND]))
    (made.folder / "store.db").write_bytes(earlier)
    assert codes(made.folder) == {"checkpoint_ahead"}


@pytest.mark.parametrize(
    "content", [b"", b"x", b"\xff" * 5000, b"a\n1\nAAAA\n\n\xe2\x80\x94 a AAAA\n"]
)
def test_a_checkpoint_file_that_is_none_is_seen(store: Path, content: bytes) -> None:
    (store / "checkpoint").write_bytes(content)
    assert codes(store) == {"checkpoint_invalid"}


def test_a_link_in_place_of_the_checkpoint_file_is_not_followed(
    store: Path, tmp_path: Path
) -> None:
    (store / "checkpoint").rename(tmp_path / "elsewhere")
    (store / "checkpoint").symlink_to(tmp_path / "elsewhere")
    assert codes(store) == {"checkpoint_invalid"}


def test_an_older_checkpoint_file_is_said_and_no_flaw(store: Path) -> None:
    with sqlite3.connect(store / "store.db") as connection:
        (note,) = connection.execute("SELECT note FROM checkpoints WHERE size = 5").fetchone()
    connection.close()
    (store / "checkpoint").write_bytes(note)
    found = stores.verify(place(store), Asked(trusting()))
    assert found.ok
    assert any("it is older" in each for each in found.unverified)


def test_records_since_the_newest_checkpoint_are_counted(tmp_path: Path) -> None:
    made = small(tmp_path / "store")
    made.work(2)
    made.close()
    found = stores.verify(made.place, Asked(trusting()))
    assert found.ok
    assert found.unsigned == 4


def test_a_root_noted_before_must_still_be_the_beginning(store: Path) -> None:
    found = stores.verify(place(store))
    assert codes(store, Asked(noted=Noted(found.report.size, found.report.root.upper()))) == set()
    assert codes(store, Asked(noted=Noted(3, found.report.root))) == {"root_mismatch"}
    assert codes(store, Asked(noted=Noted(10**9, found.report.root))) == {"root_mismatch"}


SEEN = {
    "leaves": "*",
    "chains": "*",
    "log": "size, hashes",
    "subtrees": "*",
    "checkpoints": "*",
    # Their digests are read from the index alone.
    "bundles": "doc",
}


def dump(folder: Path) -> dict[str, list[object]]:
    """All that a reader of the log can see. Other rows are compared under the digest key."""
    with sqlite3.connect(f"file:{folder / 'store.db'}?immutable=1", uri=True) as connection:
        found = {
            name: connection.execute(f'SELECT {columns} FROM "{name}"').fetchall()
            for name, columns in SEEN.items()
        }
    connection.close()
    found["bundles"] = [json.loads(row[0])["files"] for row in found["bundles"]]
    return found


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small store in one file, which examples change and put right."""
    made = small(tmp_path_factory.mktemp("flat") / "store")
    made.close()
    yield made.folder
    assert codes(made.folder) == set()


@settings(max_examples=60)
@given(place_=st.integers(0), bit=st.integers(0, 7))
def test_a_flipped_bit_of_the_database_is_seen_or_changes_nothing(
    flat: Path, place_: int, bit: int
) -> None:
    database = flat / "store.db"
    good = database.read_bytes()
    before = dump(flat)
    changed = bytearray(good)
    changed[place_ % len(good)] ^= 1 << bit
    database.write_bytes(changed)
    try:
        seen = bool(codes(flat))
    except StoreError:
        seen = True
    try:
        same = dump(flat) == before
    except (sqlite3.Error, ValueError):
        same = False
    finally:
        database.write_bytes(good)
        for name in ("store.db-wal", "store.db-shm"):
            (flat / name).unlink(missing_ok=True)
    assert seen or same


@pytest.mark.slow
def test_no_flipped_bit_of_the_database_goes_unseen_or_unanswered(flat: Path, count) -> None:
    database = flat / "store.db"
    good = database.read_bytes()
    before = dump(flat)
    written = [place for place, byte in enumerate(good) if byte]
    draw = random.Random(17)
    for _ in range(count(1_500, 50_000)):
        changed = bytearray(good)
        changed[draw.choice(written)] ^= 1 << draw.randrange(8)
        database.write_bytes(changed)
        try:
            seen = bool(codes(flat))
        except StoreError:
            seen = True
        for name in ("store.db-wal", "store.db-shm"):
            (flat / name).unlink(missing_ok=True)
        if not seen:
            assert dump(flat) == before
    database.write_bytes(good)
