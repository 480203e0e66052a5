"""Sealed values open with their key, in their place, unchanged; everything else fails alike."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.ledger.errors import LedgerError
from bridle.ledger.seal import Sealer

KEY = os.urandom(32)
OPENINGS = {"args": (os.urandom(32), b'{"id":7}'), "reason": (os.urandom(32), b"")}
HASH = os.urandom(32)


def test_openings_come_back() -> None:
    blob = Sealer(KEY).seal(OPENINGS, HASH, os.urandom(12))
    assert Sealer(KEY).open(blob, HASH) == OPENINGS


@given(value=st.binary(max_size=200), aad=st.binary(max_size=40))
def test_a_value_comes_back_and_is_not_to_be_seen(value: bytes, aad: bytes) -> None:
    blob = Sealer(KEY).seal_bytes(value, aad, os.urandom(12))
    assert Sealer(KEY).open_bytes(blob, aad) == value
    assert len(value) < 8 or value not in blob


def refused(blob: bytes, aad: bytes = HASH, key: bytes = KEY) -> tuple[str, str, str]:
    with pytest.raises(LedgerError) as raised:
        Sealer(key).open(blob, aad)
    assert raised.value.__cause__ is None
    return raised.value.message, raised.value.code, raised.value.hint


def test_every_changed_bit_and_every_cut_is_refused_alike() -> None:
    blob = Sealer(KEY).seal(OPENINGS, HASH, os.urandom(12))
    told = set()
    for place in range(len(blob)):
        for bit in range(8):
            changed = bytearray(blob)
            changed[place] ^= 1 << bit
            told.add(refused(bytes(changed)))
        told.add(refused(blob[:place]))
    told.add(refused(blob + b"\x00"))
    told.add(refused(blob, aad=HASH[:-1]))
    told.add(refused(blob, key=os.urandom(32)))
    told.add(refused(Sealer(KEY).seal_bytes(b"value", HASH, os.urandom(12))))
    assert len(told) == 1


def test_a_sealed_value_does_not_pass_for_openings_nor_the_other_way() -> None:
    sealer = Sealer(KEY)
    blob = sealer.seal(OPENINGS, HASH, os.urandom(12))
    with pytest.raises(LedgerError):
        sealer.open_bytes(blob, HASH)
    with pytest.raises(LedgerError):
        sealer.open_bytes(b"\x02" + blob[1:], HASH)


def test_the_key_id_tells_keys_apart_and_not_what_they_are() -> None:
    other = os.urandom(32)
    assert Sealer(KEY).key_id == Sealer(KEY).key_id != Sealer(other).key_id
    assert Sealer(KEY).key_id not in KEY


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(LedgerError):
        Sealer(bytes(length))


@pytest.mark.parametrize("length", [0, 11, 13])
def test_a_nonce_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(LedgerError):
        Sealer(KEY).seal_bytes(b"x", b"", bytes(length))
