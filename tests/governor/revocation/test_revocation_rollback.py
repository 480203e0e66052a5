"""Rollback of revocation: whoever can write the store, or brings back an older one, is seen."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from bridle.governor.audit.reconcile import every_difference, live
from bridle.ledger.verify import verify_log
from bridle.model import calls
from bridle.store.sqlite import open_store
from bridle.store.sqlite.reading import snapshot
from bridle.trust import status
from bridle.trust.grants.codes import GrantError
from bridle.trust.grants.roots import Roots
from governor.delegation.runs import HANDING, begin_run, revoke
from governor.desk import Desk

Edit = Callable[[sqlite3.Connection], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "store.db"


def doc(table: str, change: Callable[[dict[str, object]], object]) -> Edit:
    """Change what a row says, and not its columns."""

    def edit(store: sqlite3.Connection) -> None:
        for key, text in store.execute(f"select rowid, doc from {table}").fetchall():
            row = json.loads(text)
            change(row)
            store.execute(
                f"update {table} set doc = ? where rowid = ?",
                (json.dumps(row, separators=(",", ":")).encode(), key),
            )

    return edit


EDITS: dict[str, Edit] = {
    "the revocation is gone": lambda store: store.execute("delete from revoked"),
    "it names another": lambda store: store.execute("update revoked set id = id || '0'"),
    "it is of another time": doc("revoked", lambda row: row.update(time=0)),
    "it is of another epoch": doc("revoked", lambda row: row.update(epoch=0)),
    "nothing counts as revoked": doc("globals", lambda row: row.pop("revoked")),
    "the epoch goes back": doc("globals", lambda row: row.update(epoch=0)),
    "the grant has another parent": lambda store: store.execute("update grants set parent = ''"),
    "the grant came later": doc("grants", lambda row: row.update(epoch=9)),
    "the grant is gone": lambda store: store.execute("delete from grants"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_a_governor_that_starts_sees_that_a_revocation_was_taken_away(
    path: Path, edit: Edit
) -> None:
    desk = Desk(HANDING, store=open_store(path))
    run = begin_run(desk).hand("scout")
    revoke(desk, "grant", run.grant)
    revoke(desk, "agent", "clerk")
    desk.verified()
    marker = desk.core.marker
    desk.governor.close()
    with sqlite3.connect(path) as store:
        edit(store)
    store.close()
    with snapshot(path) as tx:
        assert verify_log(tx.leaves(), tx.frontier()).ok  # the log alone does not tell
        assert every_difference(tx, marker)
        assert live(tx, marker, tx.leaves())[0]


def test_what_an_older_store_says_is_revoked_is_refused_by_whoever_saw_a_newer_list(
    path: Path, tmp_path: Path
) -> None:
    desk = Desk(HANDING, store=open_store(path))
    run = begin_run(desk)
    older = listed(desk)
    desk.core.store.close()
    before = tmp_path / "before.db"
    shutil.copy(path, before)

    desk = Desk(HANDING, store=open_store(path))
    desk.core.grant_keys = run.desk.core.grant_keys
    revoke(desk, "grant", run.grant)
    newer = listed(desk)
    desk.core.store.close()
    keeper = status.Keeper(tmp_path / "seen")
    assert keeper.admit(newer).revoked(run.chain.leaf)
    assert not older.revoked(run.chain.leaf)

    shutil.copy(before, path)
    restored = Desk(HANDING, store=open_store(path))
    restored.core.grant_keys = run.desk.core.grant_keys
    for each in (older, listed(restored)):
        with pytest.raises(GrantError) as refused:
            status.Keeper(tmp_path / "seen").admit(each)
        assert refused.value.code == "status_rolled_back"


def listed(desk: Desk) -> status.StatusList:
    """The list as a verifier reads it, pinned to the keys that came with it."""
    [row] = desk.rows(calls.StatusSnapshot())
    found = status.read(row["status"], Roots(row["roots"]), desk.clock.now() // 1_000)
    assert (found.version, found.exp * 1_000) == (row["version"], row["expires"])
    return found


@pytest.mark.parametrize("valid", [0, -1, 999, 86_400_001])
def test_a_list_is_good_for_a_day_at_most(valid: int) -> None:
    assert Desk(HANDING).refused(calls.StatusSnapshot(valid_ms=valid)) == "usage"


def test_the_list_says_all_that_was_revoked_and_only_grows() -> None:
    desk = Desk(HANDING)
    run = begin_run(desk).hand("scout")
    assert listed(desk).revoked_at == {}
    seen: set[str] = set()
    for kind, subject in (
        ("grant", run.grant),
        ("key", run.holder.fingerprint),
        ("agent", "scout"),
        ("mission", desk.mission),
        ("user", "ben"),
    ):
        revoke(desk, kind, subject)
        found = listed(desk)
        assert set(found.revoked_at) == seen | {f"{kind}:{subject}"}
        assert found.version == len(found.revoked_at)
        seen = set(found.revoked_at)
