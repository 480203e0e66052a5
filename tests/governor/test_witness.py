"""Whoever can write the store changes a row behind the governor's back: the ledger tells."""

import copy
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from bridle.governor.audit.reconcile import every_difference, live
from bridle.governor.audit.witness import MOST, Marker
from bridle.ledger.tree import leaf_hash
from bridle.ledger.verify import Flaw, verify_log
from bridle.model import calls
from bridle.model.errors import StoreError
from bridle.store.base import StoredLeaf, Tx
from bridle.store.rows import (
    ROWS,
    BudgetRow,
    EventRow,
    ExceptionRow,
    HistoryRow,
    LeaseRow,
    LogKeyRow,
    PartitionRow,
    PlanRow,
    ReadRow,
    RegistrationRow,
    Row,
    RunRow,
    SessionRow,
    SnapshotRow,
    SourceRow,
)
from bridle.store.sqlite import open_store
from bridle.store.sqlite.reading import snapshot
from bridle.trust.holder import Holder
from governor.desk import FILES, HOUR, MINUTE, Desk, changed

Edit = Callable[[sqlite3.Connection], None]


class Busy:
    """A store on disk in which a row of every kind has a history, closed in good order."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store" / "store.db"
        desk = Desk(store=open_store(self.path))
        self.marker: Marker = desk.core.marker
        self.first = desk.core.write(lambda turn: turn.globals.active)
        desk.activate(changed(("bridle.toml", 'version = "1"', 'version = "2"')))
        act(desk)
        desk.verified()
        desk.governor.close()

    def edit(self, edit: Edit) -> None:
        with sqlite3.connect(self.path) as store:
            edit(store)
        store.close()

    def differences(self) -> tuple[list[Flaw], list[Flaw]]:
        """All of them, and those a governor looks for when it starts. The log itself is whole."""
        with snapshot(self.path) as tx:
            assert verify_log(tx.leaves(), tx.frontier()).ok
            return every_difference(tx, self.marker), live(tx, self.marker, tx.leaves())[0]


def act(desk: Desk) -> None:
    desk.observe(desk.act("note.write", "n1", text="hello").attempt)
    desk.decide("note.write", "n2", text="gossip")
    desk.observe(desk.act("bank.pay", "p1", amount=40).attempt)
    desk.decide("bank.pay", "p2", amount=5)  # decided, and never started
    held = desk.decide("bank.pay", "p3", amount=55)
    desk.decide("safe.open", "s1", id=1)
    desk.answer(held.approval)
    desk.decide("safe.open", "s2", id=2)
    desk.act("safe.open", "s3", id=3)
    desk.act("note.write", "n3", text="lost")
    closed = desk.start_mission()
    session = desk.opened(mission=closed)
    desk.done(calls.CloseSession(session=session, as_user="ana"))
    desk.done(calls.MissionVerb(mission=closed, verb="close", as_user="ana"))
    desk.done(calls.Kill(scope="tool", subject="bell.ring", as_user="ana"))
    key = Holder.generate().public
    desk.done(calls.KeyVerb(verb="add", kind="workload", name="porter", key=key, as_user="ana"))
    desk.done(calls.Revoke(kind="agent", subject="scout", as_user="ana"))
    desk.done(calls.IdentityVerb(kind="agent", id="scout", verb="suspend", as_user="ana"))
    desk.done(calls.IdentityVerb(kind="agent", id="scout", verb="retire", as_user="ana"))
    desk.core.write(
        lambda turn: turn.tx.put(
            ExceptionRow(
                id="exc_1", mission=desk.mission, agent="clerk", tool="bank.pay", approval="hold_1",
                policies={"big-pay": "d"}, sealed=b"", count=2, created=1, expires=2, by=["ben"],
            )
        )
    )  # fmt: skip
    desk.core.write(
        lambda turn: turn.tx.put(
            LeaseRow(
                id="lease_1", mission=desk.mission, attempt="att_1", state="ending", expires=2,
                agent="clerk", line="clerk", grant="g", session="s", system="bank", broker="sealed",
                executor="worker", issued=1, epoch=1, sealed=b"s", ended=2, code="c", tries=1,
                bundle="b", live=1,
            )
        )
    )  # fmt: skip
    plan = PlanRow(id="plan_1", mission=desk.mission, created=1, sealed=b"s", done={"s1": "act_1"})
    desk.core.write(lambda turn: turn.tx.put(plan))
    desk.core.write(registered)
    log_key = LogKeyRow(id="e6124ab3", key="log+e6124ab3+AQ", added=1, retired=2)
    desk.core.write(lambda turn: turn.tx.put(log_key))
    desk.core.write(looking_back)
    desk.core.write(having_read)
    desk.later(MINUTE)


def registered(turn: Any) -> None:
    turn.tx.put(
        RegistrationRow(
            id="reg_1", pipeline="nightly", digest="d", author="ana", key="f", method="key:f",
            since=1, epoch=1, ended=2, ended_by="ben",
        )
    )  # fmt: skip
    turn.tx.put(RunRow(id="k", mission="mis_1"))


def looking_back(turn: Any) -> None:
    turn.tx.put(HistoryRow(scope="user", since=1, complete=2))
    turn.tx.put(PartitionRow(id="user:p", scope="user", seq=2, first=2, head="h"))
    for number in (1, 2):
        turn.tx.put(
            EventRow(
                id=f"user:p#{number:012d}", time=1, tool="note.write", kind="request",
                fields={"requestId": "s:1"}, mission="m", record=3,
            )
        )  # fmt: skip
    turn.tx.delete(EventRow, f"user:p#{1:012d}")
    turn.tx.put(SnapshotRow(partition="user:p", seq=2, head="h", program="d", state=b"s", mac="m"))


def having_read(turn: Any) -> None:
    turn.tx.put(
        ReadRow(
            mission="m", count=3, trusted=1, trusted_head="t", trusted_size=1, others=2,
            others_head="o", others_size=1, first=2, base="b",
        )
    )  # fmt: skip
    for half, number in (("t", 1), ("o", 1), ("o", 2)):
        turn.tx.put(
            SourceRow(
                id=f"m#{half}{number:012d}", number=number, about="act", kind="result", record=3,
                tool="note.read", system="notes", domain="house", labels=["pii"],
                trusted=half == "t", sink="s", toward="house", imprint=b"i", salt="s",
            )
        )  # fmt: skip
    turn.tx.delete(SourceRow, f"m#o{1:012d}")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Busy:
    return Busy(tmp_path_factory.mktemp("busy"))


@pytest.fixture
def busy(kept: Busy, tmp_path: Path) -> Busy:
    """The same store for each test, as it was."""
    mine = copy.copy(kept)
    mine.path = tmp_path / "store.db"
    shutil.copyfile(kept.path, mine.path)
    return mine


def doc(table: str, change: Callable[[dict[str, Any]], object], where: str = "1") -> Edit:
    """Change what one row says, and its columns with it."""

    def edit(store: sqlite3.Connection) -> None:
        rowid, found = store.execute(
            f"select rowid, doc from {table} where {where} order by rowid limit 1"
        ).fetchone()
        value = json.loads(found)
        change(value)
        columns = [row[1] for row in store.execute(f"pragma table_info({table})")]
        sets = {name: value.get(name) for name in columns if name != "doc" and name in value}
        sets["doc"] = json.dumps(value).encode()
        names = ", ".join(f'"{name}" = ?' for name in sets)
        store.execute(f"update {table} set {names} where rowid = ?", (*sets.values(), rowid))

    return edit


def holding(field: str) -> str:
    return f"cast(doc as text) like '%{field}%'"


def sql(text: str) -> Edit:
    def edit(store: sqlite3.Connection) -> None:
        assert store.execute(text).rowcount > 0

    return edit


def invented_session(store: sqlite3.Connection) -> None:
    (found,) = store.execute("select doc from sessions limit 1").fetchone()
    row = {**json.loads(found), "id": "0" * 64, "closed": 0}
    values = (row["id"], row["mission"], json.dumps(row).encode())
    store.execute("insert into sessions (id, mission, doc) values (?, ?, ?)", values)


def swapped_back(store: sqlite3.Connection) -> None:
    """Put the bundle in force that was there first."""
    (first,) = store.execute("select digest from bundles order by rowid limit 1").fetchone()
    doc("globals", lambda row: row.update(active=first))(store)


VOTE = {"user": "cleo", "approve": True, "reason": "", "time": 1, "method": "peer:1"}
PENDING = "status = 'pending'"

# What an attacker would want, by name; and whether a governor sees it when it starts.
EDITS: dict[str, tuple[Edit, str, bool]] = {
    "a kill is lifted": (sql("delete from kills"), "row_missing", True),
    "a kill looks elsewhere": (sql("update kills set id = 'tool:x'"), "row_missing", True),
    "a kill says another scope": (
        doc("kills", lambda row: row.update(subject="note.read")), "row_changed", True
    ),
    "a hold is approved": (
        doc("holds", lambda row: row.update(status="approved"), PENDING), "row_changed", True
    ),
    "a vote is added": (
        doc("holds", lambda row: row.update(votes=[VOTE]), PENDING), "row_changed", True
    ),
    "a hold asks for nobody": (
        doc("holds", lambda row: row.update(groups={}), PENDING), "row_changed", True
    ),
    "an approval is for something else": (
        doc("holds", lambda row: row.update(digest="0" * 64), "status = 'approved'"),
        "row_changed",
        True,
    ),
    "an approval's arguments are swapped": (
        doc("holds", lambda row: row.update(sealed="AAAA"), "status = 'approved'"),
        "row_changed",
        True,
    ),
    "a hold is made older": (
        doc("holds", lambda row: row.update(expires=2**52), PENDING), "row_changed", True
    ),
    "a budget is refilled": (
        doc("budgets", lambda row: row.pop("used"), holding("used")), "row_changed", True
    ),
    "a budget starts anew": (sql("delete from budgets"), "row_missing", True),
    "a closed mission goes on": (
        doc("missions", lambda row: row.update(status="active"), "status = 'closed'"),
        "row_changed",
        True,
    ),
    "a mission's document alone goes on": (
        sql("update missions set doc = cast(replace(cast(doc as text), '\"closed\"', '\"active\"')"
            " as blob) where status = 'closed'"),
        "row_misfiled",
        True,
    ),
    "a mission runs for another user": (
        doc("missions", lambda row: row.update(user="ben")), "row_changed", True
    ),
    "a mission never ends": (
        doc("missions", lambda row: row.update(expires=2**52)), "row_changed", True
    ),
    "a prompt becomes trusted": (
        doc("missions", lambda row: row.update(prompt_trusted=False)), "row_changed", True
    ),
    "somebody vouches for all of a mission": (
        doc("missions", lambda row: row.update(vouched=True)), "row_changed", True
    ),
    "somebody vouches for what was read": (
        doc("sources", lambda row: row.update(trusted=True), "id like '%#o%'"), "row_changed", True
    ),
    "what was read is gone": (sql("delete from sources where id like '%#o%'"), "row_missing", True),
    "nothing was ever read": (sql("delete from reads where mission = 'm'"), "row_missing", True),
    "less was read": (
        doc("reads", lambda row: row.update(others=1), "mission = 'm'"), "row_changed", True
    ),
    "a retired agent is back": (
        doc("identities", lambda row: row.update(status="active")), "row_changed", True
    ),
    "a suspension is forgotten": (sql("delete from identities"), "row_missing", True),
    "nothing counts as suspended": (
        doc("globals", lambda row: row.pop("suspended")), "row_changed", True
    ),
    "nothing counts as killed": (doc("globals", lambda row: row.pop("kills")), "row_changed", True),
    "an older bundle is in force": (swapped_back, "row_changed", True),
    "the files of the bundle are others": (
        doc("bundles", lambda row: row["files"].update({"policies/limits.dw": ""}),
            "digest = (select json_extract(cast(doc as text), '$.active') from globals)"),
        "bundle_altered",
        True,
    ),
    "an old bundle is rewritten": (
        doc("bundles", lambda row: row["files"].update({"policies/limits.dw": ""})),
        "bundle_altered",
        False,
    ),
    "a session is invented": (invented_session, "row_invented", True),
    "a closed session is open": (
        doc("sessions", lambda row: row.pop("closed"), holding("closed")), "row_changed", True
    ),
    "a session is another agent's": (
        doc("sessions", lambda row: row.update(agent="scout")), "row_changed", True
    ),
    "an exception reaches further": (
        doc("exceptions", lambda row: row.update(count=1_000)), "row_changed", True
    ),
    "an unknown attempt ended well": (
        doc("attempts", lambda row: row.update(state="ok"), "state = 'unknown'"),
        "row_changed",
        True,
    ),
    "an unknown attempt never started": (
        doc("attempts", lambda row: row.update(state="not_started"), "state = 'unknown'"),
        "row_changed",
        True,
    ),
    "an unknown attempt never was": (
        sql("delete from attempts where state = 'unknown'"), "row_missing", True
    ),
    "an unknown attempt is not found": (
        sql("update attempts set state = 'ok' where state = 'unknown'"), "row_misfiled", True
    ),
    "an unknown attempt is not found by its action": (
        sql("update attempts set action = 'act_0' where state = 'unknown'"), "row_misfiled", True
    ),
    "an ended attempt never was": (
        sql("delete from attempts where state = 'ok'"), "row_missing", False
    ),
    "a held action never was": (
        sql("delete from actions where state = 'held'"), "row_missing", True
    ),
    "a held action has ended": (
        doc("actions", lambda row: row.update(state="ended"), "state = 'held'"),
        "row_changed",
        True,
    ),
    "a denied action was allowed": (
        doc("actions", lambda row: row.update(state="decided"), "state = 'denied'"),
        "row_changed",
        True,
    ),
    "an action has paid nothing": (
        doc("actions", lambda row: row.pop("charged"), holding("charged")), "row_changed", False
    ),
    "an action may run once more": (
        doc("actions", lambda row: row.update(state="ended"), "state = 'ok'"), "row_changed", False
    ),
    "an event never was": (sql("delete from events"), "row_missing", True),
    "an event was about something else": (
        doc("events", lambda row: row.update(tool="note.read")), "row_changed", True
    ),
    "an event that is over is back": (
        sql("insert into events select replace(id, '2', '1'), doc from events"),
        "row_invented",
        True,
    ),
    "the state of history is another": (
        doc("snapshots", lambda row: row.update(state="AAAA")), "row_changed", True
    ),
    "history is whole since earlier": (
        doc("histories", lambda row: row.pop("complete")), "row_changed", True
    ),
    "history is forgotten": (
        doc("partitions", lambda row: row.pop("seq")), "row_changed", True
    ),
    "a retired key of the log signs again": (
        doc("log_keys", lambda row: row.pop("retired")), "row_changed", True
    ),
    "a key of a workload is another": (
        doc("identity_keys", lambda row: row.update(name="worker")), "row_changed", True
    ),
    "a grant lasts longer": (
        doc("grants", lambda row: row.update(expires=9_000_000_000_000)), "row_changed", True
    ),
    "a revocation is taken back": (sql("delete from revoked"), "row_missing", True),
    "a credential counts as taken back": (
        doc("leases", lambda row: row.update(state="ended")), "row_changed", False
    ),
    "a step of a plan was not done": (
        doc("plans", lambda row: row.pop("done")), "row_changed", True
    ),
    "a definition was not withdrawn": (
        doc("registrations", lambda row: row.pop("ended")), "row_changed", True
    ),
    "a run is another mission": (
        doc("pipeline_runs", lambda row: row.update(mission="mis_2")), "row_changed", True
    ),
    "a payload key is gone": (sql("delete from payload_keys"), "row_missing", True),
    "a row is no row": (sql("update missions set doc = x'7b7d'"), "row_changed", True),
}  # fmt: skip


def test_a_store_that_only_governors_wrote_differs_in_nothing(busy: Busy) -> None:
    assert busy.differences() == ([], [])
    with snapshot(busy.path) as tx:
        assert {kind.TABLE for kind in ROWS if not tx.count(kind)} == set()


@pytest.mark.parametrize("name", EDITS)
def test_a_change_behind_the_governors_back_is_named(busy: Busy, name: str) -> None:
    edit, code, at_start = EDITS[name]
    busy.edit(edit)
    every, live = busy.differences()
    assert code in {flaw.code for flaw in every}
    assert bool(live) is at_start
    assert all(flaw.message for flaw in every + live)


def test_every_kind_of_row_is_among_the_edits() -> None:
    text = Path(__file__).read_text("utf-8")
    assert {k.TABLE for k in ROWS if f'"{k.TABLE}"' in text or f"from {k.TABLE}" in text} == {
        kind.TABLE for kind in ROWS
    }


def test_an_earlier_state_of_one_row_is_a_difference(tmp_path: Path) -> None:
    """Putting back what a governor itself once wrote helps nobody."""
    path = tmp_path / "store" / "store.db"
    desk = Desk(store=open_store(path))
    desk.observe(desk.act("bank.pay", "p1", amount=10).attempt)
    before = desk.core.write(lambda turn: turn.tx.find(BudgetRow))
    desk.observe(desk.act("bank.pay", "p2", amount=10).attempt)
    desk.core.store.write(lambda tx: [tx.put(row) for row in before])
    found = desk.core.write(lambda turn: live(turn.tx, desk.core.marker, turn.tx.leaves())[0])
    assert {flaw.code for flaw in found} == {"row_changed"}
    desk.governor.close()


def test_rows_that_no_record_tells_of_get_one_of_their_own() -> None:
    desk = Desk()
    rows = [
        SessionRow(id=f"{n:064d}", mission="m", agent="a", executor="", opened=1, method="x")
        for n in range(MOST + 44)
    ]
    before = len(desk.leaves())
    desk.core.write(lambda turn: [turn.tx.put(row) for row in rows] and None)
    assert [leaf.body for leaf in desk.leaves()[before:]] == [{"what": "rows"}] * 2
    desk.verified()


def test_a_turn_reads_what_it_wrote_and_remembers_only_a_few_rows() -> None:
    desk = Desk()
    first = BudgetRow(id="b", mission="m", name="calls", window=0, used=1)

    def job(turn: Any) -> None:
        assert turn.tx.get(BudgetRow, "b") is None
        turn.tx.put(first)
        assert turn.tx.get(BudgetRow, "b") == first
        turn.tx.put(structs.replace(first, used=2))
        assert turn.tx.get(BudgetRow, "b") == structs.replace(first, used=2)
        turn.tx.delete(BudgetRow, "b")
        assert turn.tx.get(BudgetRow, "b") is None
        for number in range(1_000):
            assert turn.tx.get(BudgetRow, str(number)) is None
        assert len(turn.tx._read) < 100
        turn.tx.put(structs.replace(first, id="999"))
        assert turn.tx.get(BudgetRow, "999") is not None

    desk.core.write(job)
    desk.verified()


def test_a_heartbeat_leaves_no_record() -> None:
    desk = Desk()
    attempt = desk.act("note.write", "k", text="x").attempt
    before = len(desk.leaves())
    desk.later(1_000)
    assert desk.beat(attempt) == ""
    assert len(desk.leaves()) == before
    desk.verified()


def test_what_is_undone_is_not_witnessed() -> None:
    desk = Desk()
    before = len(desk.leaves())

    def job(turn: Any) -> None:
        turn.tx.put(PartitionRow(id="gone", scope="user"))
        raise KeyError

    with pytest.raises(KeyError):
        desk.core.write(job)
    assert len(desk.leaves()) == before
    desk.verified()


def test_a_field_added_later_at_its_default_changes_no_digest() -> None:
    marker = Marker(bytes(32))
    plain = BudgetRow(id="p", mission="m", name="n", window=0)
    same = BudgetRow(id="p", mission="m", name="n", window=0, used=0)
    assert marker.digest(plain) == marker.digest(same)
    assert marker.digest(plain) != marker.digest(structs.replace(plain, used=1))


def test_no_record_names_an_action_by_its_id() -> None:
    desk = Desk(FILES)
    verdict = desk.act("note.write", "invoice-2026-001", text="x")
    desk.later(HOUR)

    def look(turn: Any) -> list[bytes]:
        return [stored.data for stored in turn.tx.leaves()]

    assert not any(verdict.action.encode() in data for data in desk.core.write(look))


def test_a_store_from_before_is_witnessed_once(tmp_path: Path) -> None:
    from bridle.governor.audit.opening import assert_witnessed

    desk = Desk()
    desk.decide("note.write", "k", text="x")

    def take(tx: Any) -> list[StoredLeaf]:
        found = list(tx.leaves())
        tx._connection.execute(
            "delete from leaves; delete from chains; update log set size = 0, hashes = x''"
        )
        return found

    written = desk.core.store.write(take)

    def strip(tx: Tx) -> None:
        for each in written:
            said = json.loads(each.data)
            said["body"].pop("rows", None)
            said["prev"] = tx.head(each.chain).hash.hex()
            data = json.dumps(said).encode()
            tx.append(each.chain, each.seq, data, leaf_hash(data), each.sealed)

    desk.core.store.write(strip)
    before = len(desk.leaves())
    assert_witnessed(desk.core)
    assert len(desk.leaves()) == before + 1
    desk.witnessed()
    assert_witnessed(desk.core)
    assert len(desk.leaves()) == before + 1


SCHEMAS = {
    "a trigger that approves": (
        "create trigger t after insert on holds begin update holds set doc ="
        " cast(json_set(cast(new.doc as text), '$.status', 'approved') as blob) where id = new.id;"
        " end"
    ),
    "a trigger that lifts kills": (
        "create trigger t after insert on kills begin delete from kills where id = new.id; end"
    ),
    "a view in place of kills": (
        "alter table kills rename to k; create view kills as select * from k where 0"
    ),
    "a table of somebody's own": "create table extra (a)",
    "an index that finds fewer": (
        "drop index attempts_action;"
        " create index attempts_action on attempts (action) where action = ''"
    ),
    "no index": "drop index holds_open",
}


@pytest.mark.parametrize("script", SCHEMAS.values(), ids=SCHEMAS)
def test_a_store_that_would_change_what_is_written_is_not_opened(busy: Busy, script: str) -> None:
    with sqlite3.connect(busy.path) as store:
        store.executescript(script)
    store.close()
    busy.path.parent.chmod(0o700)
    busy.path.chmod(0o600)
    with pytest.raises(StoreError) as refused:
        open_store(busy.path)
    assert refused.value.code == "store_tampered"
    with pytest.raises(StoreError) as refused, snapshot(busy.path):
        pass
    assert refused.value.code == "store_tampered"


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.TABLE)
def test_every_field_of_a_row_is_witnessed_but_those_that_say_so(
    busy: Busy, kind: type[Row]
) -> None:
    with snapshot(busy.path) as tx:
        row = next(filed.row for filed in tx.every(kind) if filed.row is not None)
    before, unseen = busy.marker.digest(row), set()
    for name in row.__struct_fields__:
        changed_row = structs.replace(row, **{name: other_than(getattr(row, name))})
        if busy.marker.digest(changed_row) == before:
            unseen.add(name)
    assert unseen == set(kind.VOLATILE)


def other_than(value: Any) -> Any:
    if value is None or isinstance(value, dict):
        return {**(value or {}), "more": 1}
    if isinstance(value, list):
        return [*value, "more"]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return value + (b"x" if isinstance(value, bytes) else "x")
