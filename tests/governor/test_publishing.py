"""A log is signed as it grows: nothing too early, nothing twice, by nobody else."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridle.governor.publishing.files import Files
from bridle.ledger import checkpoint
from bridle.ledger.errors import LedgerError
from bridle.model import calls
from bridle.model.calls import Done, Failed, Listing
from bridle.model.errors import StoreError
from bridle.store.base import Tx
from bridle.store.sqlite import SqliteStore
from governor.desk import AGENT, FILES, Desk
from governor.signing import NAMED, ORIGIN, Logged


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[Logged]:
    made = Logged(tmp_path)
    yield made
    made.governor.close()


def store_of(logged: Logged) -> SqliteStore:
    store = logged.governor.core.store
    assert isinstance(store, SqliteStore)
    return store


# --- what is signed -----------------------------------------------------------------------------


def test_a_new_log_is_signed_from_its_first_record_on(logged: Logged) -> None:
    (key,) = logged.verifiers()
    assert logged.signed().size == len(logged.data())
    assert logged.holds(logged.signed())
    first, second, *_ = logged.bodies()
    assert first | {"rows": ...} == {
        "what": "key", "key": str(key), "state": "added", "rows": ...
    }  # fmt: skip
    assert {name: second[name] for name in ("what", "origin", "keys")} == {
        "what": "opened", "origin": ORIGIN, "keys": [str(key)]
    }  # fmt: skip


def test_what_is_appended_is_signed_without_anyone_asking(tmp_path: Path) -> None:
    logged, put = Logged(tmp_path), threading.Event()

    class Told(Files):
        def put(self, note: bytes) -> bool:
            done = super().put(note)
            put.set()
            return done

    logged.publisher._files = Told(logged.file)
    logged.act()
    assert put.wait(20)
    assert logged.holds(logged.signed())
    assert logged.signed().size == len(logged.data())
    logged.governor.close()


def test_closing_records_and_signs_the_end(logged: Logged) -> None:
    logged.act(3)
    logged.governor.close()
    assert logged.leaves()[-1].body == {"what": "closed"}
    assert logged.signed().size == len(logged.data())
    logged.governor.close()
    assert [body["what"] for body in logged.bodies()].count("closed") == 1


def test_nothing_follows_the_record_of_the_end(logged: Logged) -> None:
    log = logged.governor._log
    assert log is not None
    log.end()
    assert logged.refused(calls.Kill(scope="all", as_user="ana")) == "store_closed"
    assert logged.leaves()[-1].body == {"what": "closed"}


def test_all_that_was_ever_signed_is_the_past_of_the_log(logged: Logged) -> None:
    notes: list[bytes] = []
    for number in range(40):
        logged.act(1 + number % 9)
        if number % 10 == 3:
            logged.again()
        assert logged.publisher.publish()
        notes.append(logged.file.read_bytes())
    sizes = [logged.read(each).size for each in notes]
    assert sizes == sorted(sizes)
    assert all(logged.holds(logged.read(each)) for each in notes)
    assert len(logged.kept()) == 1


def test_a_log_that_did_not_grow_is_not_signed_again(logged: Logged) -> None:
    before = logged.file.stat()
    assert logged.publisher.publish()
    assert logged.file.stat() == before


def test_status_says_what_is_signed(logged: Logged) -> None:
    logged.act()
    reply = logged.ask(calls.Status())
    assert isinstance(reply, Listing)
    (row,) = reply.rows
    assert row["origin"] == ORIGIN
    assert row["signed"] + row["unsigned"] == row["leaves"]
    assert row["signed"] == logged.read(logged.kept()[-1]).size


# --- what must never be signed ------------------------------------------------------------------


def test_a_signature_does_not_outlive_a_commit_that_fails(logged: Logged) -> None:
    logged.act()
    assert logged.publisher.publish()
    before, kept = logged.file.read_bytes(), logged.kept()
    logged.act()
    logged.publisher.stop()
    connection = store_of(logged)._connection
    connection.set_commit_hook(lambda: True)  # SQLite rolls back instead
    assert not logged.publisher.publish()
    assert (logged.file.read_bytes(), logged.kept()) == (before, kept)
    connection.set_commit_hook(None)
    assert logged.publisher.publish()
    assert logged.holds(logged.signed())


def test_signing_waits_for_all_that_was_committed_without_waiting(logged: Logged) -> None:
    store = store_of(logged)
    store._timer.stop()  # nobody else syncs
    logged.governor.core.write(lambda turn: turn.finish(), relaxed=True)
    store.write(Tx_touch, relaxed=True)
    assert store._timer.pending
    logged.act()
    logged.publisher.publish()
    assert not store._timer.pending


def Tx_touch(tx: Tx) -> None:  # noqa: N802 (it stands for a job)
    tx.touch()  # type: ignore[attr-defined]


def test_a_log_that_was_cut_under_the_governor_is_not_signed(logged: Logged) -> None:
    """Whoever writes the store of a running governor gains no signature over what is left."""
    logged.act(5)
    logged.publisher.publish()
    logged.publisher.stop()
    before = logged.file.read_bytes()

    def cut(tx: Tx) -> None:
        connection = tx._connection  # type: ignore[attr-defined]
        connection.execute('delete from leaves where "index" > 2; delete from checkpoints')
        connection.execute("delete from chains")
        kept = [stored.hash for stored in tx.leaves()]
        frontier = frontier_of(kept)
        connection.execute(
            "update log set size = ?, hashes = ?", (frontier.size, b"".join(frontier.hashes))
        )

    from bridle.ledger.tree import frontier_of

    store_of(logged).write(cut)
    assert not logged.publisher.publish()
    assert logged.file.read_bytes() == before
    assert logged.kept() == []


def test_a_log_that_was_rewritten_under_the_governor_is_not_signed(logged: Logged) -> None:
    logged.act(5)
    logged.publisher.publish()
    logged.publisher.stop()
    store_of(logged).write(
        lambda tx: tx._connection.execute(  # type: ignore[attr-defined]
            'update leaves set hash = zeroblob(32) where "index" = 1'
        )
    )
    before = logged.file.read_bytes()
    logged.act()
    assert not logged.publisher.publish()
    assert logged.file.read_bytes() == before


def test_the_log_of_a_throw_away_store_is_not_signed() -> None:
    desk = Desk()
    assert desk.core.write(lambda turn: turn.tx.checkpoints()) == []
    assert not [
        each for each in desk.leaves() if each.kind == "log" and each.body["what"] != "rows"
    ]
    assert desk.refused(calls.RotateLogKey(as_user="ana")) == "no_log"


# --- keys ---------------------------------------------------------------------------------------


def test_whoever_trusts_the_first_key_is_led_to_the_last_one(logged: Logged) -> None:
    (first,) = logged.verifiers()
    for _ in range(3):
        rows = logged.rotate()
        logged.act(2)
        logged.publisher.publish()
        logged.rotate(retire=next(row["id"] for row in rows if row["state"] == "signs"))
        logged.act()
        logged.publisher.publish()
    leaves = logged.leaves()
    trusted = {str(first): first}
    for data in logged.kept():  # what every copy of the store holds
        try:
            signed = checkpoint.read(data, trusted.values()).checkpoint
        except LedgerError:
            pytest.fail("a checkpoint that nobody trusted signs")
        assert logged.holds(signed)
        for each in leaves[: signed.size]:
            if each.kind == "log" and each.body.get("state") == "added":
                key = next(key for key in logged.verifiers() if str(key) == each.body["key"])
                trusted[str(key)] = key
    assert len(trusted) == 4
    assert logged.by(logged.file.read_bytes()) == logged.verifiers()[-1:]


def test_both_keys_sign_while_both_are_in_force(logged: Logged) -> None:
    assert [row["state"] for row in logged.rotate()] == ["signs", "signs"]
    assert logged.by(logged.file.read_bytes()) == logged.verifiers()
    logged.again()
    logged.act()
    logged.publisher.publish()
    assert logged.by(logged.file.read_bytes()) == logged.verifiers()


def test_a_key_that_is_retired_signs_no_more_and_lies_nowhere(logged: Logged) -> None:
    old, new = logged.rotate()
    files = {each.name for each in logged.place.keys.glob("log-*")}
    assert files == {f"log-{old['id']}.key", f"log-{new['id']}.key"}
    rows = logged.rotate(retire=old["id"])
    assert [row["state"] for row in rows] == ["retired", "signs"]
    assert [each.name for each in logged.place.keys.glob("log-*")] == [f"log-{new['id']}.key"]
    assert [str(key) for key in logged.by(logged.file.read_bytes())] == [new["key"]]
    states = [(body["key"], body["state"]) for body in logged.bodies() if body["what"] == "key"]
    assert states[1:] == [(new["key"], "added"), (old["key"], "retired")]
    logged.again()
    assert logged.bodies()[-1]["keys"] == [new["key"]]


def test_the_last_key_and_unknown_ones_are_not_retired(logged: Logged) -> None:
    (only,) = logged.verifiers()
    before = len(logged.data())
    assert logged.refused(calls.RotateLogKey(retire=only.id.hex(), as_user="ana")) == "last_key"
    assert logged.refused(calls.RotateLogKey(retire="00000000", as_user="ana")) == "not_found"
    assert logged.refused(calls.RotateLogKey(retire="../x", as_user="ana")) == "not_found"
    old, _ = logged.rotate()
    logged.rotate(retire=old["id"])
    assert logged.refused(calls.RotateLogKey(retire=old["id"], as_user="ana")) == "not_found"
    assert [each.kind for each in logged.leaves()[before:]] == ["log", "log"]


def test_who_may_not_operate_gets_no_key_and_leaves_none(logged: Logged) -> None:
    before, files = logged.data(), sorted(logged.place.keys.iterdir())
    assert logged.refused(calls.RotateLogKey(as_user="cleo")) == "not_an_operator"
    assert logged.refused(calls.RotateLogKey(as_user="ana"), AGENT) == "operator_only"
    assert logged.data() == before
    assert sorted(logged.place.keys.iterdir()) == files


def test_a_key_that_no_record_names_is_swept_and_never_signs(logged: Logged) -> None:
    """A process died between making a key and recording it."""
    log = logged.governor._log
    assert log is not None
    made = log.make()
    assert log._held.path(made.id).exists()
    logged.again()
    assert not log._held.path(made.id).exists()
    assert [key.id.hex() for key in logged.by(logged.file.read_bytes())] != [made.id]


def test_private_keys_are_the_owners_alone(logged: Logged) -> None:
    (path,) = logged.place.keys.glob("log-*.key")
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_bytes()) == 32


@pytest.mark.parametrize("left", [None, b"", b"x" * 32, b"x" * 31])
def test_without_the_private_key_a_log_is_not_gone_on_with(
    tmp_path: Path, left: bytes | None
) -> None:
    logged = Logged(tmp_path)
    logged.governor.close()
    (path,) = logged.place.keys.glob("log-*.key")
    path.unlink()
    if left is not None:
        path.touch(0o600)
        path.write_bytes(left)
    before = logged.data()
    with pytest.raises(StoreError) as refused:
        logged.start()
    assert refused.value.code in {"log_key_missing", "key_invalid"}
    assert logged.data() == before


# --- the name of the log ------------------------------------------------------------------------


def test_a_log_that_nobody_named_has_a_name_of_its_own(tmp_path: Path) -> None:
    names = set()
    for each in ("one", "two"):
        logged = Logged(tmp_path / each, files=FILES)
        names.add(logged.signed().origin)
        logged.governor.close()
    assert len(names) == 2
    assert all(name.startswith("localhost/governor-tests/") for name in names)


def test_a_log_keeps_its_name(logged: Logged) -> None:
    logged.write({**NAMED, "bridle.toml": NAMED["bridle.toml"].replace(ORIGIN, "example.com/x")})
    reply = logged.activate()
    assert isinstance(reply, Failed)
    assert reply.code == "origin_changed"
    logged.write(FILES)
    assert isinstance(logged.activate(), Done)
    logged.act()
    logged.publisher.publish()
    assert logged.signed().origin == ORIGIN


# --- where it is put ----------------------------------------------------------------------------


def test_copies_get_every_checkpoint_and_anyone_may_read_them(tmp_path: Path) -> None:
    copies = [tmp_path / "elsewhere" / "one", tmp_path / "two"]
    copies[0].parent.mkdir()
    logged = Logged(tmp_path, *copies)
    logged.act()
    logged.publisher.publish()
    for copy in copies:
        assert copy.read_bytes() == logged.file.read_bytes()
        assert copy.stat().st_mode & 0o777 == 0o644
    logged.governor.close()
    assert {copy.read_bytes() for copy in copies} == {logged.file.read_bytes()}


def test_a_copy_that_cannot_be_written_keeps_nobody_from_acting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = tmp_path / "mounted" / "later"
    logged = Logged(tmp_path, copy)
    logged.act()
    assert not logged.publisher.publish()
    assert logged.holds(logged.signed())
    assert caplog.text.count("cannot be put") == 1
    copy.parent.mkdir()
    assert logged.publisher.publish()
    assert copy.read_bytes() == logged.file.read_bytes()
    logged.governor.close()


def test_a_copy_where_tools_write_is_refused(tmp_path: Path) -> None:
    systems = FILES["systems.toml"].replace(
        "[systems.notes]\n", f'[systems.notes]\nwrites = ["{tmp_path}/notes"]\n'
    )
    logged = Logged(
        tmp_path,
        tmp_path / "notes" / "copy",
        files={**FILES, "systems.toml": systems},
        start=False,
    )
    with pytest.raises(StoreError) as refused:
        logged.start()
    assert refused.value.code == "place_exposed"


# --- the thread ---------------------------------------------------------------------------------


def publishers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "bridle-publisher"]


def test_the_thread_ends_with_the_governor(tmp_path: Path) -> None:
    before = publishers()
    logged = Logged(tmp_path)
    logged.act()
    assert len(publishers()) == len(before) + 1
    logged.act(3)
    assert len(publishers()) == len(before) + 1
    logged.governor.close()
    assert publishers() == before


FORK = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from governor.signing import Logged
logged = Logged(Path(sys.argv[1]))
logged.act()
child = os.fork()
if child == 0:
    logged.publisher.publish()
    logged.governor.close()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
logged.act()
logged.governor.close()
ends = [body["what"] for body in logged.bodies()].count("closed")
print(logged.signed().size == len(logged.data()), ends)
"""


def test_a_forked_child_neither_signs_nor_ends_the_log(tmp_path: Path) -> None:
    tests = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, str(tmp_path), tests],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["True", "1"]
