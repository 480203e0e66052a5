"""Whoever can write the store changes the past: nobody is judged by it, and it is named."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from bridle.governor.audit.reconcile import every_difference, live
from bridle.governor.history import chain, partitions
from bridle.store.base import Tx
from bridle.store.rows import EventRow, PartitionRow, SnapshotRow
from governor.desk import said
from governor.history.past import LongDesk

Edit = Callable[[Tx], None]


def busy(monkeypatch: pytest.MonkeyPatch) -> LongDesk:
    """A desk with a mission's history that has a snapshot and events after it."""
    monkeypatch.setattr(partitions, "TAIL", 4)
    desk = LongDesk()
    for number in range(12):
        desk.observe(desk.act("note.write", f"w{number}", text="hello").attempt)
    desk.observe(desk.act("note.read", "r", id=1).attempt, '{"body":"x"}')
    return desk


def in_mission(kind: type[Any], pick: int) -> Callable[[Tx], Any]:
    def found(tx: Tx) -> Any:
        key = {EventRow: "id", PartitionRow: "id", SnapshotRow: "partition"}[kind]
        rows = [r for r in tx.find(kind, limit=1_000) if getattr(r, key).startswith("mission:")]
        return rows[pick]

    return found


def put(row: type[Any], pick: int = -1, /, **edits: Any) -> Edit:
    return lambda tx: tx.put(structs.replace(in_mission(row, pick)(tx), **edits))


def drop(kind: type[Any], key: str, pick: int = -1) -> Edit:
    return lambda tx: tx.delete(kind, getattr(in_mission(kind, pick)(tx), key))


def shorter(tx: Tx) -> None:
    """The last event never was, and the row of the partition says so."""
    row = in_mission(PartitionRow, 0)(tx)
    tx.delete(EventRow, chain.key(row.id, row.seq))
    tx.put(structs.replace(row, seq=row.seq - 1))


def swapped(tx: Tx) -> None:
    """Two events have changed places."""
    row = in_mission(PartitionRow, 0)(tx)
    one, two = (tx.get(EventRow, chain.key(row.id, row.seq - back)) for back in (0, 2))
    assert one is not None
    assert two is not None
    tx.put(structs.replace(one, id=two.id))
    tx.put(structs.replace(two, id=one.id))


def forged(tx: Tx) -> None:
    """A snapshot of an empty partition takes the place of the real one."""
    row = in_mission(SnapshotRow, 0)(tx)
    tx.put(structs.replace(row, state=b"", seq=row.seq + 2))


EDITS: dict[str, Edit] = {
    "an event never was": drop(EventRow, "id"),
    "an event was of another kind": put(EventRow, kind="held"),
    "an event was another tool's": put(EventRow, tool="note.write"),
    "an event was earlier": put(EventRow, time=1),
    "an event was somebody else's share": put(EventRow, mission="m"),
    "an event had other arguments": put(EventRow, fields={}),
    "an event has another record": put(EventRow, record=1),
    "two events changed places": swapped,
    "the last event is cut off": shorter,
    "nothing happened": put(PartitionRow, 0, seq=0, first=1),
    "all that happened is over": put(PartitionRow, 0, first=99),
    "the chain ends elsewhere": put(PartitionRow, 0, head=""),
    "a snapshot says something else": put(SnapshotRow, state=b"x"),
    "a snapshot is of something else": put(SnapshotRow, head=""),
    "a snapshot is of other rules": put(SnapshotRow, program="p"),
    "a snapshot is forged": forged,
}


@pytest.mark.parametrize("name", EDITS)
def test_a_changed_past_denies_and_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = busy(monkeypatch)
    assert said(desk.act("bank.pay", "p1", amount=1)) == ("deny", ["forbidden"])
    desk.core.store.write(EDITS[name])
    desk.forget()
    verdict = desk.act("bank.pay", "p2", amount=1)
    assert said(verdict) == ("deny", ["store_unavailable"])
    # As at any start of a governor, and by `bridle audit verify`.
    marker = desk.core.marker
    at_start, all_of_it = desk.core.store.write(
        lambda tx: (live(tx, marker, tx.leaves())[0], every_difference(tx, marker))
    )
    assert at_start
    assert {flaw.code for flaw in all_of_it} <= {"row_changed", "row_missing", "row_invented"}


@pytest.mark.parametrize("name", ["an event never was", "the chain ends elsewhere"])
def test_what_runs_is_still_reported_over_a_changed_past(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = busy(monkeypatch)
    attempt = desk.act("note.index", "i").attempt
    desk.core.store.write(EDITS[name])
    desk.forget()
    assert desk.observe(attempt).effect.runs
    assert desk.leaves()[-1].kind == "outcome"


def test_a_snapshot_that_is_gone_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = busy(monkeypatch)
    desk.core.store.write(drop(SnapshotRow, "partition"))
    desk.forget()
    assert said(desk.act("bank.pay", "p", amount=1)) == ("deny", ["forbidden"])


def test_a_snapshot_of_another_version_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = busy(monkeypatch)

    def other(turn: Any) -> None:
        row = in_mission(SnapshotRow, 0)(turn.tx)
        made = structs.replace(row, state=b"from the future")
        turn.tx.put(structs.replace(made, mac=chain.mac(desk.core, made)))

    desk.core.write(other)
    desk.forget()
    assert said(desk.act("bank.pay", "p", amount=1)) == ("deny", ["forbidden"])
    desk.verified()


def test_an_old_row_put_back_is_seen_by_its_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = busy(monkeypatch)
    old = desk.partition("mission")
    desk.observe(desk.act("note.read", "again", id=1).attempt, '{"body":"x"}')
    assert old is not None
    desk.core.store.write(lambda tx: tx.put(old))
    desk.forget()
    # It is whole in itself, but for what follows.
    assert said(desk.act("bank.pay", "p", amount=1)) == ("deny", ["store_unavailable"])


def test_no_argument_is_kept_as_the_digest_of_a_row_or_link_that_an_agent_made_up() -> None:
    desk = LongDesk()
    for made_up in ("row|x|{}", "event||{}"):
        desk.act("note.write", made_up, text=made_up)
        atom = desk.events()[-1].fields["input.text"]
        assert atom == desk.core.atoms.text(made_up)
        assert desk.core.keyed(made_up) not in str(atom)
