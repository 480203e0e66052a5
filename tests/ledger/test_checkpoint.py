"""Checkpoints: one text for one tree, signed by a key for the log it is named after."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.ledger import checkpoint, note
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.note import Signer
from bridle.ledger.tree import EMPTY_ROOT
from ledger.worked import (
    AT_FIVE,
    LOG,
    LOG_LINE,
    ORIGIN,
    ROOT,
    SIGNED,
    TEXT,
    WITNESS_LINE,
    code_of,
    mutations,
    outcome,
)

ROOT_TEXT = note.encoded(ROOT)
NEW = Signer(ORIGIN, b"n" * 32)
OTHER = Signer("log.example/bridle/2", b"o" * 32)


def signed(text: str, *signers: Signer) -> bytes:
    return note.render(text, [each.sign(text) for each in signers or (LOG,)])


def test_the_worked_example_is_written_byte_for_byte() -> None:
    assert AT_FIVE.text == TEXT
    assert checkpoint.sign(AT_FIVE, [LOG]) == f"{TEXT}\n{LOG_LINE}".encode()


def test_the_worked_example_is_read_past_the_witness() -> None:
    found = checkpoint.read(SIGNED, [LOG.key])
    assert (found.checkpoint, found.keys, found.cosigned) == (AT_FIVE, (LOG.key,), ())
    assert note.render(found.note.text, found.note.signatures) == SIGNED


def test_the_example_of_the_specification_is_read() -> None:
    found = checkpoint.parse(
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )
    assert (found.origin, found.size) == ("example.com/behind-the-sofa", 20_852_163)


def test_the_empty_log_has_a_checkpoint() -> None:
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert checkpoint.read(checkpoint.sign(empty, [LOG]), [LOG.key]).checkpoint == empty


def test_extensions_are_read_over_and_stay_signed() -> None:
    data = signed(TEXT + "an extension\nand one more\n")
    found = checkpoint.read(data, [LOG.key])
    assert found.checkpoint == AT_FIVE
    assert found.note.text.endswith("one more\n")
    changed = data.replace(b"one more", b"one less")
    assert code_of(lambda: checkpoint.read(changed, [LOG.key])) == "note_unverified"


def test_rotation_signs_with_both_keys_and_auditors_of_either_read_it() -> None:
    data = checkpoint.sign(AT_FIVE, [LOG, NEW])
    assert checkpoint.read(data, [LOG.key]).keys == (LOG.key,)
    assert checkpoint.read(data, [NEW.key]).keys == (NEW.key,)
    assert checkpoint.read(data, [NEW.key, LOG.key, OTHER.key]).keys == (LOG.key, NEW.key)


def test_a_key_signs_only_for_the_log_it_is_named_after() -> None:
    data = signed(TEXT, OTHER)
    assert code_of(lambda: checkpoint.read(data, [OTHER.key])) == "note_unverified"
    both = signed(TEXT, OTHER, LOG)
    assert checkpoint.read(both, [OTHER.key, LOG.key]).keys == (LOG.key,)


MALFORMED = {
    "nothing": "",
    "one line": f"{ORIGIN}\n",
    "two lines": f"{ORIGIN}\n5\n",
    "no last newline": f"{ORIGIN}\n5\n{ROOT_TEXT}",
    "an extension without its newline": f"{TEXT}extension",
    "an empty extension": f"{TEXT}\n",
    "an empty line between extensions": f"{TEXT}one\n\ntwo\n",
    "no origin": f"\n5\n{ROOT_TEXT}\n",
    "an empty line before": f"\n{TEXT}",
    "no size": f"{ORIGIN}\n\n{ROOT_TEXT}\n",
    "no root": f"{ORIGIN}\n5\n\n",
    "a short root": f"{ORIGIN}\n5\n{note.encoded(ROOT[:31])}\n",
    "a long root": f"{ORIGIN}\n5\n{note.encoded(ROOT + b'x')}\n",
    "a root in hexadecimal": f"{ORIGIN}\n5\n{ROOT.hex()}\n",
    "a root with stray bits": TEXT.replace("ZqZQ=", "ZqZR="),
    "a root with a space": TEXT.replace("ZqZQ=", "ZqZQ= "),
    "an empty tree with leaves": f"{ORIGIN}\n0\n{ROOT_TEXT}\n",
}
SIZES = [
    "05", "00", "+5", "-5", "-0", " 5", "5 ", "5_0", "5.0", "5e0", "0x5",
    "\u0665", "1\u0665", "\uff15", "\u00b2", "5\x00", "5\ufeff", "5\u2028", "five", str(1 << 63),
    "9" * 20, "9" * 5_000, "1" * (1 << 19),
]  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_checkpoint_is_refused(name: str) -> None:
    assert code_of(lambda: checkpoint.parse(MALFORMED[name])) == "checkpoint_invalid"


@pytest.mark.parametrize("size", SIZES, ids=lambda size: ascii(size[:12]))
def test_a_size_has_one_spelling(size: str) -> None:
    text = f"{ORIGIN}\n{size}\n{ROOT_TEXT}\n"
    assert code_of(lambda: checkpoint.parse(text)) == "checkpoint_invalid"


def test_the_largest_size_is_read() -> None:
    text = f"{ORIGIN}\n{(1 << 63) - 1}\n{ROOT_TEXT}\n"
    assert checkpoint.parse(text).size == (1 << 63) - 1


def test_a_signed_text_that_is_no_checkpoint_is_refused() -> None:
    data = signed(f"{ORIGIN}\nfive\n{ROOT_TEXT}\n")
    assert code_of(lambda: checkpoint.read(data, [LOG.key])) == "checkpoint_invalid"


@pytest.mark.parametrize(
    "wrong",
    [
        Checkpoint("", 5, ROOT),
        Checkpoint(f"{ORIGIN}\n7\n{ROOT_TEXT}", 5, ROOT),
        Checkpoint(ORIGIN, -1, ROOT),
        Checkpoint(ORIGIN, 1 << 63, ROOT),
        Checkpoint(ORIGIN, 0, ROOT),
        Checkpoint(ORIGIN, 5, ROOT[:-1]),
        Checkpoint(ORIGIN, 5, b""),
    ],
)
def test_a_checkpoint_that_could_not_be_read_back_is_not_signed(wrong: Checkpoint) -> None:
    assert code_of(lambda: checkpoint.sign(wrong, [LOG])) == "checkpoint_invalid"


def test_a_checkpoint_is_signed_by_somebody() -> None:
    assert code_of(lambda: checkpoint.sign(AT_FIVE, [])) == "note_invalid"
    assert code_of(lambda: checkpoint.sign(Checkpoint("a\rb", 5, ROOT), [LOG])) == "note_invalid"


@given(data=mutations(TEXT.encode()))
def test_any_text_is_refused_or_says_exactly_what_it_is_read_as(data: bytes) -> None:
    text = data.decode(errors="replace")
    code, found = outcome(lambda: checkpoint.parse(text))
    assert code in {"", "checkpoint_invalid"}
    assert code or text.startswith(found.text)


@given(data=mutations(SIGNED))
def test_no_changed_checkpoint_says_anything_else(data: bytes) -> None:
    code, found = outcome(lambda: checkpoint.read(data, [LOG.key]))
    assert code or (found.checkpoint, found.keys) == (AT_FIVE, (LOG.key,))


def test_every_bit_of_what_the_log_signed_counts() -> None:
    data = checkpoint.sign(AT_FIVE, [LOG])
    for at in range(len(data) * 8):
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        assert code_of(lambda one=bytes(changed): checkpoint.read(one, [LOG.key])), at


def test_every_truncation_is_refused() -> None:
    data = checkpoint.sign(AT_FIVE, [LOG])
    for end in range(len(data)):
        assert code_of(lambda to=end: checkpoint.read(data[:to], [LOG.key])), end


@given(size=st.integers(1, (1 << 63) - 1), root=st.binary(min_size=32, max_size=32))
def test_what_is_signed_is_read_back(size: int, root: bytes) -> None:
    given_ = Checkpoint(ORIGIN, size, root)
    assert checkpoint.read(checkpoint.sign(given_, [LOG]), [LOG.key]).checkpoint == given_


def test_a_witness_alone_makes_no_checkpoint() -> None:
    data = f"{TEXT}\n{WITNESS_LINE}".encode()
    assert code_of(lambda: checkpoint.read(data, [LOG.key])) == "note_unverified"
