"""Somebody between log and auditor, or beside them, makes a note say more than was signed.

They can change every byte on the way and have keys of their own; they lack the log's key.
"""

from __future__ import annotations

import unicodedata
from hashlib import sha256

import pytest

from bridle.ledger import checkpoint, cosignature, note, receipt, trustfile
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.note import COSIGNATURE, Key, Signature, Signer
from bridle.ledger.receipt import Receipt
from bridle.ledger.tree import frontier_of, inclusion_proof, leaf_hash, range_root
from ledger.worked import code_of

ORIGIN = "журнал.example/café/1"
LOG = Signer(ORIGIN, b"1" * 32)
MALLORY = Signer(ORIGIN, b"m" * 32)
LEAVES = [b"one", b"two", b"three"]
DIGESTS = [leaf_hash(each) for each in LEAVES]
ROOT = frontier_of(DIGESTS).root()
TRUE = Checkpoint(ORIGIN, 3, ROOT)
FORGED = Checkpoint(ORIGIN, 2, frontier_of(DIGESTS[:2]).root())
SIGNED = checkpoint.sign(TRUE, [LOG])
(SIGNATURE,) = note.parse(SIGNED).signatures
TRUST = trustfile.parse(f"log {LOG.key}\nquorum none\n".encode())


def told(data: bytes, *keys: Key) -> str:
    """How an auditor who has the log's key is told no; empty when they believe it."""
    trusted = keys or (LOG.key,)
    code = code_of(lambda: checkpoint.read(data, trusted))
    if not keys:
        assert code_of(lambda: TRUST.read(data)) == code
    return code


def test_what_the_log_signed_is_believed() -> None:
    assert told(SIGNED) == ""


def test_the_signature_is_stripped() -> None:
    assert told(TRUE.text.encode()) == "note_invalid"
    assert told(TRUE.text.encode() + b"\n") == "note_invalid"


def test_the_signature_is_stripped_and_a_stranger_s_put_in_its_place() -> None:
    assert told(checkpoint.sign(TRUE, [MALLORY])) == "note_unverified"


def test_the_signature_of_an_older_tree_is_put_under_a_newer_one() -> None:
    older = LOG.sign(FORGED.text)
    assert told(note.render(TRUE.text, [older])) == "note_unverified"


def test_the_key_id_of_the_log_is_put_before_a_stranger_s_signature() -> None:
    line = Signature(ORIGIN, LOG.key.id, MALLORY.raw(FORGED.text.encode()))
    assert told(note.render(FORGED.text, [line])) == "note_unverified"
    both = note.render(FORGED.text, [MALLORY.sign(FORGED.text), line])
    assert told(both, LOG.key, MALLORY.key) == "note_unverified"


def test_a_key_is_made_to_share_name_and_key_id_with_another() -> None:
    name = "log.example/bridle/1"
    one, two = (Key(name, sha256(number).digest()) for number in (b"43796", b"45822"))
    assert (one.id, one == two) == (two.id, False)
    own = Signer(name, bytes(32))
    data = checkpoint.sign(Checkpoint(name, 3, ROOT), [own])
    assert told(data, own.key, one) == ""
    assert told(data, own.key, one, two) == "key_ambiguous"
    line = Signature(name, one.id, own.raw(Checkpoint(name, 3, ROOT).text.encode()))
    assert told(note.render(Checkpoint(name, 3, ROOT).text, [line]), two) == "note_unverified"


def test_a_log_that_is_trusted_too_signs_for_this_one() -> None:
    other = Signer("other.example/log", b"o" * 32)
    data = checkpoint.sign(FORGED, [other])
    assert told(data, LOG.key, other.key) == "note_unverified"
    renamed = data.replace("— other.example/log".encode(), f"— {ORIGIN}".encode())
    assert told(renamed, LOG.key, other.key) == "note_unverified"


def test_a_true_signature_is_shown_under_another_origin() -> None:
    moved = Checkpoint("other.example/log", 3, ROOT)
    assert told(note.render(moved.text, [SIGNATURE])) == "note_unverified"
    line = Signature(moved.origin, SIGNATURE.id, SIGNATURE.payload)
    assert told(note.render(moved.text, [line])) == "note_unverified"
    both = Key(moved.origin, LOG.key.public)
    assert told(note.render(moved.text, [Signature(both.name, both.id, SIGNATURE.payload)]), both)


LOOK_ALIKES = {
    "NFD": unicodedata.normalize("NFD", ORIGIN),
    "Latin letters for Cyrillic ones": ORIGIN.replace("\u0430", "a"),
    "a fullwidth letter": ORIGIN.replace("example", "exam\uff50le"),
    "capitals": ORIGIN.replace("example", "Example"),
    "a joiner that cannot be seen": ORIGIN.replace("example", "exam\u200dple"),
    "an override of direction": "\u202e" + ORIGIN,
    "a byte order mark": "\ufeff" + ORIGIN,
    "a slash at the end": ORIGIN + "/",
    "a division slash": ORIGIN.replace("/", "\u2215"),
    "a soft hyphen": ORIGIN.replace("example", "exam\u00adple"),
}


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_a_log_takes_a_name_that_looks_the_same(name: str) -> None:
    look_alike = LOOK_ALIKES[name]
    assert look_alike != ORIGIN
    mallory = Signer(look_alike, b"m" * 32)
    data = checkpoint.sign(Checkpoint(look_alike, 3, ROOT), [mallory])
    assert told(data) == "note_unverified"
    assert told(data, mallory.key) == ""
    crossed = checkpoint.sign(TRUE, [mallory])
    assert told(crossed, LOG.key, mallory.key) == "note_unverified"


@pytest.mark.parametrize("dash", ["-", "--", "\u2010", "\u2011", "\u2012", "\u2013", "\u2015"])
def test_a_line_of_text_is_made_to_look_like_a_signature(dash: str) -> None:
    data = SIGNED.replace("—".encode(), dash.encode())
    assert told(data) == "note_invalid"


def test_a_forged_checkpoint_with_a_whole_signed_note_behind_it() -> None:
    # The forged text comes first, and a reader that stopped at the first empty line would take it.
    data = FORGED.text.encode() + b"\n" + SIGNED
    assert note.parse(data).text == f"{FORGED.text}\n{TRUE.text}"
    assert told(data) == "checkpoint_invalid"


def test_a_signed_note_with_a_forged_checkpoint_behind_it() -> None:
    data = SIGNED + b"\n" + checkpoint.sign(FORGED, [MALLORY])
    assert told(data) == "checkpoint_invalid"
    assert told(SIGNED + checkpoint.sign(FORGED, [MALLORY])) != ""


def test_a_log_signs_a_text_with_an_empty_line_and_it_is_no_checkpoint() -> None:
    text = f"{TRUE.text}\n{FORGED.text}"
    data = note.render(text, [LOG.sign(text)])
    assert note.verify(note.parse(data), [LOG.key]) == (LOG.key,)
    assert told(data) == "checkpoint_invalid"


def test_a_size_and_root_are_put_into_the_name_of_the_log() -> None:
    for name in (f"{ORIGIN}\n9", f"{ORIGIN}\r9", f"{ORIGIN}\u2028 9", f"{ORIGIN}\u00859"):
        assert code_of(lambda origin=name: Signer(origin, bytes(32))) == "note_invalid"
    broken = Checkpoint(f"{ORIGIN}\n2\n{note.encoded(FORGED.root)}", 3, ROOT)
    assert code_of(lambda: checkpoint.sign(broken, [LOG])) == "checkpoint_invalid"


def test_a_line_separator_does_not_separate_lines() -> None:
    for separator in ("\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1e"):
        data = SIGNED.replace(b"\n", separator.encode(), 1)
        assert told(data) in {"note_invalid", "checkpoint_invalid"}


def test_a_cosignature_of_a_witness_is_shown_as_the_log_s_signature() -> None:
    witness = Signer(ORIGIN, b"1" * 32, COSIGNATURE)
    assert witness.key.public == LOG.key.public
    data = note.render(TRUE.text, [cosignature.sign(witness, TRUE.text, 1)])
    assert told(data) == "note_unverified"
    assert told(data, witness.key) == "note_unverified"
    payload = cosignature.sign(witness, TRUE.text, 1).payload
    line = Signature(ORIGIN, LOG.key.id, payload)
    assert told(note.render(TRUE.text, [line])) == "note_unverified"


def test_a_log_signature_is_shown_as_a_cosignature() -> None:
    witness = Key(ORIGIN, LOG.key.public, COSIGNATURE)
    for payload in (SIGNATURE.payload, bytes(8) + SIGNATURE.payload):
        found = note.parse(note.render(TRUE.text, [Signature(ORIGIN, witness.id, payload)]))
        assert code_of(lambda one=found: cosignature.verify(one, [witness])) == "note_unverified"


def test_the_order_of_the_curve_is_added_to_a_signature() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(SIGNATURE.payload[32:], "little") + order
    twin = SIGNATURE.payload[:32] + scalar.to_bytes(32, "little")
    line = Signature(ORIGIN, LOG.key.id, twin)
    assert told(note.render(TRUE.text, [line])) == "note_unverified"


def test_a_key_under_which_everything_verifies_cannot_be_named() -> None:
    # Under the neutral element of the curve, itself and a zero sign every message.
    weak = Key(ORIGIN, b"\x01" + bytes(31))
    assert weak.verifies(b"\x01" + bytes(63), FORGED.text.encode())
    assert code_of(lambda: note.key(str(weak))) == "key_invalid"
    file = f"log {weak}\nquorum none\n".encode()
    assert code_of(lambda: trustfile.parse(file)) == "trust_invalid"


def test_one_key_is_named_for_log_and_witness() -> None:
    witness = Key("witness.example/w", LOG.key.public, COSIGNATURE)
    file = f"log {LOG.key}\nwitness w {witness}\nquorum w\n".encode()
    assert code_of(lambda: trustfile.parse(file)) == "trust_invalid"


def test_a_receipt_is_moved_to_another_record_another_tree_and_another_log() -> None:
    proof = inclusion_proof(range_root(DIGESTS), 1, 3)
    true = Receipt(1, proof, SIGNED, b"two")
    keys = [LOG.key]
    assert receipt.verify(true, b"two", keys).checkpoint == TRUE
    forged_tree = frontier_of([*DIGESTS[:1], leaf_hash(b"forged"), *DIGESTS[2:]])
    elsewhere = Checkpoint(ORIGIN, 3, forged_tree.root())
    attacks = {
        "receipt_unproven": [
            (true, b"forged"),
            (Receipt(0, proof, SIGNED), b"two"),
            (Receipt(1, proof[::-1], SIGNED), b"two"),
            (Receipt(1, proof, checkpoint.sign(FORGED, [LOG])), b"two"),
        ],
        "note_unverified": [
            (Receipt(1, proof, checkpoint.sign(elsewhere, [MALLORY])), b"forged"),
            (Receipt(1, proof, note.render(elsewhere.text, [SIGNATURE])), b"forged"),
        ],
        "note_invalid": [(Receipt(1, proof, b""), b"two"), (Receipt(1, proof, b"\n"), b"two")],
    }
    for code, cases in attacks.items():
        for found, leaf in cases:
            assert code_of(lambda f=found, b=leaf: receipt.verify(f, b, keys)) == code


def test_witness_lines_are_added_to_look_well_witnessed() -> None:
    lookalike = Signer("witness.example/w1", b"z" * 32, COSIGNATURE)
    trusted = Signer("witness.example/w1", b"w" * 32, COSIGNATURE)
    file = f"log {LOG.key}\nwitness w {trusted.key}\nquorum w\n".encode()
    trust = trustfile.parse(file)
    text = TRUE.text
    fake = note.render(text, [LOG.sign(text), cosignature.sign(lookalike, text, 1)])
    assert code_of(lambda: trust.read(fake)) == "quorum_missed"
    bent = Signature(trusted.key.name, trusted.key.id, cosignature.sign(lookalike, text, 1).payload)
    assert (
        code_of(lambda: trust.read(note.render(text, [LOG.sign(text), bent]))) == "note_unverified"
    )
    older = cosignature.sign(trusted, FORGED.text, 1)
    replayed = note.render(text, [LOG.sign(text), older])
    assert code_of(lambda: trust.read(replayed)) == "note_unverified"
