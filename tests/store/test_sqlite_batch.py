"""Leaves wait for the commit: what one job inserts early or takes back loses no neighbour's."""

from __future__ import annotations

import pytest

from bridle.ledger.tree import leaf_hash
from bridle.store.base import StoredLeaf
from bridle.store.sqlite import opening
from bridle.store.sqlite.transaction import Batch, SqliteTx


@pytest.fixture
def batch() -> Batch:
    made = Batch(opening.connect(None), lambda: None, settles=False)
    made.begin()
    return made


def append(tx: SqliteTx, text: str, chain: str = "c") -> None:
    data = text.encode()
    tx.append(chain, tx.head(chain).seq + 1, data, leaf_hash(data), b"")


def committed(batch: Batch) -> list[str]:
    batch.commit()
    after = Batch(batch._connection, lambda: None, settles=False)
    after.begin()
    found: list[StoredLeaf] = after.run(lambda tx: list(tx.leaves()))
    assert after.run(lambda tx: tx.frontier().size) == len(found)
    return [leaf.data.decode() for leaf in found]


def test_a_job_reads_the_leaves_of_those_before_it(batch: Batch) -> None:
    batch.run(lambda tx: append(tx, "first"))
    assert batch.run(lambda tx: [leaf.data for leaf in tx.leaves()]) == [b"first"]
    assert batch.run(lambda tx: tx.hashes(0, 0, 1)) == [leaf_hash(b"first")]
    assert committed(batch) == ["first"]


def test_a_job_that_read_and_failed_takes_no_neighbours_leaf_with_it(batch: Batch) -> None:
    def reads_and_fails(tx: SqliteTx) -> None:
        append(tx, "mine")
        assert [leaf.data for leaf in tx.leaves()] == [b"first", b"mine"]
        append(tx, "mine too")
        raise ZeroDivisionError

    batch.run(lambda tx: append(tx, "first"))
    with pytest.raises(ZeroDivisionError):
        batch.run(reads_and_fails)
    batch.run(lambda tx: append(tx, "second"))
    assert committed(batch) == ["first", "second"]


def test_a_job_that_failed_leaves_none_of_its_own(batch: Batch) -> None:
    def fails(tx: SqliteTx) -> None:
        append(tx, "mine")
        raise ZeroDivisionError

    batch.run(lambda tx: append(tx, "first"))
    batch.run(lambda tx: list(tx.leaves()))
    with pytest.raises(ZeroDivisionError):
        batch.run(fails)
    assert committed(batch) == ["first"]


def test_more_leaves_than_one_statement_takes_keep_their_order(batch: Batch) -> None:
    texts = [str(number) for number in range(600)]
    batch.run(lambda tx: [append(tx, each, f"c{int(each) % 3}") for each in texts])
    assert committed(batch) == texts


def test_what_waits_can_be_resealed_and_erased(batch: Batch) -> None:
    def seal(tx: SqliteTx) -> int:
        tx.append("c", 0, b"x", leaf_hash(b"x"), b"old")
        tx.reseal(0, b"new")
        assert [leaf.sealed for leaf in tx.leaves()] == [b"new"]
        return tx.erase("c")

    assert batch.run(seal) == 1
    assert committed(batch) == ["x"]


def test_a_job_that_only_appends_has_written(batch: Batch) -> None:
    wrote: list[bool] = []
    made = Batch(batch._connection, lambda: wrote.append(True), settles=False)
    batch.undo()
    made.begin()
    made.run(lambda tx: append(tx, "first"))
    made.commit()
    assert wrote == [True]
