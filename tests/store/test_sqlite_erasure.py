"""What is erased is gone from every file of the store, whoever reads the raw bytes."""

import base64
import random
from pathlib import Path

from bridle.ledger.tree import leaf_hash
from bridle.store.base import Tx
from bridle.store.rows import PayloadKeyRow
from bridle.store.sqlite import open_store
from bridle.store.sqlite.reading import snapshot

MARK = b"SECRET-OF-ANA-"


def written(folder: Path) -> bytes:
    return b"".join(each.read_bytes() for each in sorted(folder.glob("store.db*")))


def record(tx: Tx, chain: str, number: int, sealed: bytes) -> None:
    data = b"%d of %s" % (number, chain.encode())
    tx.append(chain, tx.head(chain).seq + 1, data, leaf_hash(data), sealed)


def test_erased_payloads_and_keys_leave_no_byte_in_any_file(tmp_path: Path) -> None:
    path = tmp_path / "store" / "store.db"
    store = open_store(path)
    chance = random.Random(7)
    chains = ["ana", "ben", "cleo"]
    for number in range(900):
        chain = chains[number % 3]
        mark = MARK if chain == "ana" else b"OF-OTHERS-"
        sealed = mark * chance.choice([1, 5, 40, 900])
        key = f"{chance.getrandbits(64):016x}-{chain}"

        def job(
            tx: Tx, chain: str = chain, number: int = number, sealed: bytes = sealed, key: str = key
        ) -> None:
            record(tx, chain, number, sealed)
            tx.put(PayloadKeyRow(chain=key, sealed=sealed[:64], created=number))

        store.write(job)
    assert MARK in written(path.parent)

    def erase(tx: Tx) -> int:
        for filed in list(tx.every(PayloadKeyRow)):
            if filed.key.endswith("-ana"):
                tx.delete(PayloadKeyRow, filed.key)
        return tx.erase("ana")

    assert store.write(erase) == 300
    assert store.scrub()
    left = written(path.parent)
    assert MARK not in left
    assert b"OF-OTHERS-" in left
    store.close()


def test_no_copy_stays_where_rows_were_moved_from_page_to_page(tmp_path: Path) -> None:
    path = tmp_path / "store" / "store.db"
    store = open_store(path)
    chance = random.Random(3)
    marks = {f"{chance.getrandbits(64):016x}": chance.randbytes(24) for _ in range(2_000)}
    for sizes in ([1, 4, 10], [4, 10, 30, 60], [4, 10, 30, 60]):  # divides pages here and there

        def grow(tx: Tx, sizes: list[int] = sizes) -> None:
            for key in chance.sample(sorted(marks), len(marks)):
                sealed = marks[key] * chance.choice(sizes)
                tx.put(PayloadKeyRow(chain=key, sealed=sealed, created=1))

        store.write(grow)
    kept = min(marks)

    def erase(tx: Tx) -> None:
        for key in chance.sample(sorted(marks), len(marks)):
            if key != kept:
                tx.put(PayloadKeyRow(chain=key, sealed=b"", created=1))

    store.write(erase)
    assert store.scrub()
    left = written(path.parent)
    texts = {key: base64.b64encode(mark) for key, mark in marks.items()}
    assert {key for key, text in texts.items() if text in left} == {kept}
    store.close()


def test_a_reader_keeps_the_old_pages_and_scrubbing_says_so(tmp_path: Path) -> None:
    path = tmp_path / "store" / "store.db"
    store = open_store(path)
    store.write(lambda tx: record(tx, "ana", 1, MARK * 9))
    with snapshot(path) as reading:
        assert [leaf.sealed for leaf in reading.leaves()] == [MARK * 9]
        store.write(lambda tx: tx.erase("ana"))
        assert not store.scrub()
        assert MARK in written(path.parent)
    assert store.scrub(again=True)
    assert MARK not in written(path.parent)
    store.close()


def test_a_write_goes_on_beside_a_reader_that_keeps_scrubbing_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "store" / "store.db"
    store = open_store(path)
    store.write(lambda tx: record(tx, "ana", 1, MARK))
    with snapshot(path) as reading:
        reading.frontier()
        assert not store.scrub()
        store.write(lambda tx: record(tx, "ana", 2, b""))
        assert store.write(lambda tx: tx.frontier().size) == 2
    store.close()


def test_a_store_in_memory_has_nothing_to_scrub() -> None:
    store = open_store(None)
    assert store.scrub()
    store.close()


def test_pages_that_are_let_go_are_overwritten(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store" / "store.db")
    assert store._connection.execute("PRAGMA secure_delete").get == 1
    store.close()
