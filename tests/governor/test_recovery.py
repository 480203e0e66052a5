"""A store is opened as it was left, or refused: what was signed is never gone back behind."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bridle.governor.publishing.files import Files
from bridle.ledger import checkpoint, note
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.note import Signer
from bridle.model.errors import StoreError
from bridle.store.sqlite import SqliteStore
from governor.signing import ORIGIN, Logged


def left(tmp_path: Path, *copies: Path) -> Logged:
    """A store with a history, closed in order."""
    logged = Logged(tmp_path / "first", *copies)
    logged.act(4)
    logged.governor.close()
    return logged


def refused(logged: Logged) -> str:
    """The code of an opening that did not happen, and changed nothing."""
    before = logged.data()
    files = {each: each.read_bytes() for each in logged.copies if each.is_file()}
    with pytest.raises(StoreError) as problem:
        logged.start()
    assert problem.value.hint
    assert logged.data() == before
    assert files == {each: each.read_bytes() for each in files}
    return problem.value.code


def put_back(logged: Logged, earlier: Logged, *names: str) -> None:
    for name in names:
        (logged.state / name).unlink(missing_ok=True)
        if (earlier.state / name).exists():
            shutil.copy2(earlier.state / name, logged.state / name)


# --- what was put back --------------------------------------------------------------------------


def test_an_older_database_beside_a_newer_checkpoint_is_refused(tmp_path: Path) -> None:
    logged = left(tmp_path)
    earlier = logged.image(tmp_path / "earlier")
    logged.start()
    logged.act()
    logged.governor.close()
    put_back(logged, earlier, "store.db")
    assert refused(logged) == "store_rolled_back"


def test_a_whole_folder_that_was_put_back_is_shown_by_a_copy(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    logged = left(tmp_path, copy)
    earlier = logged.image(tmp_path / "earlier")
    logged.start()
    logged.act()
    logged.governor.close()
    shutil.rmtree(logged.state)
    shutil.copytree(earlier.state, logged.state)
    assert refused(logged) == "store_rolled_back"
    # Without the copy nothing here tells: that is what it is for.
    logged.copies = ()
    logged.start()
    logged.governor.close()


def test_a_database_that_lost_its_end_is_refused(tmp_path: Path) -> None:
    """As SQLite leaves it where frames at the end of its write-ahead log are damaged."""
    logged = Logged(tmp_path / "first")
    logged.act(3)
    logged.publisher.publish()
    crashed = logged.image(tmp_path / "crashed")
    logged.governor.close()
    log = crashed.state / "store.db-wal"
    with log.open("r+b") as file:
        file.seek(log.stat().st_size // 2)
        damaged = bytes(each ^ 0xFF for each in file.read(64))
        file.seek(-64, os.SEEK_CUR)
        file.write(damaged)
    with pytest.raises(StoreError) as problem:
        crashed.start()
    assert problem.value.code in {"store_rolled_back", "store_tampered"}


def test_a_log_that_somebody_made_anew_is_refused(tmp_path: Path) -> None:
    logged = left(tmp_path)
    other = Logged(tmp_path / "other")
    other.act(9)
    other.governor.close()
    put_back(logged, other, "store.db")
    for key in logged.place.keys.iterdir():
        key.unlink()
    for key in other.place.keys.iterdir():
        shutil.copy2(key, logged.place.keys / key.name)
    assert refused(logged) == "store_tampered"


def test_a_log_that_forked_under_its_own_key_is_refused(tmp_path: Path) -> None:
    """Two copies of one store were both gone on with: the second has to hold the first's word."""
    logged = left(tmp_path)
    twin = logged.image(tmp_path / "twin")
    for each in (logged, twin):
        each.start()
        each.act()
        each.governor.close()
    put_back(logged, twin, "store.db")
    assert refused(logged) == "store_tampered"


def signer(logged: Logged) -> Signer:
    (path,) = logged.place.keys.glob("log-*.key")
    return Signer(ORIGIN, path.read_bytes())


def test_a_checkpoint_of_more_than_there_is_is_refused_wherever_it_lies(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    logged = left(tmp_path, copy)
    root = logged.signed().root
    copy.write_bytes(checkpoint.sign(Checkpoint(ORIGIN, 999, root), [signer(logged)]))
    assert refused(logged) == "store_rolled_back"
    copy.write_bytes(checkpoint.sign(Checkpoint(ORIGIN, 3, root), [signer(logged)]))
    assert refused(logged) == "store_tampered"


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "no note": b"hello\n",
    "another log's": checkpoint.sign(
        Checkpoint("other.example/log", 3, bytes(32)), [Signer("other.example/log", bytes(32))]
    ),
    "a stranger's under its name": checkpoint.sign(
        Checkpoint(ORIGIN, 3, bytes(32)), [Signer(ORIGIN, bytes(32))]
    ),
    "far too long": b"x" * (note.MOST_BYTES * 2),
    "not text": b"\xff" * 300,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_checkpoint_of_this_log_is_refused_and_not_written_over(
    tmp_path: Path, name: str
) -> None:
    copy = tmp_path / "copy"
    logged = left(tmp_path, copy)
    copy.write_bytes(HOSTILE[name])
    assert refused(logged) == "store_tampered"
    shutil.copy2(copy, logged.file)
    logged.copies = ()
    assert refused(logged) == "store_tampered"


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "device"])
def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    copy = tmp_path / "copy"
    logged = left(tmp_path)
    if kind == "link":
        copy.symlink_to(logged.file)
    elif kind == "folder":
        copy.mkdir()
    elif kind == "pipe":
        os.mkfifo(copy)
    else:
        copy = Path("/dev/null")
    logged.copies = (copy,)
    with pytest.raises(StoreError) as problem:
        logged.start()
    assert problem.value.code == "checkpoint_unreadable"


def test_a_checkpoint_that_is_gone_is_put_there_again_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logged = left(tmp_path)
    logged.file.unlink()
    logged.start()
    assert "there is no checkpoint at" in caplog.text
    assert logged.holds(logged.signed())
    logged.governor.close()


# --- what does not follow from the leaves -------------------------------------------------------

EDITS = {
    "a record": (
        "update leaves set data = cast(replace(cast(data as text), 'kill', 'bill') as blob)"
    ),
    "a leaf hash": """update leaves set hash = zeroblob(32) where "index" = 2""",
    "the last record": """delete from leaves where "index" = (select max("index") from leaves)""",
    "a record between": """delete from leaves where "index" = 2""",
    "a chain": """update leaves set chain = 'mis_x' where "index" = 3""",
    "a place in a chain": """update leaves set seq = seq + 7 where "index" = 3""",
    "a head": "update chains set hash = zeroblob(32)",
    "a head that is gone": "delete from chains",
    "a head of nothing": "insert into chains values ('mis_x', 4, zeroblob(32))",
    "the root": "update log set hashes = zeroblob(length(hashes))",
    "the size": "update log set size = size + 1",
    "a checkpoint": "update checkpoints set note = x'00'",
    "a hash of a tile of no records": "insert into subtrees values (1, 0, zeroblob(32))",
    "a key": "update log_keys set doc = cast(replace(cast(doc as text), ':1', ':2') as blob)",
}


@pytest.mark.parametrize("name", EDITS)
def test_what_does_not_follow_from_the_records_is_refused(tmp_path: Path, name: str) -> None:
    logged = left(tmp_path)
    logged.edit(EDITS[name])
    with pytest.raises(StoreError) as problem:
        logged.start()
    assert problem.value.code in {"store_tampered", "store_corrupt", "store_rolled_back"}


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    """A log of more than two tiles."""
    logged = Logged(tmp_path_factory.mktemp("long"))
    logged.act(600)
    logged.governor.close()
    return logged


def test_hashes_of_tiles_that_an_older_store_lacks_are_filled_in(
    long: Logged, tmp_path: Path
) -> None:
    logged = long.image(tmp_path / "mine")

    def look(store: sqlite3.Connection) -> None:
        assert store.execute("select count(*) from subtrees").fetchone() == (2,)

    logged.edit(look)
    logged.edit("delete from subtrees where number = 0")
    logged.start()
    logged.edit(look)
    assert logged.publisher.publish()
    logged.governor.close()


def test_a_wrong_hash_of_a_tile_is_refused(long: Logged, tmp_path: Path) -> None:
    logged = long.image(tmp_path / "mine")
    logged.edit("update subtrees set hash = zeroblob(32) where number = 1")
    assert refused(logged) == "store_tampered"


# --- crashes ------------------------------------------------------------------------------------


def test_between_commit_and_file_nothing_is_lost(tmp_path: Path) -> None:
    logged = Logged(tmp_path / "first")
    images: list[Logged] = []

    class Crashing(Files):
        def put(self, note: bytes) -> bool:
            images.append(logged.image(tmp_path / f"crash-{len(images)}"))
            return super().put(note)

    logged.publisher._files = Crashing(logged.file)
    logged.act(2)
    logged.publisher.publish()
    (crashed, *_) = images
    assert crashed.signed().size < crashed.read(crashed.kept()[-1]).size
    before = crashed.read(crashed.kept()[-1])
    crashed.start()
    assert crashed.holds(before)
    assert crashed.signed().size == len(crashed.data())
    crashed.governor.close()
    logged.governor.close()


def test_between_signing_and_commit_the_signature_dies_with_the_process(tmp_path: Path) -> None:
    logged = Logged(tmp_path / "first")
    logged.act(2)
    logged.publisher.stop()
    store = logged.governor.core.store
    assert isinstance(store, SqliteStore)
    images: list[Logged] = []

    def hook() -> bool:
        images.append(logged.image(tmp_path / f"crash-{len(images)}"))
        return False

    store._connection.set_commit_hook(hook)
    logged.publisher.publish()
    store._connection.set_commit_hook(None)
    promised = logged.signed()
    (crashed,) = images
    assert crashed.signed().size < promised.size
    crashed.start()
    assert crashed.holds(promised)  # what was not let out was no other history either
    crashed.governor.close()
    logged.governor.close()


def test_a_crash_stands_on_record_and_an_orderly_end_does_not(tmp_path: Path) -> None:
    logged = Logged(tmp_path / "first")
    logged.again()
    assert logged.bodies("degraded") == []
    logged.act()
    last = logged.leaves()[-1].time
    crashed = logged.image(tmp_path / "crashed")
    crashed.start()
    (gap,) = crashed.bodies("degraded")
    assert gap["what"] == "interrupted"
    assert gap["since"] == last <= gap["until"]
    assert gap["relaxed_ms"] == 0
    said = [body["what"] for body in crashed.bodies() if body["what"] in {"opened", "closed"}]
    assert said == ["opened", "closed", "opened", "opened"]
    crashed.again()
    assert len(crashed.bodies("degraded")) == 1
    crashed.governor.close()
    logged.governor.close()


def test_what_relaxed_commits_may_have_lost_stands_on_record(tmp_path: Path) -> None:
    logged = Logged(tmp_path / "first")
    toml = (logged.root / "bridle.toml").read_text()
    (logged.root / "bridle.toml").write_text(
        toml.replace('version = "1"', 'version = "2"\ndurability = "relaxed"\nrelaxed_ms = 70')
    )
    logged.activate()
    crashed = logged.image(tmp_path / "crashed")
    crashed.start()
    (gap,) = crashed.bodies("degraded")
    assert gap["relaxed_ms"] == 70
    crashed.governor.close()
    logged.governor.close()


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from governor.signing import Logged
logged = Logged(Path(sys.argv[1]))
print("up", flush=True)
while True:
    logged.act()
    logged.publisher.publish()
    print(logged.file.read_bytes().hex(), flush=True)
"""


def test_a_governor_that_is_killed_while_signing_contradicts_nothing(tmp_path: Path) -> None:
    tests = str(Path(__file__).resolve().parents[1])
    seen: list[bytes] = []
    for number in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), tests], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        seen += [bytes.fromhex(process.stdout.readline()) for _ in range(3 + number)]
        process.send_signal(signal.SIGKILL)
        rest = process.communicate(timeout=30)[0]
        seen += [bytes.fromhex(line) for line in rest.splitlines(keepends=True) if line[-1] == "\n"]
    logged = Logged(tmp_path)
    assert all(logged.holds(logged.read(each)) for each in seen)
    assert [body["what"] for body in logged.bodies("degraded")] == ["interrupted"] * 5
    logged.governor.close()


def test_a_clock_that_was_put_back_does_not_run_the_log_backwards(tmp_path: Path) -> None:
    logged = Logged(tmp_path / "first")
    future = logged.governor.core.clock.now() + 3_600_000

    class Ahead:
        def now(self) -> int:
            return future

    logged.governor.core.clock = Ahead()
    logged.act()
    crashed = logged.image(tmp_path / "crashed")
    crashed.start()
    (gap,) = crashed.bodies("degraded")
    assert future == gap["since"] <= gap["until"]
    times = [each.time for each in crashed.leaves()]
    assert times == sorted(times)
    crashed.governor.close()
    logged.governor.close()


def test_two_governors_never_sign_for_one_store(tmp_path: Path) -> None:
    logged = Logged(tmp_path)
    before = logged.file.read_bytes()
    with pytest.raises(StoreError) as problem:
        Logged(tmp_path)
    assert problem.value.code == "store_locked"
    assert logged.file.read_bytes() == before
    assert len(logged.kept()) == 1
    logged.governor.close()


KEPT = Path(__file__).parents[1] / "data" / "store-0.1"


def test_a_store_of_an_earlier_release_is_signed_from_its_next_opening_on(tmp_path: Path) -> None:
    known = json.loads((KEPT / "known.json").read_text("utf-8"))
    logged = Logged(tmp_path, start=False)
    logged.state.mkdir(mode=0o700)
    logged.place.keys.mkdir(mode=0o700)
    for name in ("payload", "digest"):
        path = logged.place.keys / f"{name}.key"
        path.touch(0o600)
        path.write_bytes(bytes.fromhex(known[f"{name}_key"]))
    logged.place.database.touch(0o600)
    logged.edit((KEPT / "store.sql").read_text("utf-8"))
    with sqlite3.connect(logged.place.database) as store:
        (doc,) = store.execute("select doc from bundles").fetchone()
        (before,) = store.execute("select count(*) from leaves").fetchone()
    store.close()
    logged.write(json.loads(doc)["files"])
    logged.start()
    assert logged.holds(logged.signed())
    assert logged.signed().size > before
    first, second = logged.bodies()[-2:]
    assert (first["what"], first["state"], second["what"]) == ("key", "added", "opened")
    assert logged.bodies("degraded") == []
    logged.again()
    assert logged.holds(logged.signed())
    logged.governor.close()
