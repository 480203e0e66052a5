"""Rollback of revocation: an older list, a removed row, a governor that starts anew."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
import pytest

from bridle.governor.audit.reconcile import every_difference
from bridle.governor.audit.witness import Marker
from bridle.store.sqlite import open_store
from bridle.store.sqlite.reading import snapshot
from bridle.trust.grants.codes import GrantError
from bridle.trust.holder import Holder
from bridle.trust.status import Keeper, StatusList
from trust.forging import ANY, GOVERNOR, HOUR, NOW, Line, judged
from trust.office import NOTES, Office


def version(number: int, **revoked: int) -> StatusList:
    given = {f"grant:{name}": when for name, when in revoked.items()}
    return StatusList(number, NOW, NOW + HOUR, GOVERNOR, given)


def test_an_older_list_is_refused_once_a_newer_was_seen_also_after_a_restart(
    tmp_path: Path,
) -> None:
    line = Line(ANY, ANY)
    dead = line.read().digest
    keeper = Keeper(tmp_path / "seen.json")
    keeper.admit(version(1))
    newest = keeper.admit(version(2, **{dead: NOW * 1_000}))
    assert judged(line.verifier(), line.texts, status=newest)[0] == "revoked"
    for each in (keeper, Keeper(tmp_path / "seen.json")):
        with pytest.raises(GrantError) as refusal:
            each.admit(version(1))
        assert refusal.value.code == "status_rolled_back"
        assert each.admit(version(2, **{dead: NOW * 1_000}))


def test_a_file_of_versions_that_was_damaged_or_opened_to_others_admits_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "seen.json"
    Keeper(path).admit(version(5))
    kept = path.read_bytes()
    for data, mode in ((b"", 0o600), (kept[:-2], 0o600), (kept, 0o644)):
        path.write_bytes(data)
        path.chmod(mode)
        with pytest.raises(GrantError) as refusal:
            Keeper(path).admit(version(5))
        assert refusal.value.code == "status_invalid"


def test_what_was_revoked_stays_so_when_the_governor_starts_anew(tmp_path: Path) -> None:
    before = Office(store=open_store(tmp_path / "bridle.db"))
    run = before.run().hand("scout", NOTES)
    before.revoke("grant", run.grant)
    before.desk.core.store.close()
    run.office = Office(store=open_store(tmp_path / "bridle.db"), start=before.desk.clock.now())
    assert run.act("note.write", text="x") == "revoked"
    assert run.office.ran == []


def flaws(path: Path, marker: Marker) -> set[str]:
    """How rows and log differ, in codes."""
    with snapshot(path) as tx:
        return {flaw.code for flaw in every_difference(tx, marker)}


REVIVED = {
    "what was revoked is taken off the list": ("delete from revoked", "row_missing"),
    "the grant was never recorded": ("delete from grants", "row_missing"),
    "the grant never ended": (
        "update grants set doc = (select doc from grants where state = 'offered')", "row_changed"
    ),
    "as many were revoked as before": ("update globals set doc = :before", "row_changed"),
}  # fmt: skip


@pytest.mark.parametrize("name", REVIVED)
def test_a_store_in_which_a_revocation_is_undone_is_found_out(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bridle.db"
    office = Office(store=open_store(path))
    run = office.run().hand("scout", NOTES)
    run.offer(run.link("digger", Holder.generate()))
    globals_ = office.desk.core.write(lambda turn: turn.globals)
    office.revoke("grant", run.grant)
    office.desk.governor.close()
    marker, (statement, code) = office.desk.core.marker, REVIVED[name]
    assert flaws(path, marker) == set()
    with sqlite3.connect(path) as store:
        given = {"before": msgspec.json.encode(globals_)} if ":before" in statement else {}
        assert store.execute(statement, given).rowcount > 0
    store.close()
    assert code in flaws(path, marker)
