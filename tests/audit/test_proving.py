"""Receipts and proofs of growth: made from a few hashes, believed by whoever has the key alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.history import FIRST, STRANGER, History, small, trusting
from bridle.audit import finding, growth, proving, receipts
from bridle.audit.growth import Growth
from bridle.ledger import checkpoint, receipt
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.errors import LedgerError
from bridle.ledger.tree import frontier_of
from bridle.model.errors import NotFoundError, StoreError
from bridle.store.sqlite.reading import snapshot

CALLS = 350


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    made = History(tmp_path_factory.mktemp("proving") / "store")
    made.key(FIRST)
    made.activate()
    made.work(CALLS)
    made.sign()
    made.work()
    yield made
    made.close()


class Counting:
    """A transaction that counts the hashes and records which are read."""

    def __init__(self, tx) -> None:
        self._tx = tx
        self.hashed = self.reads = 0

    def __getattr__(self, name: str):
        return getattr(self._tx, name)

    def hashes(self, level: int, start: int, end: int) -> list[bytes]:
        found = self._tx.hashes(level, start, end)
        self.reads += 1
        self.hashed += len(found)
        return found


def test_every_record_has_a_receipt_that_the_key_alone_verifies(history: History) -> None:
    with snapshot(history.place.database) as tx:
        for leaf in list(tx.leaves(0, 2 * CALLS + 2)):
            data = receipt.render(proving.record(tx, leaf.index))
            proved = receipts.verify(data, trusting())
            assert (proved.index, proved.hash) == (leaf.index, leaf.hash.hex())
            assert proved.record.seq == leaf.seq
            with pytest.raises(LedgerError) as refused:
                receipts.verify(data, trusting(STRANGER))
            assert refused.value.code == "note_unverified"


def test_a_receipt_reads_no_more_than_a_tile_for_each_level(history: History) -> None:
    with snapshot(history.place.database) as tx:
        for index in (0, 255, 256, 511, 2 * CALLS):
            counting = Counting(tx)
            proving.record(counting, index)  # type: ignore[arg-type]
            assert counting.reads <= 2 * (2 * CALLS).bit_length()
            assert counting.hashed <= 2 * 256


def test_what_no_checkpoint_covers_is_not_proved_yet(history: History) -> None:
    with snapshot(history.place.database) as tx:
        size = tx.frontier().size
        for index, code in ((size - 1, "not_signed"), (size, "not_found"), (10**18, "not_found")):
            with pytest.raises(NotFoundError) as refused:
                proving.record(tx, index)
            assert refused.value.code == code


def test_a_store_that_signed_nothing_proves_nothing(tmp_path: Path) -> None:
    made = History(tmp_path / "store")
    made.work()
    with snapshot(made.place.database) as tx:
        for prove in (proving.record, proving.growth):
            with pytest.raises(StoreError) as refused:
                prove(tx, 0)
            assert refused.value.code == "checkpoint_missing"
    made.close()


def test_a_store_whose_hashes_were_changed_hands_out_no_receipt(tmp_path: Path) -> None:
    made = small(tmp_path / "store")
    made.store.write(
        lambda tx: tx._execute('UPDATE leaves SET hash = zeroblob(32) WHERE "index" = 3')
    )
    with snapshot(made.place.database) as tx:
        with pytest.raises(LedgerError) as refused:
            proving.record(tx, 5)
        assert refused.value.code == "receipt_unproven"
        with pytest.raises(LedgerError) as refused:
            proving.growth(tx, 5)
        assert refused.value.code == "receipt_unproven"
    made.close()


@given(place=st.integers(0), bit=st.integers(0, 7))
def test_no_bit_of_a_receipt_but_of_its_prose_can_differ(
    history: History, place: int, bit: int
) -> None:
    with snapshot(history.place.database) as tx:
        data = receipt.render(proving.record(tx, 300))
    changed = bytearray(data)
    changed[place % len(data)] ^= 1 << bit
    with pytest.raises(LedgerError):
        receipts.verify(bytes(changed), trusting())


def test_a_receipt_for_another_record_is_refused(history: History) -> None:
    with snapshot(history.place.database) as tx:
        one, other = proving.record(tx, 300), proving.record(tx, 301)
    mixed = receipt.Receipt(one.index, one.proof, one.checkpoint, other.extra)
    for data, given_ in (
        (receipt.render(mixed), None),
        (receipt.render(one), other.extra),
    ):
        with pytest.raises(LedgerError) as refused:
            receipts.verify(data, trusting(), given_)
        assert refused.value.code == "receipt_unproven"
    bare = receipt.render(receipt.Receipt(one.index, one.proof, one.checkpoint))
    with pytest.raises(LedgerError) as refused:
        receipts.verify(bare, trusting())
    assert refused.value.code == "receipt_empty"
    assert receipts.verify(bare, trusting(), one.extra).index == 300


def test_growth_is_proved_from_every_size(history: History) -> None:
    with snapshot(history.place.database) as tx:
        size = proving.newest(tx)[1].size
        hashes = tx.hashes(0, 0, size)
        for old in (*range(1, size, 37), 256, 512, size):
            proof = proving.growth(tx, old)
            assert growth.parse(growth.render(proof)) == proof
            assert len(proof.proof) <= 2 * size.bit_length()
            root = frontier_of(hashes[:old]).root()
            kept = checkpoint.sign(Checkpoint("log.example/desk/1", old, root), [FIRST])
            before, after = growth.verify(proof, kept, trusting())
            assert (before.checkpoint.size, after.checkpoint.size) == (old, size)
            forked = checkpoint.sign(Checkpoint("log.example/desk/1", old, bytes(32)), [FIRST])
            with pytest.raises(LedgerError) as refused:
                growth.verify(proof, forked, trusting())
            assert refused.value.code == "growth_unproven"


def test_growth_since_what_was_never_signed_is_not_proved(history: History) -> None:
    with snapshot(history.place.database) as tx:
        for old in (-1, 10**6):
            with pytest.raises(NotFoundError):
                proving.growth(tx, old)
        with pytest.raises(LedgerError) as refused:
            proving.growth(tx, 3, bytes(32))
        assert refused.value.code == "growth_unproven"


def test_growth_of_another_log_or_of_another_size_is_refused(history: History) -> None:
    with snapshot(history.place.database) as tx:
        proof = proving.growth(tx, 5)
        data, signed = proving.newest(tx)
    for kept in (
        Checkpoint("log.example/desk/2", 5, bytes(32)),
        Checkpoint("log.example/desk/1", 4, bytes(32)),
        Checkpoint("log.example/desk/1", signed.size + 1, bytes(32)),
    ):
        with pytest.raises(LedgerError):
            growth.verify(proof, checkpoint.sign(kept, [FIRST]), trusting())
    with pytest.raises(LedgerError):
        growth.verify(Growth(signed.size, (bytes(32),), data), data, trusting())
    assert growth.verify(Growth(signed.size, (), data), data, trusting())


BAD = [b"", b"old 5", b"old 5\n\n", b"old 05\n\nx", b"old -1\n\nx", b"new 5\n\nx",
       b"old 5\nAA\n\nx",
       b"old 5\n" + b"A" * 43 + b"=\n" * 1 + b"\n\nx", b"old " + b"9" * 40 + b"\n\nx",
       b"old 1\n" + (b"A" * 43 + b"=\n") * 64 + b"\nx", b"\xff\n\nx", b"x" * (2 << 20)]  # fmt: skip


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_what_is_no_proof_of_growth_is_refused(data: bytes) -> None:
    with pytest.raises(LedgerError):
        growth.verify(growth.parse(data), data, trusting())


@given(st.binary(max_size=300))
def test_bytes_are_a_proof_of_growth_that_reads_back_or_an_error(data: bytes) -> None:
    try:
        found = growth.parse(b"old 5\n" + data)
    except LedgerError:
        return
    assert growth.render(found) == b"old 5\n" + data


def test_records_are_found_by_index_hash_and_every_id(tmp_path: Path) -> None:
    made = small(tmp_path / "store")
    made.close()
    with snapshot(made.place.database) as tx:

        def found(what: str, kind: str = "") -> list[int]:
            return [each.index for each in finding.candidates(tx, made.place, what, kind)]

        for leaf in list(tx.leaves()):
            assert found(str(leaf.index)) == found(leaf.hash.hex()) == [leaf.index]
        assert found("mis_1") == [2, 3, 9, 10]
        assert found("mis_1", "decision") == [2, 9]
        assert found("clerk", "outcome") == [3, 6, 10]
        for what in ("nothing", "99", "-1", "0" * 64, "", "00", "٣", "x\0", "clerk%"):
            with pytest.raises(NotFoundError):
                found(what)
