"""What every store must do for a log that is signed: hashes of tiles, checkpoints, erasing.

A driver's test module imports these tests beside those of `store.conformance`.
"""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.ledger import tiles
from bridle.ledger.tree import frontier_of, leaf_hash, root_of
from bridle.store.base import ChainHead, Store, Tx
from store.conformance import Driver, append, leaf, outcomes


def grow(tx: Tx, count: int, chain: str = "m1", sealed: bytes = b"") -> None:
    for _ in range(count):
        append(tx, chain, leaf(tx.frontier().size), sealed)


def tile(digests: list[bytes], level: int, number: int) -> bytes:
    """The root over the leaves of one full tile below."""
    width = 256**level
    return frontier_of(digests[number * width : (number + 1) * width]).root()


def filled(size: int) -> Callable[[Tx], None]:
    return lambda tx: grow(tx, size - tx.frontier().size)


# --- hashes of tiles ----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 511, 512, 700])
def test_hashes_are_those_of_the_leaves_and_of_full_tiles(store: Store, size: int) -> None:
    store.write(filled(size))
    digests = [leaf_hash(leaf(number)) for number in range(size)]

    def look(tx: Tx) -> None:
        assert tx.hashes(0, 0, 1 << 40) == digests
        assert tx.hashes(1, 0, 1 << 40) == [tile(digests, 1, at) for at in range(size // 256)]
        assert tx.hashes(2, 0, 1 << 40) == []

    store.write(look)


def test_a_range_of_hashes_is_start_to_before_end(store: Store) -> None:
    store.write(filled(1030))
    digests = [leaf_hash(leaf(number)) for number in range(1030)]

    def look(tx: Tx) -> None:
        assert tx.hashes(0, 3, 7) == digests[3:7]
        assert tx.hashes(1, 1, 3) == [tile(digests, 1, at) for at in (1, 2)]
        assert tx.hashes(0, 5, 5) == tx.hashes(1, 4, 9) == tx.hashes(0, 1030, 2000) == []

    store.write(look)


@pytest.mark.slow
def test_a_tile_of_tiles_is_there_once_it_is_full(store: Store) -> None:
    size = 256 * 256 + 300
    store.write(filled(size))
    digests = [leaf_hash(leaf(number)) for number in range(size)]

    def look(tx: Tx) -> None:
        assert tx.hashes(2, 0, 9) == [tile(digests, 2, 0)]
        assert len(tx.hashes(1, 0, 999)) == 257
        assert tiles.root_reader(tx.hashes)(0, size) == frontier_of(digests).root()

    store.write(look)


def test_hashes_see_what_the_same_job_appended(store: Store) -> None:
    store.write(filled(255))

    def job(tx: Tx) -> None:
        grow(tx, 2)
        assert len(tx.hashes(0, 0, 999)) == 257
        assert len(tx.hashes(1, 0, 9)) == 1

    store.write(job)


def test_a_job_that_raises_takes_its_hashes_with_it(driver: Driver, store: Store) -> None:
    """The tile that an undone job had filled is filled by the next one, with its own leaves."""
    store.write(filled(250))

    def bad(tx: Tx) -> None:
        for _ in range(10):
            append(tx, "m9", b"of a job that is undone")
        assert tx.hashes(1, 0, 1)
        raise ValueError

    def good(tx: Tx) -> None:
        grow(tx, 4)

    found = outcomes(driver, store, [good, bad, good])
    assert [type(each) for each in found] == [type(None), ValueError, type(None)]
    digests = [leaf_hash(leaf(number)) for number in range(258)]
    assert store.write(lambda tx: tx.hashes(1, 0, 9)) == [tile(digests, 1, 0)]
    assert store.write(lambda tx: tx.frontier().root()) == frontier_of(digests).root()


def test_proofs_can_be_made_from_what_is_kept(store: Store) -> None:
    store.write(filled(777))

    @given(st.integers(1, 777))
    def roots(size: int) -> None:
        expected = root_of(leaf(number) for number in range(size))
        assert store.write(lambda tx: tiles.root_reader(tx.hashes)(0, size)) == expected

    roots()


# --- ends of chains -----------------------------------------------------------------------------


def test_the_ends_of_all_chains_are_seen_in_order_of_name(store: Store) -> None:
    names = [f"m{number:03d}" for number in range(600)]
    store.write(lambda tx: [append(tx, name, leaf(1)) for name in reversed(names)])

    def job(tx: Tx) -> list[tuple[str, ChainHead]]:
        append(tx, "m007", leaf(2))
        append(tx, "a", leaf(3))
        return list(tx.heads())

    found = store.write(job)
    assert [chain for chain, _ in found] == ["a", *names]
    assert dict(found)["m007"] == ChainHead(1, leaf_hash(leaf(2)))
    assert store.write(lambda tx: list(tx.heads())) == found


def test_looking_at_all_ends_undoes_with_the_job(driver: Driver, store: Store) -> None:
    def good(tx: Tx) -> None:
        append(tx, "m1", leaf(0))

    def bad(tx: Tx) -> None:
        append(tx, "m2", leaf(1))
        assert len(list(tx.heads())) == 2
        raise ValueError

    outcomes(driver, store, [good, bad, good])
    assert store.write(lambda tx: [chain for chain, _ in tx.heads()]) == ["m1"]
    assert store.write(lambda tx: tx.head("m1").seq) == 1


# --- checkpoints --------------------------------------------------------------------------------


def test_checkpoints_are_kept_in_order_of_size(store: Store) -> None:
    def job(tx: Tx) -> None:
        for size in (300, 2, 40):
            tx.put_checkpoint(size, b"%d" % size)

    store.write(job)
    assert store.write(lambda tx: tx.checkpoints()) == [b"2", b"40", b"300"]


def test_a_checkpoint_takes_the_place_of_the_one_it_is_put_instead_of(store: Store) -> None:
    store.write(lambda tx: tx.put_checkpoint(1, b"a"))
    store.write(lambda tx: tx.put_checkpoint(5, b"b"))
    store.write(lambda tx: tx.put_checkpoint(9, b"c", instead=5))
    assert store.write(lambda tx: tx.checkpoints()) == [b"a", b"c"]
    store.write(lambda tx: tx.put_checkpoint(9, b"d", instead=9))
    assert store.write(lambda tx: tx.checkpoints()) == [b"a", b"d"]


def test_a_job_that_raises_takes_its_checkpoint_with_it(driver: Driver, store: Store) -> None:
    store.write(lambda tx: tx.put_checkpoint(1, b"a"))

    def bad(tx: Tx) -> None:
        tx.put_checkpoint(2, b"b", instead=1)
        raise ValueError

    def good(tx: Tx) -> None:
        tx.put_checkpoint(3, b"c")

    outcomes(driver, store, [bad, good, bad])
    assert store.write(lambda tx: tx.checkpoints()) == [b"a", b"c"]


def test_a_commit_that_fails_keeps_no_checkpoint(driver: Driver, store: Store) -> None:
    with driver.failing_commits(store), pytest.raises(Exception, match="store"):
        store.write(lambda tx: tx.put_checkpoint(1, b"a"))
    assert store.write(lambda tx: tx.checkpoints()) == []


# --- erasing ------------------------------------------------------------------------------------


def sealed_of(tx: Tx) -> list[bytes]:
    return [stored.sealed for stored in tx.leaves()]


def test_erasing_a_chain_drops_what_is_sealed_there_and_nothing_else(store: Store) -> None:
    def job(tx: Tx) -> None:
        grow(tx, 2, "m1", b"one")
        grow(tx, 1, "m1")
        grow(tx, 2, "m2", b"two")

    store.write(job)
    before = store.write(lambda tx: (tx.frontier(), [each.data for each in tx.leaves()]))
    assert store.write(lambda tx: tx.erase("m1")) == 2
    assert store.write(sealed_of) == [b"", b"", b"", b"two", b"two"]
    assert store.write(lambda tx: tx.erase("m1")) == 0
    assert store.write(lambda tx: tx.erase("m3")) == 0
    assert store.write(lambda tx: (tx.frontier(), [each.data for each in tx.leaves()])) == before
    assert store.scrub()


def test_one_record_is_sealed_anew(store: Store) -> None:
    store.write(lambda tx: grow(tx, 3, "m1", b"old"))
    store.write(lambda tx: tx.reseal(1, b"new"))
    store.write(lambda tx: tx.reseal(2, b""))
    assert store.write(sealed_of) == [b"old", b"new", b""]


def test_an_erasure_that_raises_erases_nothing(driver: Driver, store: Store) -> None:
    store.write(lambda tx: grow(tx, 2, "m1", b"kept"))

    def bad(tx: Tx) -> None:
        tx.reseal(1, b"other")
        assert tx.erase("m1") == 2
        raise ValueError

    def good(tx: Tx) -> None:
        grow(tx, 1, "m2", b"too")

    outcomes(driver, store, [good, bad, good])
    assert store.write(sealed_of) == [b"kept", b"kept", b"too", b"too"]


def test_what_was_erased_stays_so_after_reopening(driver: Driver) -> None:
    store = driver.open()
    store.write(lambda tx: grow(tx, 300, "m1", b"gone"))
    store.write(lambda tx: tx.erase("m1"))
    store.write(lambda tx: tx.put_checkpoint(300, b"note"))
    store.close()
    again = driver.open()
    assert set(again.write(sealed_of)) == {b""}
    assert again.write(lambda tx: (len(tx.hashes(1, 0, 9)), tx.checkpoints())) == (1, [b"note"])
    again.close()
