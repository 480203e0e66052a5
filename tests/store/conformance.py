"""What every store must do. A driver's test module imports these tests and brings a `driver`."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.ledger.tree import leaf_hash, root_of
from bridle.model.errors import BridleError, StoreError, UsageError
from bridle.store.base import ChainHead, Filed, Frontier, Store, StoredLeaf, Tx
from bridle.store.combining import BATCH
from bridle.store.rows import (
    ROWS,
    ActionRow,
    BudgetRow,
    GlobalRow,
    HoldRow,
    KillRow,
    MissionRow,
    PartitionRow,
    Row,
)


class Driver(Protocol):
    """How the suite reaches into one kind of store."""

    def open(self) -> Store:
        """Open the store; once more on the same data after a close."""
        ...

    def commits(self, store: Store) -> Callable[[], int]:
        """Count commits from now on."""
        ...

    def failing_commits(self, store: Store) -> AbstractContextManager[None]:
        """Make every commit fail while the context lasts."""
        ...

    def queued(self, store: Store) -> int:
        """Tell how many callers wait for a leader."""
        ...


@pytest.fixture
def store(driver: Driver) -> Iterator[Store]:
    opened = driver.open()
    yield opened
    opened.close()


def sample(kind: type[Row], key: str, number: int = 1) -> Row:
    """A row with something in every field."""
    plain: dict[type, Any] = {str: f"text-{number}", int: number, bool: True, bytes: b"\x00\xff"}
    values = {
        field.name: plain[field.type]
        for field in msgspec.structs.fields(kind)
        if field.type in plain
    }
    rest = {
        field.name: {"files": {"a": "b"}, "groups": {"leads": 2}, "charged": {"eur": 3}}.get(
            field.name, {} if "dict" in str(field.type).split("[")[0] else []
        )
        for field in msgspec.structs.fields(kind)
        if field.type not in plain
    }
    return kind(**{**values, **rest, kind.KEY: key})


def action(key: str, **changes: Any) -> ActionRow:
    return msgspec.structs.replace(sample(ActionRow, key), **changes)


def leaf(number: int) -> bytes:
    return b"leaf %d" % number


def append(tx: Tx, chain: str, data: bytes, sealed: bytes = b"") -> int:
    return tx.append(chain, tx.head(chain).seq + 1, data, leaf_hash(data), sealed)


def bump(tx: Tx) -> int:
    row = tx.get(GlobalRow, "global") or GlobalRow()
    tx.put(msgspec.structs.replace(row, epoch=row.epoch + 1))
    return row.epoch + 1


def outcomes(
    driver: Driver, store: Store, jobs: list[Callable[[Tx], Any]], relaxed: tuple[int, ...] = ()
) -> list[Any]:
    """Run jobs that meet in the queue: the first holds the writer until the others wait.

    `relaxed` names those that need not be synced.
    """
    found: list[Any] = [None] * len(jobs)
    inside, complete = threading.Event(), threading.Event()

    def first(tx: Tx) -> Any:
        inside.set()
        assert complete.wait(30)
        return jobs[0](tx)

    def caller(number: int, job: Callable[[Tx], Any]) -> None:
        try:
            found[number] = store.write(job, relaxed=number in relaxed)
        except BaseException as problem:
            found[number] = problem

    threads = [threading.Thread(target=caller, args=(0, first))]
    threads[0].start()
    assert inside.wait(30)
    for number, job in list(enumerate(jobs))[1:]:
        thread = threading.Thread(target=caller, args=(number, job))
        thread.start()
        threads.append(thread)
        while driver.queued(store) < number:  # one after the other: the queue's order is the list's
            os.sched_yield()
    complete.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return found


# Rows


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.TABLE)
def test_every_row_comes_back_as_it_was_put(store: Store, kind: type[Row]) -> None:
    row, other = sample(kind, "k1", 1), sample(kind, "k2", 2)
    store.write(lambda tx: (tx.put(row), tx.put(other)))
    assert store.write(lambda tx: (tx.get(kind, "k1"), tx.get(kind, "k2"))) == (row, other)


STATES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_any_document_and_any_key_come_back(driver: Driver) -> None:
    opened = driver.open()

    @given(st.text(), st.dictionaries(st.text(), STATES, max_size=4), st.integers(0, 2**63 - 1))
    def check(key: str, state: dict[str, Any], number: int) -> None:
        row = HoldRow(
            id=key, subject="", action="", mission="", agent="", tool="", bind="", digest="",
            status="", created=0, expires=number, bundle="", causes=[], groups={}, reasons=[],
            terms=state,
        )  # fmt: skip
        opened.write(lambda tx: tx.put(row))
        assert opened.write(lambda tx: tx.get(HoldRow, key)) == row

    check()
    opened.close()


def test_a_second_put_replaces_the_first(store: Store) -> None:
    store.write(lambda tx: tx.put(action("a", state="decided", lapses=5)))
    store.write(lambda tx: tx.put(action("a", state="started", lapses=0)))
    found = store.write(lambda tx: tx.find(ActionRow))
    assert [(row.id, row.state, row.lapses) for row in found] == [("a", "started", 0)]
    assert store.write(lambda tx: tx.count(ActionRow, state="decided")) == 0


def test_a_row_keeps_its_fixed_columns(store: Store) -> None:
    one, other = (
        ActionRow(id="a", mission=m, agent="x", tool="t", executor="", state="ok", requested="")
        for m in ("m1", "m2")
    )
    store.write(lambda tx: tx.put(one))
    with pytest.raises(UsageError):
        store.write(lambda tx: tx.put(other))
    store.write(lambda tx: tx.put(msgspec.structs.replace(one, state="held")))
    assert store.write(lambda tx: tx.find(ActionRow, mission="m1", state="held"))
    assert not store.write(lambda tx: tx.find(ActionRow, mission="m2"))


def test_what_is_not_there_is_none_and_deleting_it_is_harmless(store: Store) -> None:
    assert store.write(lambda tx: tx.get(GlobalRow, "global")) is None
    store.write(lambda tx: tx.delete(GlobalRow, "global"))
    store.write(lambda tx: tx.put(GlobalRow()))
    store.write(lambda tx: tx.delete(GlobalRow, "global"))
    assert store.write(lambda tx: tx.get(GlobalRow, "global")) is None


def test_find_gives_equal_rows_in_order_of_key_up_to_the_limit(store: Store) -> None:
    def fill(tx: Tx) -> None:
        for number in range(10):
            tx.put(action(f"a{9 - number}", mission=f"m{number % 2}", state="s", lapses=number))

    store.write(fill)

    def keys(**how: Any) -> list[str]:
        return [row.id for row in store.write(lambda tx: tx.find(ActionRow, **how))]

    assert keys() == [f"a{number}" for number in range(10)]
    assert keys(mission="m0") == ["a1", "a3", "a5", "a7", "a9"]
    assert keys(mission="m0", limit=2) == ["a1", "a3"]
    assert keys(mission="m0", limit=0) == []
    assert keys(mission="m0", state="other") == []
    assert keys(lapses=4) == ["a5"]
    assert keys(below=("lapses", 3)) == ["a7", "a8", "a9"]
    assert keys(below=("lapses", 3), mission="m0") == ["a7", "a9"]
    assert keys(newest="lapses", limit=3) == ["a0", "a1", "a2"]
    assert keys(newest="lapses", mission="m0", below=("lapses", 6)) == ["a5", "a7", "a9"]
    assert keys(id="a4") == ["a4"]
    assert store.write(lambda tx: tx.count(ActionRow)) == 10
    assert store.write(lambda tx: tx.count(ActionRow, mission="m1", state="s")) == 5


def test_find_sees_what_the_same_job_put(store: Store) -> None:
    def job(tx: Tx) -> int:
        tx.put(sample(BudgetRow, "b"))
        return len(tx.find(BudgetRow, mission="text-1"))

    assert store.write(job) == 1


@pytest.mark.parametrize("kind", ROWS)
def test_every_row_of_a_kind_is_seen_in_order_of_key(store: Store, kind: type[Row]) -> None:
    keys = [f"k{number:04d}" for number in range(300)]

    def job(tx: Tx) -> list[Filed]:
        for key in reversed(keys):
            tx.put(sample(kind, key))
        return list(tx.every(kind))

    assert store.write(job) == [Filed(key, sample(kind, key), true=True) for key in keys]


@pytest.mark.parametrize(
    "how",
    [
        {"agent": "x"},
        {"doc": "x"},
        {'mission" = "mission" --': "x"},
        {"newest": "mission"},
        {"newest": "attempts"},
        {"newest": 'lapses"; DROP TABLE "actions"; --'},
        {"below": ("mission", 3)},
        {"below": ('lapses" OR 1 --', 3)},
    ],
    ids=str,
)
def test_only_declared_columns_can_be_searched(store: Store, how: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        store.write(lambda tx: tx.find(ActionRow, **how))


def test_a_value_is_never_read_as_a_statement(store: Store) -> None:
    nasty = "x'; DROP TABLE actions; -- \x00 \" ? :a"
    store.write(lambda tx: tx.put(action(nasty, mission=nasty)))
    assert store.write(lambda tx: tx.get(ActionRow, nasty)) is not None
    assert store.write(lambda tx: tx.count(ActionRow, mission=nasty)) == 1


def test_a_row_type_without_a_table_is_refused(store: Store) -> None:
    class StrangeRow(Row, frozen=True, kw_only=True):
        TABLE = "actions"
        KEY = "id"
        id: str

    with pytest.raises(UsageError):
        store.write(lambda tx: tx.put(StrangeRow(id="x")))
    with pytest.raises(UsageError):
        store.write(lambda tx: tx.get(StrangeRow, "x"))


# Jobs and batches


def test_the_result_of_a_job_is_returned_and_its_exception_raised(store: Store) -> None:
    assert store.write(lambda tx: "result") == "result"
    with pytest.raises(KeyError, match="mine"):
        store.write(lambda tx: {}["mine"])


def test_a_job_that_raises_changes_nothing(store: Store) -> None:
    def job(tx: Tx) -> None:
        bump(tx)
        append(tx, "m1", leaf(0))
        raise ValueError

    with pytest.raises(ValueError):
        store.write(job)
    assert store.write(lambda tx: tx.get(GlobalRow, "global")) is None
    assert store.write(lambda tx: (tx.head("m1"), tx.frontier())) == (ChainHead(), Frontier())


def test_a_job_that_raises_leaves_its_neighbours_in_the_batch_alone(
    driver: Driver, store: Store
) -> None:
    def good(tx: Tx) -> int:
        bump(tx)
        return append(tx, "m1", leaf(tx.head("m1").seq + 1))

    def bad(tx: Tx) -> None:
        good(tx)
        append(tx, "m2", leaf(7))
        raise ValueError

    count = driver.commits(store)
    found = outcomes(driver, store, [good, bad, good, bad, good])
    assert [each if isinstance(each, int) else type(each) for each in found] == [
        0, ValueError, 1, ValueError, 2,
    ]  # fmt: skip
    assert count() == 1
    row, head, frontier = store.write(
        lambda tx: (tx.get(GlobalRow, "global"), tx.head("m2"), tx.frontier())
    )
    assert (row.epoch, head) == (3, ChainHead())
    assert frontier.root() == root_of(leaf(number) for number in range(3))


def test_a_first_job_that_raises_does_not_take_the_batch_with_it(
    driver: Driver, store: Store
) -> None:
    def bad(tx: Tx) -> None:
        bump(tx)
        raise ValueError

    found = outcomes(driver, store, [bad, bump, bump])
    assert isinstance(found[0], ValueError)
    assert found[1:] == [1, 2]


def test_callers_that_wait_share_one_commit(driver: Driver, store: Store) -> None:
    count = driver.commits(store)
    assert sorted(outcomes(driver, store, [bump] * 20)) == list(range(1, 21))
    assert count() == 1


def test_a_batch_is_bounded_and_the_lead_passes_on(driver: Driver, store: Store) -> None:
    leaders: list[int] = []

    def job(tx: Tx) -> int:
        leaders.append(threading.get_ident())
        return bump(tx)

    count = driver.commits(store)
    found = outcomes(driver, store, [job] * (2 * BATCH + 2))
    assert found == list(range(1, 2 * BATCH + 3))
    assert count() == 3
    runs = [leaders.count(leader) for leader in dict.fromkeys(leaders)]
    assert runs == [BATCH, BATCH, 2]


def test_a_strict_job_does_not_join_a_batch_that_is_not_synced(
    driver: Driver, store: Store
) -> None:
    count = driver.commits(store)
    assert outcomes(driver, store, [bump] * 4, relaxed=(0, 1, 3)) == [1, 2, 3, 4]
    assert count() == 2


def test_a_relaxed_job_joins_a_batch_that_is_synced(driver: Driver, store: Store) -> None:
    count = driver.commits(store)
    assert outcomes(driver, store, [bump] * 4, relaxed=(1, 2, 3)) == [1, 2, 3, 4]
    assert count() == 1


def test_when_the_commit_fails_nothing_of_the_batch_happened(driver: Driver, store: Store) -> None:
    store.write(bump)

    def job(tx: Tx) -> int:
        append(tx, "m1", leaf(0) if tx.head("m1").seq < 0 else leaf(1))
        return bump(tx)

    def bad(tx: Tx) -> None:
        raise ValueError

    with driver.failing_commits(store):
        found = outcomes(driver, store, [job, bad, job])
    assert [type(each) for each in found] == [StoreError, ValueError, StoreError]
    assert found[0] is not found[2]
    assert all(each.code.startswith("store_") and each.hint for each in (found[0], found[2]))
    state = store.write(lambda tx: (tx.get(GlobalRow, "global"), tx.head("m1"), tx.frontier()))
    assert state == (GlobalRow(epoch=1), ChainHead(), Frontier())
    assert store.write(job) == 2


def test_a_job_that_writes_again_is_told_so(store: Store) -> None:
    with pytest.raises(UsageError):
        store.write(lambda tx: store.write(bump))
    with pytest.raises(UsageError):
        store.write(lambda tx: store.close())
    assert store.write(bump) == 1


def test_a_transaction_is_of_no_use_after_its_job(store: Store) -> None:
    tx, leaves = store.write(lambda tx: (tx, tx.leaves()))
    for use in (
        lambda: tx.get(GlobalRow, "global"),
        lambda: tx.put(GlobalRow()),
        lambda: tx.delete(GlobalRow, "global"),
        lambda: tx.find(GlobalRow),
        lambda: tx.count(GlobalRow),
        lambda: tx.head("m1"),
        tx.frontier,
        lambda: append(tx, "m1", leaf(0)),
        lambda: next(leaves),
    ):
        with pytest.raises(UsageError):
            use()


def test_sixteen_threads_lose_no_update_and_no_leaf(store: Store) -> None:
    rounds = 40

    def job(chain: str, relaxed: bool) -> None:
        def one(tx: Tx) -> None:
            number = bump(tx)
            append(tx, chain, leaf(number - 1))
            row = tx.get(PartitionRow, chain) or PartitionRow(id=chain, scope="user")
            tx.put(msgspec.structs.replace(row, seq=row.seq + 1))

        store.write(one, relaxed=relaxed)

    def caller(number: int) -> None:
        for turn in range(rounds):
            job(f"m{number % 4}", relaxed=(number + turn) % 3 == 0)

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    row, frontier, heads, counters, leaves = store.write(
        lambda tx: (
            tx.get(GlobalRow, "global"),
            tx.frontier(),
            [tx.head(f"m{number}").seq for number in range(4)],
            [row.seq for row in tx.find(PartitionRow)],
            list(tx.leaves()),
        )
    )
    assert row.epoch == frontier.size == 16 * rounds
    assert heads == [4 * rounds - 1] * 4
    assert counters == [4 * rounds] * 4
    assert [each.data for each in leaves] == [leaf(number) for number in range(16 * rounds)]
    assert frontier.root() == root_of(each.data for each in leaves)


@pytest.mark.parametrize("problem", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interruption_in_one_caller_strands_nobody(
    driver: Driver, store: Store, problem: type[BaseException]
) -> None:
    def stop(tx: Tx) -> None:
        bump(tx)
        raise problem

    found = outcomes(driver, store, [stop, bump, stop, bump])
    assert [type(each) for each in found] == [problem, int, problem, int]
    assert store.write(bump) == 3


# The log


def test_leaves_are_numbered_in_the_order_of_the_log_and_linked_in_their_chain(
    store: Store,
) -> None:
    chains = ["m1", "system", "m1", "m2", "m1", "system"]
    for number, chain in enumerate(chains):
        index = store.write(
            lambda tx, number=number, chain=chain: append(tx, chain, leaf(number), b"s%d" % number)
        )
        assert index == number
    stored = store.write(lambda tx: list(tx.leaves()))
    assert stored == [
        StoredLeaf(
            number,
            chain,
            chains[:number].count(chain),
            leaf(number),
            b"s%d" % number,
            leaf_hash(leaf(number)),
        )
        for number, chain in enumerate(chains)
    ]
    assert store.write(lambda tx: tx.head("m1")) == ChainHead(2, leaf_hash(leaf(4)))
    assert store.write(lambda tx: tx.head("nobody")) == ChainHead()


def test_a_range_of_leaves_is_start_to_before_end(store: Store) -> None:
    def fill(tx: Tx) -> None:
        for number in range(600):  # more than one page
            append(tx, "m1", leaf(number))

    store.write(fill)

    def indexes(*where: Any) -> list[int]:
        return [each.index for each in store.write(lambda tx: list(tx.leaves(*where)))]

    assert indexes() == list(range(600))
    assert indexes(590) == list(range(590, 600))
    assert indexes(3, 5) == [3, 4]
    assert indexes(255, 258) == [255, 256, 257]
    assert indexes(5, 5) == indexes(700) == indexes(5, 3) == []
    assert indexes(598, 10_000) == [598, 599]


def test_a_leaf_that_does_not_follow_its_chain_is_refused(store: Store) -> None:
    store.write(lambda tx: append(tx, "m1", leaf(0)))
    for chain, seq in (("m1", 0), ("m1", 2), ("m1", -1), ("m2", 1)):
        with pytest.raises(UsageError):
            store.write(
                lambda tx, chain=chain, seq=seq: tx.append(
                    chain, seq, leaf(1), leaf_hash(leaf(1)), b""
                )
            )
    assert store.write(lambda tx: tx.frontier().size) == 1


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", leaf_hash(b"")),
        (b"x" * 65_536, leaf_hash(b"x" * 65_536)),
        (b"x", leaf_hash(b"y")),
        (b"x", b""),
    ],
    ids=["empty", "too long", "another hash", "no hash"],
)
def test_a_leaf_that_cannot_be_proved_later_is_refused(
    store: Store, data: bytes, digest: bytes
) -> None:
    with pytest.raises(UsageError):
        store.write(lambda tx: tx.append("m1", 0, data, digest, b""))


def test_the_frontier_counts_what_the_same_job_appended(store: Store) -> None:
    def job(tx: Tx) -> list[bytes]:
        roots = [tx.frontier().root()]
        for number in range(9):
            append(tx, "m1", leaf(number))
            roots.append(tx.frontier().root())
        return roots

    assert store.write(job) == [
        root_of(leaf(number) for number in range(size)) for size in range(10)
    ]
    assert store.write(lambda tx: tx.frontier().size) == 9


# Closing


def test_a_closed_store_takes_nothing_and_says_so(driver: Driver) -> None:
    opened = driver.open()
    opened.write(bump)
    opened.close()
    opened.close()
    with pytest.raises(StoreError) as raised:
        opened.write(bump)
    assert raised.value.code == "store_closed"


def test_closing_finishes_what_is_queued(driver: Driver) -> None:
    opened = driver.open()
    found: list[Any] = []
    inside, closing = threading.Event(), threading.Event()

    def first(tx: Tx) -> int:
        inside.set()
        assert closing.wait(30)
        while driver.queued(opened) < 3:
            os.sched_yield()
        return bump(tx)

    def close() -> None:
        closing.set()
        opened.close()

    def caller(job: Callable[[Tx], int]) -> None:
        try:
            found.append(opened.write(job))
        except BridleError as problem:
            found.append(problem.code)

    threads = [threading.Thread(target=caller, args=(first,))]
    threads[0].start()
    assert inside.wait(30)
    threads += [threading.Thread(target=caller, args=(bump,)) for _ in range(3)]
    for thread in threads[1:]:
        thread.start()
    while driver.queued(opened) < 3:
        os.sched_yield()
    threads.append(threading.Thread(target=close))
    threads[-1].start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert sorted(found) == [1, 2, 3, 4]


def test_everything_is_there_after_reopening(driver: Driver) -> None:
    opened = driver.open()

    def fill(tx: Tx) -> None:
        for number in range(7):
            append(tx, f"m{number % 2}", leaf(number), b"sealed")
        tx.put(sample(MissionRow, "m0"))
        tx.put(sample(HoldRow, "h0"))
        tx.put(sample(KillRow, "k0"))

    opened.write(fill)
    opened.write(bump, relaxed=True)
    opened.close()
    again = driver.open()
    rows, size, root, head, leaves = again.write(
        lambda tx: (
            [tx.get(MissionRow, "m0"), tx.get(HoldRow, "h0"), tx.get(KillRow, "k0")],
            tx.frontier().size,
            tx.frontier().root(),
            tx.head("m1"),
            [each.data for each in tx.leaves()],
        )
    )
    assert rows == [sample(MissionRow, "m0"), sample(HoldRow, "h0"), sample(KillRow, "k0")]
    assert (size, root) == (7, root_of(leaf(number) for number in range(7)))
    assert head == ChainHead(2, leaf_hash(leaf(5)))
    assert leaves == [leaf(number) for number in range(7)]
    assert again.write(bump) == 2
    again.close()
