"""Sealed values open with their key, in their place, unchanged; everything else fails alike."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.ledger import seal
from bridle.ledger.errors import LedgerError
from bridle.ledger.seal import Keyring, Sealer

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


# --- keys of chains -------------------------------------------------------------------------------


def wrapped(ring: Keyring, chain: str, key: bytes = b"k" * 32) -> bytes:
    return ring.wrap(chain, key, os.urandom(12))


def test_what_a_chain_sealed_opens_with_its_sealed_key_in_its_place_only() -> None:
    ring = Keyring(KEY)
    key = wrapped(ring, "m1")
    blob = ring.sealer("m1", key).seal(OPENINGS, seal.place("m1", 4), os.urandom(12))
    assert Keyring(KEY).open(blob, ("m1", 4), HASH, key) == OPENINGS
    for at in (("m1", 5), ("m2", 4), ("m1\n4", 4)):
        with pytest.raises(LedgerError):
            ring.open(blob, at, HASH, key)


def test_the_sealed_key_of_one_chain_is_worth_nothing_for_another() -> None:
    ring = Keyring(KEY)
    with pytest.raises(LedgerError):
        ring.sealer("m2", wrapped(ring, "m1"))
    with pytest.raises(LedgerError):
        Keyring(os.urandom(32)).sealer("m1", wrapped(ring, "m1"))


def test_without_its_sealed_key_nothing_of_a_chain_opens() -> None:
    ring = Keyring(KEY)
    key = wrapped(ring, "m1")
    blob = ring.sealer("m1", key).seal(OPENINGS, seal.place("m1", 0), os.urandom(12))
    value = ring.sealer("m1", key).seal_bytes(b"x", b"a", os.urandom(12))
    for other in (b"", wrapped(ring, "m1", os.urandom(32)), key[:-1]):
        with pytest.raises(LedgerError):
            ring.open(blob, ("m1", 0), HASH, other)
        with pytest.raises(LedgerError):
            ring.open_bytes(value, b"a", "m1", other)


def test_what_was_sealed_before_chains_had_keys_still_opens() -> None:
    ring = Keyring(KEY)
    blob = Sealer(KEY).seal(OPENINGS, HASH, os.urandom(12))
    value = Sealer(KEY).seal_bytes(b"x", b"act_1", os.urandom(12))
    assert ring.open(blob, ("m1", 3), HASH, b"") == OPENINGS
    assert ring.open_bytes(value, b"act_1", "m1", wrapped(ring, "m1")) == b"x"
