"""A proof is good for one claim to one challenge, and nothing else is a proof."""

import base64
import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bridle.model import public_key
from bridle.model.errors import BridleError
from bridle.trust import credential, proof
from bridle.trust.proof import Challenge, Claim

CHALLENGE = Challenge(store="s1", nonce="ab" * 32, role="operator")
ANA = credential.generate("user", "ana")
BEN = credential.generate("user", "ben")
CLAIM = Claim("user", "ana", ANA.public)
PROOF = ANA.login(CHALLENGE).signature


def test_a_credential_proves_its_own_claim() -> None:
    login = ANA.login(CHALLENGE)
    assert (login.kind, login.name, login.key) == ("user", "ana", ANA.public)
    assert proof.holds(CHALLENGE, CLAIM, login.signature)


@pytest.mark.parametrize(
    ("challenge", "claim"),
    [
        (structs.replace(CHALLENGE, store="s2"), CLAIM),
        (structs.replace(CHALLENGE, nonce="ac" * 32), CLAIM),
        (structs.replace(CHALLENGE, role="agent"), CLAIM),
        (CHALLENGE, structs.replace(CLAIM, kind="workload")),
        (CHALLENGE, structs.replace(CLAIM, name="ben")),
        (CHALLENGE, structs.replace(CLAIM, key=BEN.public)),
        # Nothing moves from one part to the next.
        (structs.replace(CHALLENGE, store="s1o", role="perator"), CLAIM),
        (CHALLENGE, structs.replace(CLAIM, kind="usera", name="na")),
    ],
)
def test_a_proof_of_something_else_is_none(challenge: Challenge, claim: Claim) -> None:
    assert not proof.holds(challenge, claim, PROOF)


def test_a_signature_made_for_another_purpose_is_no_proof() -> None:
    whole = proof._message(CHALLENGE, CLAIM)
    for message in (whole.removeprefix(proof._DOMAIN), whole[:-1], whole + b"\0", b""):
        made = base64.b64encode(ANA._private.sign(message)).decode()
        assert not proof.holds(CHALLENGE, CLAIM, made)


@given(at=st.integers(0, 511))
def test_a_proof_with_any_bit_changed_is_none(at: int) -> None:
    raw = bytearray(base64.b64decode(PROOF))
    raw[at // 8] ^= 1 << at % 8
    assert not proof.holds(CHALLENGE, CLAIM, base64.b64encode(bytes(raw)).decode())


@given(st.text() | st.binary(max_size=100).map(lambda raw: base64.b64encode(raw).decode()))
def test_any_text_is_refused_without_an_error(text: str) -> None:
    assert not proof.holds(CHALLENGE, CLAIM, text)
    assert not proof.holds(CHALLENGE, structs.replace(CLAIM, key=text), PROOF)
    assert not proof.holds(structs.replace(CHALLENGE, nonce=text), CLAIM, PROOF)


def test_one_text_stands_for_a_proof() -> None:
    """An Ed25519 signature fills base64 with four bits to spare."""
    last = PROOF[-3]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = PROOF[:-3] + letters[letters.index(last) ^ 1] + "=="
    assert base64.b64decode(other) == base64.b64decode(PROOF)
    for text in (other, PROOF + "\n", PROOF.rstrip("="), PROOF + PROOF):
        assert not proof.holds(CHALLENGE, CLAIM, text)


def test_a_credential_does_not_pickle_copy_or_print() -> None:
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(BridleError) as refused:
            act(ANA)
        assert refused.value.code == "key_exposed"
    raw = ANA._private.private_bytes_raw()
    shown = repr(ANA) + str(ANA)
    assert shown == "<bridle.Credential>" * 2
    assert raw.hex() not in shown
    assert not hasattr(ANA, "__dict__")


def test_keys_are_new_each_time_and_named_by_their_hash() -> None:
    assert ANA.public != BEN.public
    assert ANA.fingerprint == public_key.fingerprint(ANA.public)
    assert len(ANA.fingerprint) == 64
