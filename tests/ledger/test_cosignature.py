"""Cosignatures: a witness's key, over a time and the whole text, and nothing else."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.ledger import cosignature, note
from bridle.ledger.cosignature import MOST_TIME, Cosignature
from bridle.ledger.note import COSIGNATURE, Key, Note, Signature, Signer
from ledger.worked import (
    LOG,
    SIGNED,
    TEXT,
    WITNESS,
    WITNESS_LINE,
    WITNESSED,
    code_of,
    mutations,
    outcome,
)

LINE = cosignature.sign(WITNESS, TEXT, WITNESSED)


def noted(*lines: Signature, text: str = TEXT) -> Note:
    return note.parse(note.render(text, lines))


def verdict(*lines: Signature, text: str = TEXT) -> str:
    return code_of(lambda: cosignature.verify(noted(*lines, text=text), [WITNESS.key]))


def test_the_worked_example_is_cosigned_byte_for_byte() -> None:
    data = note.render(TEXT, [LOG.sign(TEXT), LINE])
    assert data == SIGNED
    assert data.endswith(WITNESS_LINE.encode())
    assert len(LINE.payload) == 72


def test_the_worked_example_verifies_with_its_time() -> None:
    found = note.parse(SIGNED)
    expected = (Cosignature(WITNESS.key, 1_700_000_000),)
    assert cosignature.verify(found, [LOG.key, WITNESS.key]) == expected


def test_unknown_witnesses_say_nothing() -> None:
    other = Signer("witness.example/w2", bytes(32), COSIGNATURE)
    found = noted(LINE, cosignature.sign(other, TEXT, 1))
    assert cosignature.verify(found, []) == ()
    assert cosignature.verify(found, [WITNESS.key]) == (Cosignature(WITNESS.key, WITNESSED),)


def test_a_witness_may_cosign_again_later() -> None:
    found = noted(LINE, cosignature.sign(WITNESS, TEXT, WITNESSED + 1))
    times = [each.time for each in cosignature.verify(found, [WITNESS.key])]
    assert times == [WITNESSED, WITNESSED + 1]


@pytest.mark.parametrize("time", [0, 1, MOST_TIME])
def test_every_time_there_is_can_be_signed(time: int) -> None:
    (found,) = cosignature.verify(noted(cosignature.sign(WITNESS, TEXT, time)), [WITNESS.key])
    assert found.time == time


@pytest.mark.parametrize("time", [-1, MOST_TIME + 1])
def test_no_other_time_is_signed(time: int) -> None:
    assert code_of(lambda: cosignature.sign(WITNESS, TEXT, time)) == "note_invalid"


def test_a_time_past_the_last_is_refused_even_if_signed() -> None:
    time = MOST_TIME + 1
    signature = WITNESS.raw(f"cosignature/v1\ntime {time}\n{TEXT}".encode())
    assert verdict(WITNESS.line(time.to_bytes(8, "big") + signature)) == "note_unverified"


def test_the_key_of_a_log_cosigns_nothing() -> None:
    assert code_of(lambda: cosignature.sign(LOG, TEXT, 1)) == "note_invalid"
    message = f"cosignature/v1\ntime 1\n{TEXT}".encode()
    found = noted(LOG.line((1).to_bytes(8, "big") + LOG.raw(message)))
    assert cosignature.verify(found, [LOG.key]) == ()


def stamped(time: int, message: str) -> Signature:
    return WITNESS.line(time.to_bytes(8, "big") + WITNESS.raw(message.encode()))


@pytest.mark.parametrize(
    "wrong",
    [
        stamped(WITNESSED, TEXT),
        stamped(WITNESSED, f"cosignature/v1\ntime {WITNESSED + 1}\n{TEXT}"),
        stamped(WITNESSED, f"cosignature/v1\ntime 0{WITNESSED}\n{TEXT}"),
        stamped(WITNESSED, f"cosignature/v2\ntime {WITNESSED}\n{TEXT}"),
        stamped(WITNESSED, f"cosignature/v1\ntime {WITNESSED}\n{TEXT[:-1]}"),
        stamped(WITNESSED, f"cosignature/v1\ntime {WITNESSED}\n{TEXT}extension\n"),
        WITNESS.line(LINE.payload[8:]),
        WITNESS.line(LINE.payload[:-1]),
        WITNESS.line(LINE.payload + b"x"),
        WITNESS.line(LINE.payload[:8]),
        WITNESS.line(b"x"),
    ],
)
def test_a_line_of_a_known_witness_that_does_not_hold_refuses_the_note(wrong: Signature) -> None:
    assert verdict(wrong) == "note_unverified"
    assert verdict(LINE, wrong) == "note_unverified"


def test_the_same_line_twice_is_refused() -> None:
    assert verdict(LINE, LINE) == "note_unverified"


def test_a_cosignature_covers_the_whole_text() -> None:
    for text in (TEXT + "extension\n", TEXT.replace("5", "6"), TEXT.replace("log.", "log2.")):
        assert verdict(LINE, text=text) == "note_unverified"


def test_two_witnesses_that_cannot_be_told_apart_are_refused() -> None:
    name = WITNESS.key.name
    one, two = (Key(name, sha256(text).digest(), COSIGNATURE) for text in (b"7825", b"27574"))
    assert (one.id, one == two) == (two.id, False)
    assert cosignature.verify(noted(LINE), [WITNESS.key, one, one]) == (
        Cosignature(WITNESS.key, WITNESSED),
    )
    found = noted(LINE)
    assert code_of(lambda: cosignature.verify(found, [WITNESS.key, one, two])) == "key_ambiguous"


@given(data=mutations(SIGNED))
def test_no_changed_note_shows_a_cosignature_that_was_not_given(data: bytes) -> None:
    code, found = outcome(lambda: note.parse(data))
    if not code:
        code, cosigned = outcome(lambda: cosignature.verify(found, [WITNESS.key]))
    if not code and cosigned:
        assert (found.text, cosigned) == (TEXT, (Cosignature(WITNESS.key, WITNESSED),))


@given(payload=st.binary(min_size=1, max_size=90))
def test_any_payload_is_refused(payload: bytes) -> None:
    assert verdict(WITNESS.line(payload)) == "note_unverified"
