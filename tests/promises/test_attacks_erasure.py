"""Attacks on erasure: what keeps a copy, what comes back, what can be guessed, who is kept waiting.

Each was possible, or nearly so; what keeps them off is named by the tests.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import apsw
import pytest

import bridle
from bridle.governor.governor import Governor
from bridle.governor.oversight import scrubbing
from bridle.model import calls
from bridle.model.calls import Caller
from bridle.store.rows import ActionRow, GlobalRow, HoldRow, KillRow, Row
from bridle.store.sqlite import rewriting
from bridle.store.sqlite.reading import snapshot
from governor.desk import Desk
from promises.test_erasure import HUMAN, Store, store

__all__ = ["store"]

BASIS = "request 17"


def redact(governor: Governor, mission: str) -> dict[str, Any]:
    call = calls.Redact(mission=mission, basis=BASIS, as_user="ana")
    reply = governor.handle(HUMAN, call)
    assert isinstance(reply, calls.Listing), reply
    return reply.rows[0]


def scrubbed(store: Store) -> bool:
    with snapshot(store.state / "store.db") as tx:
        row = tx.get(GlobalRow, "global")
    assert row is not None
    return not row.unscrubbed


# --- copies that stay -----------------------------------------------------------------------------


def test_a_reader_that_outlives_the_governor_cannot_keep_erased_bytes_for_good(
    store: Store,
) -> None:
    governor = Governor.open(store.bundle, embedded=True)
    with snapshot(store.state / "store.db") as tx:
        assert tx.frontier().size
        assert redact(governor, store.mission)["unscrubbed"] == scrubbing.READ
        governor.close()  # in order: nothing looks unfinished
    assert not scrubbed(store)
    Governor.open(store.bundle, embedded=True).close()
    store.erased()
    assert scrubbed(store)
    store.verified()


_OPENING = """
import os, signal, sys
from pathlib import Path
from bridle.governor.governor import Governor
from bridle.store.sqlite import rewriting
rewriting.rewrite = lambda connection: os.kill(os.getpid(), signal.SIGKILL)
Governor.open(Path(sys.argv[1]), embedded=True)
"""


def test_killing_every_governor_that_scrubs_only_delays_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrubbing, "AT_ONCE", 0)
    governor = Governor.open(store.bundle, embedded=True)
    redact(governor, store.mission)
    monkeypatch.setattr(governor._scrubber, "complete", lambda: None)
    governor.close()
    for _ in range(2):  # the second one finds the beginning of the first on record
        killed = subprocess.run(
            [sys.executable, "-c", _OPENING, store.bundle],
            check=False,
            capture_output=True,
            timeout=50,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert not scrubbed(store)
    Governor.open(store.bundle, embedded=True).close()
    store.erased()
    store.verified()


def test_the_copy_that_a_killed_scrubbing_left_is_removed(store: Store) -> None:
    draft = store.state / "store.db-scrub"
    shutil.copy(store.state / "store.db", draft)
    Governor.open(store.bundle, embedded=True).close()
    assert not draft.exists()


def test_scrubbing_writes_nothing_outside_the_stores_folder(store: Store) -> None:
    """Not even as files without a name: every descriptor that is open meanwhile is looked at."""
    seen: set[str] = set()
    before = opened()
    governor = Governor.open(store.bundle, embedded=True)
    connection = governor.core.store._connection  # type: ignore[attr-defined]

    def look() -> bool:
        seen.update(opened())
        return False

    connection.set_progress_handler(look, 10)
    assert redact(governor, store.mission)["scrubbed"]
    connection.set_progress_handler(None)
    governor.close()
    mine = {Path(each) for each in seen - before if each.startswith("/")}
    assert any("store.db-scrub" in each.name for each in mine)
    assert {each.parent for each in mine if each.parent != store.state} <= {
        Path("/proc/self"),
        Path(f"/proc/{os.getpid()}"),
        store.state.parent,
    }


def opened() -> set[str]:
    found: set[str] = set()
    for each in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(each.readlink()))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("share", [1, 8], ids=["copying back", "copying"])
def test_a_full_disk_leaves_a_governor_that_decides_and_scrubs_later(
    store: Store, monkeypatch: pytest.MonkeyPatch, share: int
) -> None:
    governor = Governor.open(store.bundle, embedded=True)
    whole = rewriting.rewrite

    def filled(connection: apsw.Connection) -> None:
        """The disk is full half-way through, which no look at it beforehand foretells."""
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (store_size(store) // share, before[1]))
        try:
            whole(connection)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)

    with monkeypatch.context() as patch:
        patch.setattr(rewriting, "rewrite", filled)
        row = redact(governor, store.mission)
    assert (row["scrubbed"], row["unscrubbed"]) == (False, scrubbing.FAILED)
    assert not (store.state / "store.db-scrub").exists()
    begun = calls.StartMission(template="office", user="ana", as_user="ana")
    assert isinstance(governor.handle(HUMAN, begun), calls.Opened)
    governor.tick()
    assert not scrubbed(store)  # and nobody waits for another attempt twice a second
    governor.close()
    store.erased()
    store.verified()


def store_size(store: Store) -> int:
    return (store.state / "store.db").stat().st_size


def test_too_little_space_is_seen_before_the_disk_is_filled(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    governor = Governor.open(store.bundle, embedded=True)
    with monkeypatch.context() as patch:
        usage = shutil.disk_usage(store.state)._replace(free=store_size(store))
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        assert redact(governor, store.mission)["unscrubbed"] == scrubbing.FAILED
        (log,) = store.state.glob("store.db-wal")
        assert log.stat().st_size == 0
    governor.close()
    store.erased()


def test_a_large_store_is_not_written_anew_while_agents_wait(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrubbing, "AT_ONCE", store_size(store) // 2)
    with bridle.open(store.bundle, embedded=True) as governor:
        [row] = governor.redact(store.mission, basis=BASIS, as_user="ana")
        assert (row["scrubbed"], row["unscrubbed"]) == (False, scrubbing.LARGE)
        assert not governor.status()["scrubbed"]
        (log,) = store.state.glob("store.db-wal")
        assert not any(secret in log.read_bytes() for secret in store.sealed)
    store.erased()
    assert scrubbed(store)
    store.verified()


def test_an_erasure_while_another_is_scrubbed_is_not_taken_for_scrubbed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    governor = Governor.open(store.bundle, embedded=True)
    whole = governor.core.store.scrub

    def meanwhile(*, again: bool = False) -> bool:
        done = whole(again=again)
        monkeypatch.undo()
        call = calls.Redact(mission=store.other, basis=BASIS, as_user="ana", scrub=False)
        assert isinstance(governor.handle(HUMAN, call), calls.Listing)
        return done

    monkeypatch.setattr(governor.core.store, "scrub", meanwhile)
    redact(governor, store.mission)
    assert not scrubbed(store)
    governor.tick()
    assert scrubbed(store)
    governor.close()
    store.erased()
    store.sealed = store.kept
    store.erased()


def test_many_callers_during_a_scrub_are_all_answered_in_time(store: Store) -> None:
    governor = Governor.open(store.bundle, embedded=True)
    begun = calls.StartMission(template="office", user="ana", as_user="ana")
    mission = governor.handle(HUMAN, begun)
    assert isinstance(mission, calls.Opened)
    opened = governor.handle(
        HUMAN, calls.OpenSession(mission=mission.id, agent="clerk", as_user="ana")
    )
    assert isinstance(opened, calls.Opened)
    agent = Caller(operator=False, method="uid", uid=os.geteuid())
    waits: list[float] = []
    replies: list[Any] = []
    go = threading.Barrier(65)

    def decide(number: int) -> None:
        go.wait()
        for again in range(4):
            start = time.monotonic()
            call = calls.Decide(
                session=opened.id, tool="note.read", args='{"id": 7}', key=f"{number}-{again}"
            )
            replies.append(governor.handle(agent, call))
            waits.append(time.monotonic() - start)

    threads = [threading.Thread(target=decide, args=(number,)) for number in range(64)]
    for each in threads:
        each.start()
    go.wait()
    assert redact(governor, store.mission)["scrubbed"]
    for each in threads:
        each.join()
    governor.close()
    assert {reply.verdict.effect for reply in replies} == {"allow"}
    assert max(waits) < 10  # what a client waits
    store.erased()
    store.verified()


# --- who asks -------------------------------------------------------------------------------------


def test_a_workload_that_speaks_for_users_erases_nothing_in_their_name(store: Store) -> None:
    governor = Governor.open(store.bundle, embedded=True)
    portal = Caller(operator=False, method="ed25519", uid=os.geteuid(), workload="portal")
    for call in (
        calls.Redact(mission=store.mission, basis=BASIS, as_user="ana"),
        calls.Redact(mission=store.mission, basis=BASIS, as_user="ana", preview=True),
        calls.Redact(mission=store.mission, basis=BASIS, as_user="ana", scrub=False),
    ):
        reply = governor.handle(portal, call)
        assert isinstance(reply, calls.Failed)
        assert reply.code == "operator_only"
    governor.close()
    assert store.still_sealed() > 0
    assert store.redactions() == []


def test_an_erasure_asked_for_again_erases_and_records_nothing_more(store: Store) -> None:
    governor = Governor.open(store.bundle, embedded=True)
    first, again = redact(governor, store.mission), redact(governor, store.mission)
    governor.close()
    assert (first["records"] > 0, first["leaf"] > 0) == (True, True)
    assert (again["records"], again["rows"], again["leaf"]) == (0, 0, -1)
    assert len(store.redactions()) == 1


# --- what can be guessed --------------------------------------------------------------------------


def test_no_digest_that_stays_confirms_a_guess_of_what_was_erased() -> None:
    """Whoever holds the store's keys knows all of a row but what was erased from it."""
    desk = Desk()
    desk._mission = desk.start_mission()
    desk.decide("note.write", "denied", text="gossip")
    desk.decide("bank.pay", "held", amount=60, order=9)
    desk.decide("note.read", "allowed", id=7)
    kinds: tuple[type[Row], ...] = (ActionRow, HoldRow)
    rows = desk.core.write(
        lambda turn: [row for kind in kinds for row in turn.tx.find(kind, mission=desk.mission)]
    )
    assert len(rows) == 4
    for row in rows:
        assert getattr(row, "sealed", b"") or getattr(row, "salt", ""), row
    desk.done(calls.MissionVerb(mission=desk.mission, verb="close", as_user="ana"))
    desk.done(calls.Redact(mission=desk.mission, basis=BASIS, as_user="ana"))
    for kind in kinds:
        for row in desk.core.write(lambda turn, kind=kind: turn.tx.find(kind, limit=99)):
            assert not getattr(row, "sealed", b""), row
            assert not getattr(row, "salt", ""), row
    desk.verified()


def test_the_reason_of_a_kill_in_force_goes_with_its_record() -> None:
    desk = Desk()
    desk.rows(calls.Kill(scope="tool", subject="bank.pay", reason="ana stole", as_user="ben"))
    [kill] = desk.core.write(lambda turn: turn.tx.find(KillRow))
    assert len(kill.salt) == 24
    assert "salt" not in desk.rows(calls.Status())[0]["kills"][0]
    record = desk.core.write(lambda turn: turn.tx.frontier().size) - 1
    [row] = desk.rows(calls.Redact(record=record, basis=BASIS, as_user="ana"))
    assert (row["records"], row["rows"], row["fields"]) == (1, 1, ("reason",))
    [kill] = desk.core.write(lambda turn: turn.tx.find(KillRow))
    assert (kill.reason, kill.salt, kill.by) == ("", "", "ben")  # and it is in force
    desk.verified()
