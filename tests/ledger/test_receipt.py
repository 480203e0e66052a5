"""Receipts: one record, one place, one signed tree; nothing in them is believed by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.ledger import checkpoint, note, receipt
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.note import Signer
from bridle.ledger.receipt import Receipt
from bridle.ledger.tree import EMPTY_ROOT, inclusion_proof, leaf_hash, range_root
from ledger.worked import (
    AT_FIVE,
    DIGESTS,
    LOG,
    LOG_LINE,
    ORIGIN,
    PROOF_OF_THREE,
    SIGNED,
    TEXT,
    WORDS,
    code_of,
    mutations,
    outcome,
)

PLAIN = checkpoint.sign(AT_FIVE, [LOG])
GIVEN = Receipt(2, PROOF_OF_THREE, PLAIN, b"three")
# As the specification has it; the base64 is another program's.
BYTES = (
    "c2sp.org/tlog-proof@v1\n"
    "extra dGhyZWU=\n"
    "index 2\n"
    "9xWrP6pdBx5uKsS7mU1b9zWUPcw3mdoNCF55gM+5M2o=\n"
    "T1X2GdkhUjV3iyufF9b0kVsWFxIU0VI4EpNml2Teci4=\n"
    "zMKa4OAqd7D0V4wawXST15z0JiEEkprIBPkfxOesWvA=\n"
    f"\n{TEXT}\n{LOG_LINE}"
).encode()


def seen(found: Receipt, leaf: bytes, *signers: Signer) -> str:
    keys = [each.key for each in signers or (LOG,)]
    return code_of(lambda: receipt.verify(found, leaf, keys))


def test_a_receipt_is_written_as_the_specification_has_it() -> None:
    assert receipt.render(GIVEN) == BYTES
    assert receipt.parse(BYTES) == GIVEN


def test_every_record_of_the_worked_example_has_a_receipt_that_holds_for_it_alone() -> None:
    for index, word in enumerate(WORDS):
        proof = inclusion_proof(range_root(DIGESTS), index, 5)
        found = receipt.parse(receipt.render(Receipt(index, proof, SIGNED)))
        signed = receipt.verify(found, word, [LOG.key])
        assert (signed.checkpoint, signed.keys) == (AT_FIVE, (LOG.key,))
        for other in {*WORDS, b"", b"onE"} - {word}:
            assert seen(found, other) == "receipt_unproven"
        for place in {*range(7), 2**62} - {index}:
            assert seen(Receipt(place, proof, SIGNED), word) == "receipt_unproven"


def test_what_lies_in_extra_proves_nothing() -> None:
    forged = Receipt(2, PROOF_OF_THREE, PLAIN, b"forged")
    assert seen(forged, forged.extra) == "receipt_unproven"
    assert seen(forged, b"three") == ""


def test_a_node_does_not_pass_for_a_record() -> None:
    pair = DIGESTS[0] + DIGESTS[1]
    assert leaf_hash(pair) not in DIGESTS
    assert seen(Receipt(0, PROOF_OF_THREE[1:], PLAIN), pair) == "receipt_unproven"


def test_a_log_of_one_record_needs_no_hashes() -> None:
    data = checkpoint.sign(Checkpoint(ORIGIN, 1, DIGESTS[0]), [LOG])
    found = receipt.parse(receipt.render(Receipt(0, (), data)))
    assert seen(found, b"one") == ""
    assert seen(found, b"two") == "receipt_unproven"


def test_an_empty_log_holds_no_record() -> None:
    data = checkpoint.sign(Checkpoint(ORIGIN, 0, EMPTY_ROOT), [LOG])
    assert seen(Receipt(0, (), data), b"") == "receipt_unproven"


def test_a_receipt_of_a_stranger_is_refused() -> None:
    stranger = Signer(ORIGIN, bytes(32))
    assert seen(GIVEN, b"three", stranger) == "note_unverified"
    forged = Receipt(2, PROOF_OF_THREE, checkpoint.sign(AT_FIVE, [stranger]))
    assert seen(forged, b"three") == "note_unverified"


def test_a_proof_too_long_too_short_or_out_of_order_is_refused() -> None:
    one, two, three = PROOF_OF_THREE
    for proof in ((), (one,), (one, two), (one, two, three, three), (two, one, three)):
        assert seen(Receipt(2, proof, PLAIN), b"three") == "receipt_unproven"


HASH = BYTES.split(b"\n")[3]
MALFORMED = {
    "nothing": b"",
    "only a head": b"c2sp.org/tlog-proof@v1\n\n",
    "another version": BYTES.replace(b"@v1", b"@v2"),
    "a space behind the head": BYTES.replace(b"@v1", b"@v1 "),
    "no head": BYTES.partition(b"\n")[2],
    "a byte order mark": b"\xef\xbb\xbf" + BYTES,
    "CRLF": BYTES.replace(b"\n", b"\r\n"),
    "no checkpoint": BYTES.partition(b"\n\n")[0] + b"\n",
    "extra of nothing": BYTES.replace(b"extra dGhyZWU=", b"extra "),
    "extra without padding": BYTES.replace(b"extra dGhyZWU=", b"extra dGhyZWU"),
    "extra twice": BYTES.replace(b"index", b"extra dGhyZWU=\nindex"),
    "extra after the index": BYTES.replace(b"index 2\n", b"index 2\nextra dGhyZWU=\n"),
    "no index": BYTES.replace(b"index 2\n", b""),
    "two indexes": BYTES.replace(b"index 2\n", b"index 2\nindex 2\n"),
    "a hash without padding": BYTES.replace(HASH, HASH[:-1]),
    "a hash with stray bits": BYTES.replace(b"+5M2o=", b"+5M2p="),
    "a hash of 31 bytes": BYTES.replace(HASH, note.encoded(bytes(31)).encode()),
    "a hash of 33 bytes": BYTES.replace(HASH, note.encoded(bytes(33)).encode()),
    "a hash in hexadecimal": BYTES.replace(HASH, PROOF_OF_THREE[0].hex().encode()),
    "a comment": BYTES.replace(HASH, b"# hash\n" + HASH),
    "64 hashes": BYTES.replace(HASH, b"\n".join([HASH] * 62)),
    "100,000 hashes": BYTES.replace(HASH, b"\n".join([HASH] * 20_000)),
    "a megabyte of extra": BYTES.replace(b"dGhyZWU=", b"AAAA" * (1 << 18)),
    "half a megabyte of newlines": BYTES.replace(b"index", b"\n" * (1 << 19)),
    "half a megabyte of digits": BYTES.replace(b"index 2", b"index " + b"1" * (1 << 19)),
}
INDEXES = [
    "", "02", "00", "+2", "-2", "-0", " 2", "2 ", "2_0", "2.0", "2e0", "0x2", "\u0662", "1\u0662",
    "\uff12", "\u00b2", "two", str(1 << 63), "9" * 5_000,
]  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_receipt_is_refused(name: str) -> None:
    assert code_of(lambda: receipt.parse(MALFORMED[name])) == "receipt_invalid"


@pytest.mark.parametrize("index", INDEXES, ids=lambda index: ascii(index[:12]))
def test_an_index_has_one_spelling(index: str) -> None:
    data = BYTES.replace(b"index 2", f"index {index}".encode())
    assert code_of(lambda: receipt.parse(data)) == "receipt_invalid"


@pytest.mark.parametrize(
    "wrong",
    [
        Receipt(-1, PROOF_OF_THREE, PLAIN),
        Receipt(1 << 63, PROOF_OF_THREE, PLAIN),
        Receipt(2, (b"short",), PLAIN),
        Receipt(2, (bytes(32),) * 64, PLAIN),
        Receipt(2, PROOF_OF_THREE, PLAIN, bytes(1 << 20)),
    ],
)
def test_a_receipt_that_could_not_be_read_back_is_not_written(wrong: Receipt) -> None:
    assert code_of(lambda: receipt.render(wrong)) == "receipt_invalid"


def test_the_longest_proof_and_the_longest_record_fit() -> None:
    longest = Receipt((1 << 63) - 1, (bytes(32),) * 63, PLAIN, bytes(65_535))
    assert receipt.parse(receipt.render(longest)) == longest


@given(data=st.one_of(mutations(BYTES), st.binary(max_size=200)))
def test_any_bytes_are_refused_or_render_back(data: bytes) -> None:
    code, found = outcome(lambda: receipt.parse(data))
    assert code in {"", "receipt_invalid"}
    assert code or receipt.render(found) == data


@given(data=mutations(BYTES), leaf=st.sampled_from([*WORDS, b"", b"forged"]))
def test_no_changed_receipt_shows_another_record(data: bytes, leaf: bytes) -> None:
    code, found = outcome(lambda: receipt.parse(data))
    assert code or seen(found, leaf) or (found.index, leaf) == (2, b"three")


def test_every_bit_of_a_receipt_but_those_of_extra_counts() -> None:
    data = receipt.render(Receipt(2, PROOF_OF_THREE, PLAIN))
    for at in range(len(data) * 8):
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        code, found = outcome(lambda one=bytes(changed): receipt.parse(one))
        assert code or seen(found, b"three"), at
