"""Certificates of runs: by the agent's key, for one key of one agent of one governor's store."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from bridle.model.errors import UsageError
from bridle.trust import certificate
from bridle.trust.holder import Holder

AGENT = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = AGENT.public_key().public_bytes_raw()
RUN = Holder.from_seed_text("A" * 43)


def test_the_agents_key_vouches_for_a_run() -> None:
    made = certificate.sign(AGENT, "store", "triage", RUN.public)
    assert certificate.holds(PUBLIC, "store", "triage", RUN.public, made)


def test_a_certificate_is_of_one_store_agent_run_and_key() -> None:
    made = certificate.sign(AGENT, "store", "triage", RUN.public)
    other = Holder.generate()
    assert not certificate.holds(PUBLIC, "stor", "etriage", RUN.public, made)
    assert not certificate.holds(PUBLIC, "other", "triage", RUN.public, made)
    assert not certificate.holds(PUBLIC, "store", "Triage", RUN.public, made)
    assert not certificate.holds(PUBLIC, "store", "triage", other.public, made)
    stranger = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    assert not certificate.holds(stranger, "store", "triage", RUN.public, made)


def test_one_certificate_has_one_text() -> None:
    made = certificate.sign(AGENT, "store", "triage", RUN.public)
    raw = base64.b64decode(made)
    # The last letter has four bits that stand for nothing.
    loose = made[:-3] + {"A": "B", "Q": "R", "g": "h", "w": "x"}[made[-3]] + "=="
    assert base64.b64decode(loose) == raw
    for wrong in (made.rstrip("="), made + "\n", made + "=", "", "\ud800", loose,
                  base64.b64encode(raw + b"\x00").decode()):  # fmt: skip
        assert not certificate.holds(PUBLIC, "store", "triage", RUN.public, wrong)


@given(
    st.binary(max_size=40),
    st.text(st.characters(codec=None)),
    st.text(st.characters(codec=None)),
    st.text(st.characters(codec=None)),
)
def test_whatever_is_presented_vouches_for_nothing(
    public: bytes, store: str, holder: str, made: str
) -> None:
    assert not certificate.holds(public, store, "triage", holder, made)


def test_keys_under_which_anybody_could_sign_vouch_for_nothing_and_are_not_vouched_for() -> None:
    weak = "ed25519:" + base64.b64encode(bytes(32)).decode()
    with pytest.raises(UsageError):
        certificate.sign(AGENT, "store", "triage", weak)
    forged = base64.b64encode(b"\x01" + bytes(63)).decode()
    for key in (b"\x01" + bytes(31), bytes(32), b"", b"short"):
        assert not certificate.holds(key, "store", "triage", RUN.public, forged)
