"""A governor at work on a store whose power may be cut, and what must be true afterwards."""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from bridle.model import calls
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.store.base import Tx
from bridle.store.sqlite import SqliteStore, open_store
from crash.power.cuts import Judge, due, notes
from crash.power.vfs import Event, Record, RecordingVFS
from governor.desk import START, Desk, changed

T = TypeVar("T")
FULL = Outcome(OutcomeKind.ERROR, error="disk_full")
FILES = changed(("bridle.toml", 'version = "1"', 'version = "1"\ndurability = "relaxed"'))


class Witness:
    """A store that notes every commit, with what the store then holds."""

    def __init__(self, store: SqliteStore, record: Record) -> None:
        self.store, self.record = store, record
        self.states: list[str] = [state_of(store)]

    def write(self, job: Callable[[Tx], T], *, relaxed: bool = False) -> T:
        result = self.store.write(job, relaxed=relaxed)
        self.states.append(state_of(self.store))
        self.record.note(("relaxed" if relaxed else "strict", len(self.states) - 1))
        return result

    def close(self) -> None:
        self.store.close()


def state_of(store: SqliteStore) -> str:
    """A digest of all that is in the store."""
    run = store._connection.execute
    found = hashlib.sha256()
    tables = run("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
    for (table,) in tables:
        # How often the log was touched for a sync says nothing.
        columns = '"size", "hashes"' if table == "log" else "*"
        for row in run(f'SELECT {columns} FROM "{table}" ORDER BY 1').fetchall():
            found.update(repr((table, row)).encode())
    return found.hexdigest()


def work(path: Path, vfs: RecordingVFS, steps: int, seed: int) -> list[str]:
    """Decide, start, act and report, hold and approve, kill and lift. Returns every state."""
    dice = random.Random(seed)
    store = open_store(path, vfs=vfs.name, relaxed_ms=60_000)
    store._log_pages = 20
    witness = Witness(store, vfs.record)
    desk = Desk(FILES, store=witness)
    session = desk.session()
    for step in range(steps):
        dice.choice((read, note, note, pay, stop, late, again))(desk, vfs.record, session, step)
    desk.governor.close()
    return witness.states


def run(desk: Desk, record: Record, tool: str, key: str, session: str, **args: Any) -> str:
    """Have an action judged and started, and run its effect if that is what the verdict says."""
    verdict = desk.act(tool, key, session=session, **args)
    if verdict.attempt:
        record.note(("effect", verdict.attempt, verdict.receipt))
    return verdict.attempt


def read(desk: Desk, record: Record, session: str, step: int) -> None:
    attempt = run(desk, record, "note.read", f"r{step}", session, id=step)
    desk.observe(attempt, '{"body": "x"}', session)
    if step % 3 == 0:
        desk.core.store.store.sync()


def note(desk: Desk, record: Record, session: str, step: int) -> None:
    attempt = run(desk, record, "note.write", f"w{step}", session, text="x" * (step % 9))
    if step % 4:
        desk.observe(attempt, "ok" if step % 3 else FULL, session)


def pay(desk: Desk, record: Record, session: str, step: int) -> None:
    verdict = desk.act("bank.tip", f"t{step}", session=session, amount=7)
    if verdict.approval:
        desk.answer(verdict.approval, yes=bool(step % 2))
        verdict = desk.act("bank.tip", f"t{step}", session=session, amount=7)
    if verdict.attempt:
        record.note(("effect", verdict.attempt, verdict.receipt))
        desk.observe(verdict.attempt, "ok", session)


def stop(desk: Desk, record: Record, session: str, step: int) -> None:
    desk.done(calls.Kill(scope="tool", subject="note.index", as_user="ana"))
    assert not run(desk, record, "note.index", f"k{step}", session)
    desk.done(calls.Unkill(scope="tool", subject="note.index", as_user="ben"))


def late(desk: Desk, record: Record, session: str, step: int) -> None:
    run(desk, record, "note.index", f"l{step}", session)
    desk.later(31_000)


def again(desk: Desk, record: Record, session: str, step: int) -> None:
    """The same step once more, whatever became of it."""
    run(desk, record, "note.write", f"w{step // 2}", session, text="x" * (step // 2 % 9))


def judge(states: list[str]) -> Judge:
    """The store is as one of its commits left it, none before the last that was due."""

    def look(path: Path, before: list[Event]) -> None:
        store = open_store(path)
        try:
            state = state_of(store)
            bound = max(due(before), default=0)
            if state not in states[bound:]:
                earlier = states.index(state) if state in states else "none"
                raise AssertionError(f"commit {bound} was acknowledged, this is {earlier}")
            reopened(store, notes(before))
        finally:
            store.close()

    return look


def reopened(store: SqliteStore, before: list[Any]) -> None:
    """The ledger verifies, each effect's start is on record, and what never ended is unknown."""
    desk = Desk(FILES, store=store, start=START)
    desk.verified()
    leaves = {leaf.ids["attempt"]: leaf for leaf in desk.leaves("started")}
    for _, attempt, receipt in (each for each in before if each[0] == "effect"):
        # I1. A relaxed record may go with the milliseconds that it says it may lose.
        assert attempt in leaves or receipt.durability == "relaxed"
    open_still = _attempts(desk, "started")
    assert open_still <= set(leaves)
    gone = _attempts(desk, "unknown")
    desk.clock.move_to(START + 1_000_000_000)
    desk.governor.tick()
    assert _attempts(desk, "started") == set()
    assert _attempts(desk, "unknown") == gone | open_still


def _attempts(desk: Desk, state: str) -> set[str]:
    return {row["id"] for row in desk.rows(calls.Attempts(state=state, limit=1000))}
