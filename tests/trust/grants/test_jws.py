"""One text for each value: headers, base64url and signatures that come in a second form."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given
from hypothesis import strategies as st

from bridle.trust.grants import jws
from bridle.trust.grants.codes import GrantCode, GrantError
from bridle.trust.grants.roots import public, signed_by

ORDER = 2**252 + 27742317777372353535851937790883648493
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
TEXT = jws.sign(b'{"a":1}', KEY)


def refused(text: str, header: str = jws.HEADER) -> str:
    with pytest.raises(GrantError) as caught:
        jws.split(text, header)
    return caught.value.code


def test_the_text_of_a_link_is_what_it_was_and_will_be() -> None:
    """A known answer: a second implementation, or a later version, makes the same bytes."""
    signing_input = "eyJhbGciOiJFZDI1NTE5IiwidHlwIjoiYnJpZGxlLWdyYW50K2p3dCJ9.eyJhIjoxfQ"
    assert f"{signing_input}.{jws.encode(KEY.sign(signing_input.encode()))}" == TEXT
    assert jws.split(TEXT).payload == b'{"a":1}'


@given(st.binary(max_size=200))
def test_bytes_have_one_text(raw: bytes) -> None:
    assert jws.decode(jws.encode(raw)) == raw


@given(st.text(max_size=40) | st.text("ABQRghz019-_+/= \n", max_size=12))
@example("QQ==")
@example("QR")
@example("QQ\n")
@example("+/+/")
@example("\ud800")
def test_a_text_that_decodes_is_the_text_of_its_bytes(text: str) -> None:
    raw = jws.decode(text)
    assert raw is None or jws.encode(raw) == text


@pytest.mark.parametrize(
    "header",
    [
        '{"alg":"none","typ":"bridle-grant+jwt"}',
        '{"alg":"HS256","typ":"bridle-grant+jwt"}',
        '{"alg":"EdDSA","typ":"bridle-grant+jwt"}',
        '{"alg":"ed25519","typ":"bridle-grant+jwt"}',
        '{"typ":"bridle-grant+jwt","alg":"Ed25519"}',
        '{"alg":"Ed25519","typ":"bridle-grant+jwt","kid":"../key"}',
        '{"alg":"Ed25519","typ":"bridle-grant+jwt","jwk":{}}',
        '{"alg":"Ed25519","typ":"bridle-grant+jwt"} ',
        '{"alg": "Ed25519","typ":"bridle-grant+jwt"}',
        '{"alg":"Ed25519","alg":"none","typ":"bridle-grant+jwt"}',
        '{"alg":"Ed25519","typ":"JWT"}',
        "",
    ],
)
def test_algorithm_confusion_any_other_header_is_refused(header: str) -> None:
    head = jws.encode(header.encode())
    body = TEXT.split(".")[1]
    signature = jws.encode(KEY.sign(f"{head}.{body}".encode()))
    assert refused(f"{head}.{body}.{signature}") == GrantCode.HEADER


def test_a_status_list_is_no_grant_and_a_grant_no_status_list() -> None:
    status = jws.sign(b"{}", KEY, jws.STATUS_HEADER)
    assert jws.split(status, jws.STATUS_HEADER).payload == b"{}"
    assert refused(status) == GrantCode.HEADER
    assert refused(TEXT, jws.STATUS_HEADER) == GrantCode.HEADER


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda head, body, tail: f"{head}.{body}", GrantCode.MALFORMED),
        (lambda head, body, tail: f"{head}.{body}.", GrantCode.SIGNATURE),
        (lambda head, body, tail: f"{head}..{tail}", GrantCode.MALFORMED),
        (lambda head, body, tail: f"{head}.{tail}", GrantCode.MALFORMED),
        (lambda head, body, tail: f"{head}.", GrantCode.MALFORMED),
        (lambda head, body, tail: head, GrantCode.HEADER),
        (lambda head, body, tail: f"{head}.{body}.{tail}.{tail}", GrantCode.MALFORMED),
        (lambda head, body, tail: f"{head}.{body}={'.'}{tail}", GrantCode.MALFORMED),
        (lambda head, body, tail: f"{head}.{body}.{tail}==", GrantCode.MALFORMED),
        (lambda head, body, tail: f"{head}.{body}.{tail}\n", GrantCode.MALFORMED),
        (lambda head, body, tail: f" {head}.{body}.{tail}", GrantCode.HEADER),
        (lambda head, body, tail: f"{head}.{body}.{tail[:84]}", GrantCode.SIGNATURE),
        (lambda head, body, tail: f"{head}.{body}.{tail}AAAA", GrantCode.SIGNATURE),
        (lambda head, body, tail: f"{head}.{body}.FORGED", GrantCode.MALFORMED),
        (lambda head, body, tail: f"{head}.{body}.Zm9yZ2Vk", GrantCode.SIGNATURE),
        (lambda head, body, tail: f"{head}.{body}\ud800.{tail}", GrantCode.MALFORMED),
        (lambda head, body, tail: f"{head}.{body}.{'é' * 86}", GrantCode.MALFORMED),
    ],
)
def test_what_is_not_three_parts_in_their_one_text_is_no_link(change, code) -> None:
    assert refused(change(*TEXT.split("."))) == code


def test_no_second_form_of_a_signature_holds() -> None:
    signed = jws.split(TEXT)
    verifier = public(KEY.public_key().public_bytes_raw())
    assert signed_by(verifier, signed.signature, signed.signing_input)
    point, scalar = signed.signature[:32], int.from_bytes(signed.signature[32:], "little")
    again = point + (scalar + ORDER).to_bytes(32, "little")
    assert not signed_by(verifier, again, signed.signing_input)
    for bit in range(512):
        raw = bytearray(signed.signature)
        raw[bit // 8] ^= 1 << bit % 8
        assert not signed_by(verifier, bytes(raw), signed.signing_input)


def test_what_other_decoders_take_is_refused() -> None:
    head, body, tail = TEXT.split(".")
    # The last character of 64 bytes holds four bits that mean nothing.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    meant = base64.urlsafe_b64decode(tail + "==")
    same = [c for c in alphabet if base64.urlsafe_b64decode(tail[:-1] + c + "==") == meant]
    assert len(same) == 16
    taken = [c for c in same if jws.decode(tail[:-1] + c) is not None]
    assert taken == [tail[-1]]
    assert refused(f"{head}.{body}.{tail[:-1]}{next(c for c in same if c != tail[-1])}") == (
        GrantCode.MALFORMED
    )
