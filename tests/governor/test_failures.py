"""Whatever fails on the path is a denial, nothing of it half-done, and it is owned up to later."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridle.engine.engine import Engine
from bridle.model import calls
from bridle.model.calls import Failed
from bridle.model.errors import BridleError, StoreError
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.store.rows import BundleRow
from bridle.store.sqlite import open_store
from bridle.store.sqlite.store import SqliteStore
from governor.desk import AGENT, Desk, bundle_of, changed, codes, said


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Desk]:
    """A desk whose store is a file."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    desk = Desk(store=open_store(folder / "bridle.db"))
    yield desk
    desk.governor.close()


def connection(desk: Desk) -> Any:
    store = desk.core.store
    assert isinstance(store, SqliteStore)
    return store._connection


def fill(desk: Desk) -> None:
    pages = connection(desk).execute("PRAGMA page_count").get
    connection(desk).execute(f"PRAGMA max_page_count = {pages}").fetchall()


def empty(desk: Desk) -> None:
    connection(desk).execute("PRAGMA max_page_count = 1073741823").fetchall()


def everything(desk: Desk) -> tuple[Any, ...]:
    """All rows and leaves."""
    tables = ("globals", "missions", "sessions", "actions", "attempts", "holds", "budgets")
    rows = [connection(desk).execute(f"SELECT * FROM {name}").fetchall() for name in tables]
    return (*rows, connection(desk).execute("SELECT * FROM leaves").fetchall())


def test_on_a_full_disk_every_action_is_denied_and_nothing_is_half_done(kept: Desk):
    big = "x" * 8_000
    decided = kept.decide("bank.pay", "before", amount=20)
    running = kept.act("note.read", "running", id=1)
    fill(kept)
    before = everything(kept)
    lost = 0
    for number in range(40):
        verdict = kept.act("note.write", f"k{number}", text=f"{number} {big}")
        if codes(verdict) == ["store_unavailable"]:
            lost += 1
            assert (verdict.attempt, verdict.args, verdict.receipt) == ("", "", None)
        else:
            before = everything(kept)  # the last free page took it
            assert verdict.attempt
    assert lost >= 30
    assert everything(kept) == before
    assert said(kept.begin(decided.action))[0] in {"deny", "allow"}
    observed = kept.ask(
        calls.Observe(
            session=kept.session(),
            attempt=running.attempt,
            outcome=Outcome(OutcomeKind.OK, output=f'"{big}"'),
        )
    )
    assert isinstance(observed, Failed)
    assert (
        kept.refused(calls.StartMission(template="office", user="ana", prompt=big)) == "store_full"
    )
    empty(kept)
    assert kept.act("note.read", "after", id=1).attempt
    [leaf] = kept.leaves("degraded")
    assert leaf.chain == "system"
    assert leaf.body["denied_unrecorded"] >= lost
    assert leaf.body["codes"] == {"store_full": leaf.body["denied_unrecorded"]}
    assert leaf.body["since"] <= leaf.body["until"] <= leaf.time
    assert kept.act("note.read", "again", id=1).attempt
    assert len(kept.leaves("degraded")) == 1
    kept.verified()


def test_a_commit_that_fails_denies_and_undoes(kept: Desk):
    kept.session()
    before = everything(kept)
    connection(kept).set_commit_hook(lambda: True)  # SQLite turns the commit into a rollback
    verdict = kept.act("bank.pay", "a", amount=20)
    assert codes(verdict) == ["store_unavailable"]
    assert (verdict.attempt, verdict.receipt) == ("", None)
    for call in (calls.Begin, calls.Redeem):
        name = "action" if call is calls.Begin else "approval"
        reply = kept.ask(call(session=kept.session(), **{name: "act_0"}), AGENT)
        assert codes(reply.verdict) == ["store_unavailable"]
    connection(kept).set_commit_hook(None)
    assert everything(kept) == before
    again = kept.act("bank.pay", "a", amount=20)
    assert again.attempt
    assert kept.used("money") == 20
    [leaf] = kept.leaves("degraded")
    assert leaf.body["denied_unrecorded"] >= 1
    kept.verified()


def test_a_closed_store_denies_every_action_and_refuses_the_rest(desk: Desk):
    kept = Desk()
    session = kept.session()
    running = kept.act("note.read", "r", id=1)
    kept.governor.close()
    assert codes(kept.act("note.read", "a", session=session, id=1)) == ["store_unavailable"]
    assert codes(kept.begin(running.action, session)) == ["store_unavailable"]
    assert codes(kept.redeem("hold_0", session=session)) == ["store_unavailable"]
    beat = calls.Beat(session=session, attempt=running.attempt)
    for call in (beat, calls.Status(), calls.Kill(scope="all", as_user="ana")):
        assert kept.refused(call) == "store_closed"


class Broken:
    """An engine that does what the real one does until it comes to the point named."""

    def __init__(self, engine: Engine, point: str, problem: Exception) -> None:
        self._engine, self._point, self._problem = engine, point, problem

    def __getattr__(self, name: str) -> Any:
        if name == self._point:
            raise self._problem
        return getattr(self._engine, name)


def breaking(desk: Desk, point: str, problem: Exception) -> None:
    digest = desk.bundle.digest
    desk.core._engines[digest] = Broken(desk.core._engines[digest], point, problem)


@pytest.mark.parametrize(
    "problem", [RuntimeError("x"), BridleError("x"), MemoryError(), KeyError()]
)
@pytest.mark.parametrize("point", ["normalise", "judge"])
def test_an_engine_that_fails_denies_on_record(desk: Desk, point, problem):
    session = desk.session()
    breaking(desk, point, problem)
    verdict = desk.act("bank.pay", "a", session=session, amount=20)
    assert said(verdict) == ("deny", ["internal"])
    assert verdict.attempt == ""
    leaf = desk.leaves("decision")[-1]
    assert (leaf.chain, leaf.body["codes"]) == (desk.mission, ["internal"])
    assert desk.used("money") == 0
    desk.core.adopt(desk.bundle)
    del desk.core._engines[desk.bundle.digest]
    desk.core.adopt(desk.bundle)
    assert desk.act("bank.pay", "a", session=session, amount=20).attempt


def test_a_result_that_cannot_be_judged_is_withheld_and_its_attempt_stays_open(desk: Desk):
    verdict = desk.act("note.read", "a", id=1)
    breaking(desk, "release", RuntimeError("x"))
    assert said(desk.observe(verdict.attempt, '{"body":"b"}')) == ("deny", ["internal"])
    assert desk.attempt(verdict.attempt).state == "started"


def test_a_mission_that_governance_cannot_judge_does_not_start(desk: Desk):
    breaking(desk, "governance", RuntimeError("x"))
    assert desk.refused(calls.StartMission(template="office", user="ana")) == "internal"
    assert desk.leaves("mission") == []


def test_a_watch_that_fails_denies(desk: Desk):
    session = desk.session()

    def differs(_active: str) -> bool:
        raise OSError("gone")

    desk.core.differs = differs
    assert said(desk.act("note.read", "a", session=session, id=1)) == ("deny", ["internal"])


def test_a_failure_that_cannot_be_recorded_is_counted(kept: Desk):
    session = kept.session()
    breaking(kept, "judge", RuntimeError("x"))
    connection(kept).set_commit_hook(lambda: True)
    assert codes(kept.act("note.read", "a", session=session, id=1)) == ["internal"]
    connection(kept).set_commit_hook(None)
    kept.done(calls.Kill(scope="all", as_user="ana"))
    [leaf] = kept.leaves("degraded")
    assert leaf.body["denied_unrecorded"] == 1
    assert sum(leaf.body["codes"].values()) == 1


def test_a_gap_of_denials_is_recorded_from_its_first_to_its_last_and_by_its_causes(kept: Desk):
    kept.session()
    start = kept.clock.now()
    connection(kept).set_commit_hook(lambda: True)
    for number in range(3):
        kept.act("note.read", f"a{number}", id=1)
        kept.clock.move_to(kept.clock.now() + 1_000)
    connection(kept).set_commit_hook(None)
    kept.core.count_lost("store_full")
    kept.clock.move_to(kept.clock.now() + 5_000)
    kept.done(calls.Kill(scope="all", as_user="ana"))
    [leaf] = kept.leaves("degraded")
    causes = leaf.body["codes"]
    assert causes.pop("store_full") == 1
    assert list(causes.values()) == [3]
    assert leaf.body["denied_unrecorded"] == 4
    assert (leaf.body["since"], leaf.body["until"]) == (start, start + 3_000)


def test_a_count_of_lost_denials_is_not_lost_by_a_job_that_fails(kept: Desk):
    kept.session()
    connection(kept).set_commit_hook(lambda: True)
    kept.act("note.read", "a", id=1)
    connection(kept).set_commit_hook(None)
    assert kept.refused(calls.Missions(mission="mis_0")) == "not_found"
    kept.done(calls.Status())
    assert [leaf.body["denied_unrecorded"] for leaf in kept.leaves("degraded")] == [1]


def test_a_bundle_that_is_missing_from_the_store_denies(desk: Desk):
    session = desk.session()
    desk.core._engines.clear()
    desk.core.write(lambda turn: turn.tx.delete(BundleRow, desk.bundle.digest))
    assert codes(desk.act("note.read", "a", session=session, id=1)) == ["store_unavailable"]
    assert desk.refused(calls.Status()) == "store_corrupt"


def test_the_engine_is_rebuilt_from_the_stores_own_copy(desk: Desk):
    session = desk.session()
    desk.core._engines.clear()
    assert desk.act("note.read", "a", session=session, id=1).attempt


def test_the_engines_of_old_bundles_are_forgotten_and_the_one_in_force_found_again(desk: Desk):
    session = desk.session()
    for number in range(6):
        edit = ("bridle.toml", 'version = "1"', f'version = "{number + 5}"')
        desk.core.adopt(bundle_of(changed(edit)))
    assert len(desk.core._engines) == 4
    assert desk.act("note.read", "a", session=session, id=1).attempt


def test_a_store_error_keeps_its_code_and_its_way_out(desk: Desk):
    kept = Desk()
    kept.governor.close()
    reply = kept.ask(calls.Status())
    assert isinstance(reply, Failed)
    assert (reply.code, bool(reply.hint)) == ("store_closed", True)
    with pytest.raises(StoreError):
        kept.governor.tick()
