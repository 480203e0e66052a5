"""What somebody can do to a store without the log's key, and what its auditor is told of it."""

import json
import shutil
from pathlib import Path

import pytest

from audit.history import FIRST, SECOND, STRANGER, History, small, trusting
from bridle.audit import finding, proving, receipts, stores
from bridle.audit.stores import Asked
from bridle.audit.word import Given
from bridle.ledger import checkpoint, cosignature, leaf, note, receipt, trustfile
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.note import COSIGNATURE, Signer
from bridle.ledger.tree import leaf_hash
from bridle.model.record import LeafKind
from bridle.store.rows import PayloadKeyRow
from bridle.store.sqlite.reading import snapshot


def verified(made: History, asked: Asked | None = None) -> stores.Verified:
    return stores.verify(made.place, asked or Asked(trusting(FIRST)))


def codes(made: History, asked: Asked | None = None) -> set[str]:
    return {flaw.code for flaw in verified(made, asked).report.findings}


@pytest.fixture
def made(tmp_path: Path):
    history = small(tmp_path / "store")
    yield history
    history.close()


def test_records_forged_behind_the_newest_checkpoint_are_named_as_signed_by_nobody(
    made: History,
) -> None:
    assert verified(made).unverified == ("rows: the store's digest key is not there",)
    made.work(2, chain="mis_forged")  # no key is needed for that
    found = verified(made)
    assert (found.ok, found.unsigned) == (True, 4)
    assert any("last 4 of the records: nobody has signed" in each for each in found.unverified)


def test_a_redaction_that_nobody_signed_excuses_nothing_silently(made: History) -> None:
    made.redact("mis_1")
    found = verified(made)
    assert found.unsigned == 1
    assert any("1 of the unsigned records say so" in each for each in found.unverified)
    made.sign()
    assert not any("erased" in each for each in verified(made).unverified)


def test_a_store_put_back_to_an_earlier_key_s_checkpoint_says_how_much_is_unsigned(
    made: History,
) -> None:
    before = made.store.write(lambda tx: tx.checkpoints())
    made.work(20)
    made.sign()
    newest = verified(made).report.size
    # An insider drops the newest signature, and is free to rewrite what follows the one before.
    made.store.write(lambda tx: tx._execute(f"DELETE FROM checkpoints WHERE size = {newest}"))
    made.store.write(lambda tx: tx.put_checkpoint(11, before[-1], instead=None))
    (made.folder / "checkpoint").unlink()
    found = verified(made)
    assert (found.ok, found.unsigned) == (True, 40)
    assert any("last 40 of the records: nobody has signed" in each for each in found.unverified)


def test_a_key_put_on_record_by_whoever_has_the_store_only_signs_nothing(made: History) -> None:
    for retire in (False, True):
        made.write(
            LeafKind.LOG, "system", {"what": "key", "key": str(STRANGER.key), "state": "added"}
        )
        if retire:
            made.write(
                LeafKind.LOG, "system", {"what": "key", "key": str(SECOND.key), "state": "retired"}
            )
        made.signers = [STRANGER]
        made.sign()
        for trusted in (FIRST, SECOND):
            assert "checkpoint_unsigned" in codes(made, Asked(trusting(trusted)))


def test_another_log_of_the_same_name_is_not_this_one(tmp_path: Path) -> None:
    twin = Signer(FIRST.key.name, bytes([77]) * 32)
    made = History(tmp_path / "twin")
    made.key(twin)
    made.activate()
    made.work(3)
    made.sign()
    assert codes(made, Asked(trusting(twin))) == set()
    assert codes(made, Asked(trusting(FIRST))) == {"checkpoint_unsigned"}
    assert codes(made, Asked(trusting(FIRST, twin))) == set()  # several keys: one is enough
    assert codes(made, Asked(trusting(FIRST, STRANGER))) == {"checkpoint_unsigned"}
    made.close()


def test_a_store_put_in_place_of_another_with_its_checkpoint_is_seen(
    made: History, tmp_path: Path
) -> None:
    kept = Given("kept", (made.folder / "checkpoint").read_bytes(), own=False)
    other = small(tmp_path / "other", salt=5)
    other.work(5)
    other.sign()
    assert codes(other) == set()  # by the same keys: only what was kept shows it
    assert codes(other, Asked(trusting(FIRST), (kept,))) == {"checkpoint_forked"}
    shutil.copy(made.folder / "checkpoint", other.folder / "checkpoint")
    assert codes(other) == {"checkpoint_forked"}
    other.close()


@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_checkpoint_of_another_size_is_not_this_log_s(made: History, size: int) -> None:
    root = leaf_hash(b"")
    forged = Checkpoint(FIRST.key.name, size, root) if size else None
    data = checkpoint.sign(forged, [FIRST]) if forged else b"nothing"
    (made.folder / "checkpoint").write_bytes(data)
    assert codes(made) & {"checkpoint_forked", "checkpoint_invalid"}


def test_an_empty_log_never_verifies_with_a_key(tmp_path: Path) -> None:
    made = History(tmp_path / "empty")
    assert codes(made) == {"checkpoint_unsigned"}
    made.signers = [FIRST]
    made.sign()
    assert codes(made) == {"checkpoint_unsigned"}
    made.close()


def test_witnesses_of_an_early_part_do_not_stand_for_the_rest(made: History) -> None:
    witness = Signer("witness.example/w", bytes([9]) * 32, COSIGNATURE)
    trust = trustfile.parse(f"log {FIRST.key}\nwitness w {witness.key}\nquorum w\n".encode())
    plain = note.parse((made.folder / "checkpoint").read_bytes())
    line = cosignature.sign(witness, plain.text, 1_700_000_000)
    kept = Given("kept", note.render(plain.text, [*plain.signatures, line]), own=False)
    assert not any("witnesses" in each for each in verified(made, Asked(trust, (kept,))).unverified)
    size = verified(made).report.size
    made.work(5)
    made.sign()
    found = verified(made, Asked(trust, (kept,)))
    assert found.word.witnessed == size
    assert any(f"first {size} of {size + 10}" in each for each in found.unverified)


def test_a_cosignature_by_another_or_wrong_makes_no_quorum(made: History) -> None:
    witness, other = (Signer("witness.example/w", bytes([n]) * 32, COSIGNATURE) for n in (9, 10))
    trust = trustfile.parse(f"log {FIRST.key}\nwitness w {witness.key}\nquorum w\n".encode())
    plain = note.parse((made.folder / "checkpoint").read_bytes())
    good = cosignature.sign(witness, plain.text, 1)
    for line in (
        cosignature.sign(other, plain.text, 1),
        cosignature.sign(witness, plain.text.replace("desk", "disk"), 1),
        note.Signature(good.name, good.id, good.payload[:-1]),
        note.Signature(good.name, good.id, bytes(8) + good.payload[8:]),
    ):
        kept = Given("kept", note.render(plain.text, [*plain.signatures, line]), own=False)
        assert "checkpoint_unsigned" in codes(made, Asked(trust, (kept,)))


def test_a_clock_that_went_back_is_told(made: History) -> None:
    made.time -= 5_000
    made.work()
    made.sign()
    assert codes(made) == {"time_backwards"}


GOOD = {
    "v": 1, "kind": "decision", "chain": "mis_9", "seq": 0, "prev": "0" * 64,
    "time": 1_767_225_700_000, "ids": {}, "commit": {}, "body": {"a": 1},
}  # fmt: skip


def spelt(**changed: object) -> bytes:
    return json.dumps({**GOOD, **changed}, separators=(",", ":")).encode()


def body(text: bytes) -> bytes:
    return spelt().replace(b'"a":1', text)


REFUSED = {
    "a key twice": spelt()[:-1] + b',"body":{}}',
    "a key twice inside": body(b'"a":1,"a":2'),
    "a key twice, once escaped": body(b'"a":1,"\\u0061":2'),
    "an endless number": body(b'"a":' + b"9" * 5_000),
    "infinity": body(b'"a":1e999'),
    "no number": body(b'"a":NaN'),
    "depth": body(b'"a":' + b"[" * 30_000 + b"]" * 30_000),
    "a fraction as place": spelt().replace(b'"seq":0', b'"seq":0.0'),
    "a time out of range": spelt(time=2**53),
    "a time before all": spelt(time=-1),
    "no UTF-8": spelt().replace(b"mis_9", b"mis_\xff"),
    "half a character": spelt().replace(b"mis_9", b"mis_\\ud800"),
    "a name of two lines": spelt(chain="mis\n9"),
    "a byte order mark": b"\xef\xbb\xbf" + spelt(),
    "more behind it": spelt() + b"\0",
    "two records": spelt() + spelt(),
    "null": b"null",
    "another version": spelt(v=2),
    "a field of nobody's": spelt(more=1),
    "an unknown kind": spelt(kind="Decision"),
    "a chain from its middle": spelt(seq=5, prev="1" * 64),
    "a beginning that follows something": spelt(prev="1" * 64),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_record_is_named_though_the_log_signed_it(made: History, what: str) -> None:
    data = REFUSED[what]
    made.store.write(lambda tx: tx.append("mis_9", 0, data, leaf_hash(data), b""))
    made.sign()
    assert codes(made) & {"leaf_invalid", "chain_broken"}


def test_a_record_of_the_most_bytes_is_one_and_of_one_more_is_none(made: History) -> None:
    room = 65_535 - len(spelt(body={"a": ""}))
    longest = spelt(body={"a": "x" * room})
    assert len(longest) == 65_535
    made.store.write(lambda tx: tx.append("mis_9", 0, longest, leaf_hash(longest), b""))
    made.sign()
    assert codes(made) == set()
    longer = spelt(body={"a": "x" * (room + 1)})
    made.store.write(
        lambda tx: tx._execute(
            'UPDATE leaves SET data = ?, hash = ? WHERE chain = "mis_9"'.replace('"', "'"),
            (longer, leaf_hash(longer)),
        )
    )
    assert "leaf_invalid" in codes(made)


def test_a_hash_planted_beside_a_record_proves_no_other(made: History) -> None:
    planted = bytes([7]) * 32
    made.store.write(
        lambda tx: tx._execute('UPDATE leaves SET hash = ? WHERE "index" = 4', (planted,))
    )
    with snapshot(made.place.database) as tx:
        (candidate,) = finding.candidates(tx, made.place, planted.hex())
        assert candidate.index == 4
        proved = receipts.verify(receipt.render(proving.record(tx, 4)), trusting(FIRST, SECOND))
    assert proved.hash != planted.hex()  # what `audit prove` prints: see the commands' tests
    assert "hash_mismatch" in codes(made)


def test_payloads_swapped_between_records_are_seen_with_and_without_keys(made: History) -> None:
    swap = (
        'UPDATE leaves SET sealed = (SELECT sealed FROM leaves WHERE "index" = 9) WHERE "index" = 2'
    )
    made.store.write(lambda tx: tx._execute(swap))
    assert codes(made) == {"payload_changed", "payload_unopenable"}
    shutil.rmtree(made.folder / "keys")
    assert codes(made) == {"payload_changed"}


def test_a_redaction_in_another_chain_excuses_nothing(made: History) -> None:
    made.store.write(lambda tx: tx.reseal(2, b""))
    for text in (
        {"what": "record", "record": 2, "fields": ["args", "reason"], "sealed": "", "basis": "x"},
        {"what": "mission", "below": 12, "records": 1, "basis": "x"},
        {"what": "mission", "below": 10**6, "records": 1, "basis": "x"},
        {"what": "all"},
    ):
        made.write(LeafKind.REDACTION, "mis_other", text)
        made.sign()
        assert "payload_missing" in codes(made)


def test_a_redaction_that_left_what_it_says_it_erased_is_named(made: History) -> None:
    """The remaining payload is the one the redaction names, and still opens the erased field."""

    def erase(tx, *, kept: tuple[str, ...]) -> None:
        record = next(tx.leaves(2, 3))
        openings = made.ring.open(
            record.sealed, ("mis_1", record.seq), record.hash, tx.get(PayloadKeyRow, "mis_1").sealed
        )
        left = {name: openings[name] for name in kept}
        sealed = made.seal(tx, "mis_1", record.seq, left)
        tx.reseal(2, sealed)
        said = {
            "what": "record", "record": 2, "fields": ["args"],
            "sealed": leaf.sealed_digest(sealed), "basis": "asked",
        }  # fmt: skip
        made.append(tx, LeafKind.REDACTION, "mis_1", said)

    made.store.write(lambda tx: erase(tx, kept=("args", "reason")))
    made.sign()
    assert codes(made) == {"payload_restored"}
    made.store.write(lambda tx: erase(tx, kept=("reason",)))
    made.sign()
    assert codes(made) == set()


def test_rows_of_which_the_log_says_nothing_are_not_said_to_be_compared(made: History) -> None:
    key = made.folder / "keys" / "digest.key"
    key.write_bytes(bytes(32))
    key.chmod(0o600)
    found = verified(made)
    assert (found.ok, found.rows) == (True, None)
    assert any("the log says nothing of any" in each for each in found.unverified)
    altered = (
        "UPDATE bundles SET doc = CAST(replace(CAST(doc AS TEXT), 'permit', 'forbid') AS BLOB)"
    )
    made.store.write(lambda tx: tx._execute(altered))
    assert codes(made) == {"bundle_altered"}
