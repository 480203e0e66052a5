"""Attacks on the signed log: on its keys, its checkpoints, and on where they are put."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bridle.governor.governor import Governor
from bridle.governor.ground.opening import Site
from bridle.governor.ground.turn import Turn
from bridle.governor.publishing import copies
from bridle.governor.publishing.signed_log import MOST_KEYS
from bridle.ledger.note import Signer
from bridle.ledger.tree import leaf_hash
from bridle.model import calls
from bridle.model.calls import Failed, Listing
from bridle.model.errors import StoreError
from bridle.store import folders
from bridle.store.base import Tx
from bridle.store.rows import LogKeyRow
from bridle.store.sqlite import open_store
from governor.desk import FILES
from governor.signing import NAMED, ORIGIN, Logged


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[Logged]:
    made = Logged(tmp_path / "first")
    yield made
    made.governor.close()


def refused(logged: Logged) -> str:
    with pytest.raises(StoreError) as problem:
        logged.start()
    assert problem.value.hint
    return problem.value.code


# --- two governors of one log -------------------------------------------------------------------


def twins(tmp_path: Path) -> tuple[Logged, Logged, Path]:
    """A governor that runs, and a copy of its store with its keys, with the same copy to fill."""
    copy = tmp_path / "elsewhere"
    first = Logged(tmp_path / "first", copy)
    assert first.publisher.publish()
    second = first.image(tmp_path / "second")
    second.copies = (copy,)
    return first, second, copy


def test_a_twin_that_started_while_the_first_was_idle_keeps_it_from_signing_a_fork(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, copy = twins(tmp_path)
    second.start()  # nothing tells yet: it holds all that was ever signed
    second.act()
    assert second.publisher.publish()
    theirs, ours = copy.read_bytes(), first.file.read_bytes()
    first.act(20)
    assert not first.publisher.publish()
    first.governor.close()
    assert (first.file.read_bytes(), copy.read_bytes()) == (ours, theirs)
    assert "no checkpoint could be signed" in caplog.text
    # The one whose word lies in the copy goes on.
    second.act()
    assert second.publisher.publish()
    second.governor.close()
    assert refused(first) == "store_tampered"


def test_a_twin_is_not_given_a_new_key_either(tmp_path: Path) -> None:
    first, second, _ = twins(tmp_path)
    second.start()
    second.act(3)
    second.publisher.publish()
    assert first.refused(calls.RotateLogKey(as_user="ana")) == "store_rolled_back"
    assert len(list(first.place.keys.glob("log-*"))) == 1
    first.governor.close()
    second.governor.close()


def test_an_earlier_checkpoint_put_into_a_copy_is_replaced(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    logged = Logged(tmp_path / "first", copy)
    logged.publisher.publish()
    earlier = copy.read_bytes()
    logged.act()
    logged.publisher.publish()
    copy.write_bytes(earlier)
    logged.act()
    assert logged.publisher.publish()
    assert copy.read_bytes() == logged.file.read_bytes() != earlier
    logged.governor.close()


@pytest.mark.parametrize("name", ["rubbish", "link", "pipe", "folder"])
def test_what_is_put_in_place_of_a_copy_is_left_alone_and_stops_nobody(
    tmp_path: Path, name: str
) -> None:
    copy, other = tmp_path / "elsewhere", tmp_path / "other"
    logged = Logged(tmp_path / "first", copy)
    logged.publisher.publish()
    other.write_bytes(b"mine")
    copy.unlink()
    make: dict[str, Callable[[], object]] = {
        "rubbish": lambda: copy.write_bytes(b"mine"),
        "link": lambda: copy.symlink_to(other),
        "pipe": lambda: os.mkfifo(copy),
        "folder": copy.mkdir,
    }
    make[name]()
    before = copy.lstat()
    logged.act()
    assert not logged.publisher.publish()
    assert logged.holds(logged.signed())
    assert logged.signed().size == len(logged.data())
    assert copy.lstat().st_ino == before.st_ino
    assert other.read_bytes() == b"mine"
    logged.governor.close()


# --- a disk that hangs --------------------------------------------------------------------------


def test_a_copy_on_a_disk_that_hangs_stalls_neither_signing_nor_rotation_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As a mounted folder of a host that is gone: a system call that does not come back."""
    copy, well = tmp_path / "hung", tmp_path / "well"
    logged = Logged(tmp_path / "first", copy, well)
    reached, back, ordinary = threading.Event(), threading.Event(), folders.replace

    def replace(path: Path, data: bytes, *, mode: int = 0o600) -> None:
        if path == copy:
            reached.set()
            assert back.wait(60)
        ordinary(path, data, mode=mode)

    monkeypatch.setattr(folders, "replace", replace)
    monkeypatch.setattr(copies, "PATIENCE_S", 0.3)
    before = copy.read_bytes()
    logged.act()
    assert not logged.publisher.publish()
    assert reached.is_set()
    assert caplog.text.count("does not answer") == 1
    assert len(logged.rotate()) == 2
    logged.act()
    logged.publisher.publish()
    logged.governor.close()
    assert logged.leaves()[-1].body == {"what": "closed"}
    assert logged.signed().size == len(logged.data())
    assert well.read_bytes() == logged.file.read_bytes() != before
    assert copy.read_bytes() == before
    back.set()
    for each in threading.enumerate():
        if each.name == "bridle-checkpoint-copy":
            each.join()
    assert logged.holds(logged.signed(copy))


def test_a_copy_on_a_disk_that_hangs_at_the_start_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it holds is not known then, so nothing is signed."""
    copy, back = tmp_path / "hung", threading.Event()
    logged = Logged(tmp_path / "first", copy)
    logged.governor.close()
    ordinary = copies.read

    def read(path: Path) -> bytes | None:
        assert path != copy or back.wait(60)
        return ordinary(path)

    monkeypatch.setattr(copies, "read", read)
    monkeypatch.setattr(copies, "FIRST_PATIENCE_S", 0.1)
    assert refused(logged) == "checkpoint_unreadable"
    back.set()
    logged.start()
    logged.governor.close()


def test_a_copy_among_the_stores_own_files_is_refused(tmp_path: Path) -> None:
    logged = Logged(tmp_path / "first", start=False)
    for inside in (logged.state / "store.db-journal", logged.root / "copy"):
        logged.copies = (inside,)
        assert refused(logged) == "place_invalid"
        assert not inside.exists()


@pytest.mark.parametrize("option", ["copies", "told"])
@pytest.mark.parametrize("path", ["notes/file", "link/file", "notes/deep/er"])
def test_what_is_put_where_a_tool_writes_is_refused_also_by_a_new_bundle(
    tmp_path: Path, option: str, path: str
) -> None:
    """A tool could take records out of it that others are told of, or put some in."""
    (tmp_path / "notes" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "notes")
    systems = FILES["systems.toml"].replace(
        "[systems.notes]\n", f'[systems.notes]\nwrites = ["{tmp_path}/notes"]\n'
    )
    logged = Logged(tmp_path / "first")
    logged.governor.close()
    site = Site(
        state=logged.state,
        copies=(tmp_path / path,) if option == "copies" else (),
        told=(tmp_path / path,) if option == "told" else (),
    )
    logged.governor = Governor.open(logged.root, site=site, embedded=True)
    logged.write({**NAMED, "systems.toml": systems})
    reply = logged.activate()
    assert isinstance(reply, Failed)
    assert reply.code == "place_exposed"
    logged.governor.close()
    with pytest.raises(StoreError) as problem:
        Governor.open(logged.root, site=site, embedded=True)
    assert problem.value.code == "place_exposed"


# --- keys ---------------------------------------------------------------------------------------


def test_a_log_is_rotated_more_often_than_a_search_finds_rows(logged: Logged) -> None:
    """A search ends at a thousand rows: a key beyond it would neither sign nor be believed."""

    def rotated(turn: Turn) -> None:
        for _ in range(1_200):
            key = Signer(ORIGIN, os.urandom(32)).key
            row = LogKeyRow(id=key.id.hex(), key=str(key), added=turn.now, retired=turn.now)
            turn.tx.put(row)

    logged.governor.core.write(rotated)
    (first, *_) = logged.rotate()
    logged.rotate(retire=first["id"])
    logged.again()
    assert len(logged.verifiers()) == 1_202
    assert len(logged.by(logged.kept()[-1])) == 1
    assert logged.publisher.publish()


def test_more_keys_than_readers_look_at_do_not_come_to_sign(logged: Logged) -> None:
    for _ in range(MOST_KEYS - 1):
        logged.rotate()
    assert logged.refused(calls.RotateLogKey(as_user="ana")) == "too_many_keys"
    assert len(list(logged.place.keys.glob("log-*"))) == MOST_KEYS
    assert len(logged.by(logged.kept()[-1])) == MOST_KEYS
    logged.again()


def test_what_a_crash_left_of_making_a_key_is_not_kept_for_a_thief(logged: Logged) -> None:
    """The draft of a key's file holds its seed, and would outlive the key's retirement."""
    (first,) = logged.place.keys.glob("log-*.key")
    draft = first.with_name(f".{first.name}.0123456789abcdef")
    os.link(first, draft)
    others = {each.name for each in logged.place.keys.iterdir()} - {draft.name}
    logged.again()
    assert {each.name for each in logged.place.keys.iterdir()} == others


def test_nothing_that_is_shown_or_logged_holds_a_seed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    logged = Logged(tmp_path, tmp_path / "copy")
    rows = [*logged.rotate(), logged.publisher.keys.__dict__]
    status = logged.ask(calls.Status())
    assert isinstance(status, Listing)
    seeds = [each.read_bytes() for each in logged.place.keys.glob("*.key")]
    logged.governor.close()
    shown = f"{rows}{status.rows}{caplog.text}".encode()
    for each in tmp_path.rglob("*"):
        if each.is_file() and each.parent != logged.place.keys:
            shown += each.read_bytes()
    assert len(seeds) == 4
    for seed in seeds:
        assert seed not in shown
        assert seed.hex().encode() not in shown
        assert repr(seed).encode() not in shown


# --- stores -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        'DELETE FROM "checkpoints"',
        'DELETE FROM "log_keys"',
        'DELETE FROM "log"',
        'UPDATE "log" SET "size" = 1 << 62',
        'UPDATE "log" SET "size" = -1',
        'UPDATE "log" SET "size" = 0, "hashes" = x\'\'',
        'UPDATE "log" SET "hashes" = x\'00\'',
        'DELETE FROM "leaves"',
        'DELETE FROM "leaves" WHERE "index" = (SELECT max("index") FROM "leaves")',
        'UPDATE "leaves" SET "index" = -1 WHERE "index" = 0',
        'UPDATE "leaves" SET "data" = x\'7b7d\' WHERE "index" = 1',
        'UPDATE "leaves" SET "hash" = x\'00\' WHERE "index" = 1',
        'DELETE FROM "chains"',
        "INSERT INTO \"chains\" VALUES ('more', -1, x'')",
        'UPDATE "chains" SET "seq" = 9223372036854775807',
        'INSERT INTO "subtrees" VALUES (1, 0, zeroblob(32))',
        'INSERT INTO "subtrees" VALUES (7, 1 << 40, zeroblob(32))',
        "INSERT INTO \"checkpoints\" VALUES (1 << 62, x'00')",
        'UPDATE "checkpoints" SET "note" = zeroblob(100000)',
        'UPDATE "log_keys" SET "doc" = x\'00\'',
        'UPDATE "log_keys" SET "id" = "id" || \'0\'',
        "PRAGMA user_version = 4",
        "PRAGMA user_version = 0",
        "PRAGMA user_version = 99",
    ],
)
def test_a_store_that_somebody_edited_is_refused_by_name(logged: Logged, change: str) -> None:
    logged.act(3)
    logged.governor.close()
    logged.edit(change)
    before = logged.file.read_bytes()
    assert refused(logged).startswith(("store_", "log_key_"))
    assert logged.file.read_bytes() == before


@pytest.mark.parametrize("also", ["", "log_keys"])
def test_a_log_made_anew_to_look_like_release_0_1_is_not_signed_with_its_old_key(
    logged: Logged, also: str
) -> None:
    """No record that speaks for rows, no checkpoint, none beside the store: an upgrade has that."""
    logged.act(3)
    (key,) = logged.verifiers()
    logged.governor.close()
    data = logged.data()[2].replace(b'"rows"', b'"wors"')
    digest = leaf_hash(data)

    def change(store: sqlite3.Connection) -> None:
        for each in ("leaves", "chains", "checkpoints", "subtrees", also or "subtrees"):
            store.execute(f'DELETE FROM "{each}"')
        store.execute("INSERT INTO \"leaves\" VALUES (0, 'system', 0, ?, ?, x'')", (data, digest))
        store.execute("INSERT INTO \"chains\" VALUES ('system', 0, ?)", (digest,))
        store.execute('UPDATE "log" SET "size" = 1, "hashes" = ?', (digest,))

    logged.edit(change)
    logged.file.unlink()
    if not also:
        assert refused(logged) == "store_tampered"
        return
    # With its key gone it is another log, under a key that nobody trusts yet.
    logged.start()
    assert key not in logged.verifiers()


# --- what grows ---------------------------------------------------------------------------------


def test_a_batch_of_many_chains_costs_what_its_records_cost(tmp_path: Path) -> None:
    """As when many missions end at once: nobody decides meanwhile."""

    def cost(count: int) -> float:
        with closing(open_store(tmp_path / str(count) / "store.db")) as store:

            def appended(tx: Tx) -> None:
                for number in range(count):
                    data = b"%d" % number
                    tx.append(f"m{number}", 0, data, leaf_hash(data), b"")

            before = time.process_time()
            store.write(appended)
            return time.process_time() - before

    few = min(cost(each) for each in (2_000, 2_001, 2_002))
    assert cost(30_000) < few * 60  # fifteen times the records; with each other, 225 times
