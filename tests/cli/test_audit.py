"""`bridle audit verify`: offline, read-only, and every change of what is stored is found."""

import shutil
from pathlib import Path

import apsw
import pytest


@pytest.fixture
def store(kept: Path, tmp_path: Path) -> Path:
    """A copy of its store to tamper with."""
    (folder,) = [file.parent for file in (kept / "state").rglob("store.db")]
    copy = tmp_path / "store"
    shutil.copytree(folder, copy)
    copy.chmod(0o700)
    return copy


def tamper(store: Path, statement: str, *values: object) -> None:
    connection = apsw.Connection(str(store / "store.db"))
    connection.execute(statement, values)
    assert connection.changes() > 0
    connection.close()


def test_the_ledger_of_a_bundle_verifies(kept: Path, shell_at) -> None:
    ran = shell_at(kept)("audit", "verify", kept / "demo" / "bundle", "--json")
    assert ran.code == 0
    report = ran.json
    assert report["ok"] is True
    assert report["anchored"] is True
    assert sum(report["kinds"].values()) == report["size"] > 40
    assert report["payloads"]["opened"] > 0
    text = shell_at(kept)("audit", "verify", kept / "demo" / "bundle").out
    assert report["root"] in text
    assert "the ledger verifies" in text


def test_looking_changes_nothing(store: Path, bridle_) -> None:
    def files() -> dict[Path, bytes]:
        # SQLite's shared memory and an empty log beside the database are no part of the store.
        found = [file for file in store.rglob("*") if file.is_file()]
        return {
            file: file.read_bytes()
            for file in found
            if file.suffix != ".db-shm" and file.stat().st_size
        }

    before = files()
    assert bridle_("audit", "verify", "--store", store).code == 0
    assert files() == before


def test_it_works_beside_a_governor(bridle_, starter: Path, serving) -> None:
    serving(starter)
    assert bridle_("audit", "verify", starter).code == 0
    assert bridle_("missions", "start", "desk", starter, "--user", "me").code == 0
    assert bridle_("audit", "verify", starter).code == 0


LAST = 'WHERE "index" = (SELECT max("index") FROM "leaves")'
FLIPPED = """CAST(replace(CAST("data" AS TEXT), 'a', 'b') AS BLOB)"""
TAMPERING = [
    (f'UPDATE "leaves" SET "data" = {FLIPPED} {LAST}', "root_mismatch"),
    ('DELETE FROM "leaves" WHERE "index" = 7', "index_gap"),
    (f'DELETE FROM "leaves" {LAST}', "size_mismatch"),
    ("""UPDATE "leaves" SET "chain" = 'other' WHERE "index" = 9""", "filed_wrong"),
    ('UPDATE "leaves" SET "sealed" = zeroblob(80) WHERE "index" = 12', "payload_unopenable"),
    ('UPDATE "log" SET "hashes" = zeroblob(length("hashes"))', "root_mismatch"),
]


@pytest.mark.parametrize(("statement", "code"), TAMPERING)
def test_what_was_tampered_with_is_found(bridle_, store: Path, statement: str, code: str) -> None:
    tamper(store, statement)
    ran = bridle_("audit", "verify", "--store", store, "--json")
    assert ran.code == 1
    assert code in {flaw["code"] for flaw in ran.json["findings"]}
    text = bridle_("audit", "verify", "--store", store)
    assert text.code == 1
    assert f"[{code}]" in text.out
    assert "does not verify" in text.out


def test_without_the_key_the_log_still_verifies(bridle_, store: Path) -> None:
    shutil.rmtree(store / "keys")
    ran = bridle_("audit", "verify", "--store", store, "--json")
    assert ran.code == 0
    assert ran.json["payloads"]["unopened"] > 0
    assert ran.json["rows"] is None
    assert "not compared" in bridle_("audit", "verify", "--store", store).out


@pytest.mark.parametrize("content", [None, b"", b"no database at all" * 100])
def test_no_store_is_said_with_its_code(bridle_, tmp_path: Path, content: bytes | None) -> None:
    folder = tmp_path / "empty"
    folder.mkdir(mode=0o700)
    if content is not None:
        (folder / "store.db").write_bytes(content)
        (folder / "store.db").chmod(0o600)
    ran = bridle_("audit", "verify", "--store", folder)
    assert ran.code == 3
    assert "[store_" in ran.err


def test_a_bundle_that_was_never_served_has_no_ledger(bridle_, starter: Path) -> None:
    ran = bridle_("audit", "verify", starter)
    assert ran.code == 3
    assert "[store_missing]" in ran.err
