"""Any sequence of writes, failures and reopenings leaves what a plain dictionary would hold."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bridle.ledger.tree import leaf_hash, root_of
from bridle.ledger.verify import verify_log
from bridle.model.errors import StoreError
from bridle.store.base import Tx
from bridle.store.rows import BudgetRow
from bridle.store.sqlite import SqliteStore, open_store

KEYS = st.sampled_from(["a", "b", "c"])
CHAINS = st.sampled_from(["m1", "m2", "system"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.integers(0, 5)),
        st.tuples(st.just("delete"), KEYS, st.just(0)),
        st.tuples(st.just("append"), CHAINS, st.integers(0, 255)),
    ),
    min_size=1,
    max_size=6,
)
Step = tuple[str, str, int]


class StoreMachine(RuleBasedStateMachine):
    """Steps are applied to a store and to dictionaries, and both must agree."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.rows: dict[str, int] = {}
        self.leaves: list[tuple[str, int, bytes]] = []
        self.store = self.open()

    def open(self) -> SqliteStore:
        return open_store(self.folder / "store" / "store.db", relaxed_ms=60_000)

    def apply(self, steps: list[Step], *, fail: bool = False) -> Callable[[Tx], None]:
        def job(tx: Tx) -> None:
            for what, name, number in steps:
                if what == "put":
                    tx.put(BudgetRow(id=name, mission="m", name="n", window=0, used=number))
                elif what == "delete":
                    tx.delete(BudgetRow, name)
                else:
                    data = bytes([number])
                    tx.append(name, tx.head(name).seq + 1, data, leaf_hash(data), b"")
            if fail:
                raise ValueError

        return job

    @rule(steps=STEPS, relaxed=st.booleans())
    def write(self, steps: list[Step], relaxed: bool) -> None:
        self.store.write(self.apply(steps), relaxed=relaxed)
        for what, name, number in steps:
            if what == "put":
                self.rows[name] = number
            elif what == "delete":
                self.rows.pop(name, None)
            else:
                seq = sum(chain == name for chain, _, _ in self.leaves)
                self.leaves.append((name, seq, bytes([number])))

    @rule(steps=STEPS)
    def write_and_raise(self, steps: list[Step]) -> None:
        with pytest.raises(ValueError):
            self.store.write(self.apply(steps, fail=True))

    @rule(steps=STEPS)
    def write_without_commit(self, steps: list[Step]) -> None:
        self.store._connection.set_commit_hook(lambda: True)
        with pytest.raises(StoreError):
            self.store.write(self.apply(steps))
        self.store._connection.set_commit_hook(None)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = self.open()

    @invariant()
    def agree(self) -> None:
        def look(tx: Tx) -> Any:
            return tx.find(BudgetRow), list(tx.leaves()), tx.frontier(), tx.count(BudgetRow)

        rows, leaves, frontier, count = self.store.write(look)
        assert {row.id: row.used for row in rows} == self.rows
        assert count == len(self.rows)
        assert [(each.chain, each.seq, each.data) for each in leaves] == self.leaves
        assert frontier.root() == root_of(data for _, _, data in self.leaves)
        report = verify_log(leaves, frontier)
        assert {flaw.code for flaw in report.findings} <= {"leaf_invalid"}

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
